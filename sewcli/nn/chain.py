"""A chain of strided windows, as a feature extractor is: how many frames come out, and how many samples are under one.

Plain arithmetic, for numbers and for tensors of them; torch is not needed for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Count = TypeVar("Count", int, "Tensor")


def frames_after(kernels: Sequence[int], strides: Sequence[int], samples: Count) -> Count:
    """Windows that fit into so many samples; below 1 when they are too few for one."""
    for kernel, stride in zip(kernels, strides, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


def samples_under(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples under one frame (400 in all published models)."""
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples
