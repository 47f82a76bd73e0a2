"""Keyed randomness: every draw is a function of (seed, purpose, step, rank, ...), never of how many draws came before.

That is what makes a resumed run equal an undisturbed one bit for bit: to resume is to know the step.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def key(seed: int, purpose: str, *parts: int | str) -> int:
    """A 63-bit key, the same on every machine and Python version."""
    text = "\x1f".join([str(seed), purpose, *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def numpy_rng(seed: int, purpose: str, *parts: int | str) -> np.random.Generator:
    """A NumPy generator of its own for this purpose and step."""
    return np.random.Generator(np.random.PCG64(key(seed, purpose, *parts)))


def torch_generator(seed: int, purpose: str, *parts: int | str, device: str = "cpu") -> torch.Generator:
    """A torch generator of its own for this purpose and step."""
    import torch

    return torch.Generator(device=device).manual_seed(key(seed, purpose, *parts))


def seed_torch(seed: int, purpose: str, *parts: int | str) -> None:
    """Set torch's global generators (dropout, layer drop, Gumbel noise draw from them) for this step."""
    import torch

    torch.manual_seed(key(seed, purpose, *parts))
