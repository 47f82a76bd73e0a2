"""Weights on disk, unread: names and shapes first, values only when asked for and only once they are known to fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sewcli.base.errors import DataError


@dataclass(frozen=True)
class Entry:
    """A tensor on disk: its shape, and how to read it; bf16, which NumPy has not, comes as fp32."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


class Tensors:
    """Named tensors of one model, of one or several files.

    Args:
        where: the file to name in errors.
        entries: by name.
    """

    def __init__(self, where: Path, entries: Mapping[str, Entry]) -> None:
        self.where, self.entries = where, dict(entries)

    def check(self, expected: Mapping[str, Iterable[int]]) -> None:
        """Refuse missing tensors, extra tensors and other shapes.

        Raises:
            DataError: the first of them, and how many there are.
        """
        missing = sorted(expected.keys() - self.entries.keys())
        extra = sorted(self.entries.keys() - expected.keys())
        if missing or extra:
            found = [
                f"{what}: {len(names)} ({names[0]}{', ...' if len(names) > 1 else ''})"
                for what, names in (("missing tensors", missing), ("tensors too many", extra))
                if names
            ]
            raise DataError(
                "weights-misfit",
                "; ".join(found),
                where=self.where,
                hint="the weights and the config are of two models",
            )
        for name, shape in expected.items():
            own = self.entries[name].shape
            if own != tuple(shape):
                raise DataError(
                    "tensor-shape", f"{name} has shape {own}, the config says {tuple(shape)}", where=self.where
                )

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor that must be there.

        Raises:
            DataError: it is missing.
        """
        if name not in self.entries:
            raise DataError("tensor-missing", f"missing tensor {name}", where=self.where)
        return self.entries[name].shape

    def first_axis(self, name: str) -> int:
        """Rows of a tensor that must be there and have some.

        Raises:
            DataError: it is missing, or a single number.
        """
        shape = self.shape(name)
        if not shape or not shape[0]:
            raise DataError("tensor-shape", f"{name} has shape {shape}, where rows are due", where=self.where)
        return shape[0]

    def read(self, name: str) -> np.ndarray:
        """Values of a tensor."""
        return self.entries[name].read()

    def require_finite(self, values: Mapping[str, np.ndarray]) -> None:
        """Refuse values that are NaN or infinite: a model of such ones is handed on by everything that only copies it.

        Raises:
            DataError: the first tensor that holds one.
        """
        for name, array in values.items():
            if not np.isfinite(array).all():
                what = f"{name} holds weights that are NaN or infinite"
                raise DataError(
                    "nan-weights", what, where=self.where, hint="take an earlier checkpoint, or copy the model again"
                )

    def are_identity(self, weight: str, bias: str) -> bool:
        """Whether a linear layer is absent or changes nothing."""
        if weight not in self.entries or bias not in self.entries:
            return True
        values = self.read(weight)
        return bool(np.array_equal(values, np.eye(len(values))) and not self.read(bias).any())

    def drop(self, names: Iterable[str]) -> None:
        """Forget tensors."""
        for name in names:
            self.entries.pop(name, None)
