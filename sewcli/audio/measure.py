"""What can be wrong with samples that a file reader takes for good: no signal, silence, clipping, an offset.

One pass over blocks, so that an hour-long recording costs no memory. Shapes: S samples of one channel in [-1, 1).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

FULL_SCALE = 0.98  # u-law ends at 32124 of 32768
LARGEST = 1 - 2**-15  # of 16 bits; what decoders of lossy formats make above it counts as this
FLAT = 3  # equal samples in a row at full scale: a rounded peak has two at most, a cut one has a flat top


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one stretch of one channel; full scale is 1.

    Args:
        samples: how many there are.
        not_finite: how many are NaN or infinite; they count as 0 in all that follows.
        offset: the mean (direct current).
        rms: the root of the mean square around it; 0 when all samples are equal.
        clipped: share of samples in flat tops: runs of 3 or more equal samples at 0.98 of full scale or beyond.
        digest: of the samples as float32, whatever the file's format.
    """

    samples: int
    not_finite: int
    offset: float
    rms: float
    clipped: float
    digest: bytes

    @property
    def decibels(self) -> float:
        """The level in dB of full scale (minus infinity without a signal)."""
        return 20 * math.log10(self.rms) if self.rms else -math.inf


def measure(blocks: Iterable[np.ndarray]) -> Measures:
    """Measure a stretch given as blocks of float32, each of shape (S,)."""
    samples = not_finite = clipped = 0
    total = squares = 0.0
    low, high = math.inf, -math.inf
    before = np.full(FLAT, np.nan, dtype=np.float32)  # the last samples of the block before
    digest = hashlib.sha1(usedforsecurity=False)
    for block in blocks:
        digest.update(np.ascontiguousarray(block).data)
        lowest, highest = float(block.min()), float(block.max())
        if not math.isfinite(lowest + highest):
            finite = np.isfinite(block)
            not_finite += int(len(block) - finite.sum())
            block = np.where(finite, block, np.float32(0))  # noqa: PLW2901
            lowest, highest = float(block.min()), float(block.max())
        samples += len(block)
        low, high = min(low, lowest), max(high, highest)
        total += float(block.sum(dtype=np.float64))
        squares += float(np.square(block, dtype=np.float64).sum())
        joined = np.concatenate([before, block])
        if max(-low, high) >= FULL_SCALE:
            clipped += _flat(joined)
        before = joined[-FLAT:]
    mean = total / max(samples, 1)
    variance = squares / max(samples, 1) - mean**2 if high > low else 0.0  # rounding leaves a trace of equal samples
    return Measures(
        samples, not_finite, mean, math.sqrt(max(variance, 0.0)), clipped / max(samples, 1), digest.digest()
    )


def _flat(samples: np.ndarray) -> int:
    """How many samples are in flat tops, without those that were counted with the block before (the first FLAT)."""
    samples = np.clip(samples, -1, LARGEST)
    loud = np.abs(samples) >= FULL_SCALE
    third = loud[2:] & (samples[2:] == samples[1:-1]) & (samples[1:-1] == samples[:-2])  # the third or a later one
    new = third[1:]
    begun = new & ~third[:-1]
    return int(new.sum()) + (FLAT - 1) * int(begun.sum())
