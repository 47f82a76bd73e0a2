"""Rows of SEW-D's table of relative positions (DeBERTa section 3); torch is not needed for it."""

from __future__ import annotations

import math

import numpy as np


def rows_of_offsets(offsets: np.ndarray, buckets: int, max_positions: int) -> np.ndarray:
    """The row, 0 to 2 `buckets` - 1, of each offset.

    An offset has its own row up to `buckets` / 2; beyond, rows widen logarithmically and end at `max_positions`.
    """
    middle = buckets // 2
    distance = np.abs(offsets).astype(np.float64)
    far = np.ceil(np.log(np.maximum(distance, middle) / middle) / math.log((max_positions - 1) / middle) * (middle - 1))
    bucket = np.where(distance <= middle, offsets, (far + middle) * np.sign(offsets)).astype(np.int64)
    return np.clip(bucket + buckets, 0, 2 * buckets - 1)
