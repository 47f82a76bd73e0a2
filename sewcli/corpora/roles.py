"""What a split is for, by its name: `train-clean-100`, `dev`, `valid`, `test-other`, `eval2000`."""

from __future__ import annotations

ROLES = {"train": ("train",), "dev": ("dev", "valid"), "test": ("test", "eval")}


def role(split: str) -> str:
    """train, dev or test; any other name (`10h`) is training material."""
    return next((name for name, begins in ROLES.items() if split.startswith(begins)), "train")
