"""Random spans to mask, in time or over channels (wav2vec 2.0 section 3.1 and appendix A, as fairseq draws them).

The probability is a budget: probability * T / length spans are drawn and may overlap, so 0.65 masks about 49 % of T.
All rows are then cut to the smallest row's count by single frames, because the loss needs a rectangle.
Shapes: B batch, T frames (or channels), M frames to predict in each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Shape = Literal["static", "uniform", "poisson", "normal"]
GAP = 1  # frames left between two spans that may not overlap


def span_mask(
    rng: np.random.Generator,
    batch: int,
    frames: int,
    *,
    probability: float,
    length: int,
    min_spans: int = 2,
    shape: Shape = "static",
    spread: float = 0.0,
    overlap: bool = True,
    equal: bool = True,
    lengths: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw spans for each row.

    Args:
        rng: where the draws come from.
        batch, frames: B and T.
        probability: share of frames that the spans would cover without overlap.
        length: frames a span, on average.
        min_spans: at least so many spans a row; none all the same where the probability is 0.
        shape: distribution of the spans' lengths around `length`.
        spread: uniform: at most so much shorter or longer; normal: standard deviation; not used by the others.
        overlap: whether spans may overlap; if not, those that find no room are left out.
        equal: cut all rows to the smallest row's count, by single frames.
        lengths: true frames of each row, when some are padded.

    Returns:
        (B, T) bool, with equally many true values in each row (if `equal`), none in the padding.
    """
    rows = [frames] * batch if lengths is None else [int(n) for n in lengths]
    shared = rng.random() if all(n == frames for n in rows) else None
    mask = np.zeros((batch, frames), dtype=bool)
    if not probability:
        return mask
    for row, size in zip(mask, rows, strict=True):
        rounding = rng.random() if shared is None else shared
        count = min(size, max(min_spans, int(probability * size / length + rounding)))
        spans = span_lengths(rng, count, length=length, shape=shape, spread=spread)
        starts = _anywhere(rng, spans, size) if overlap else _apart(rng, spans, size)
        for start, span in starts:
            row[start : min(start + span, size)] = True
    return equalise(rng, mask) if equal else mask


def span_lengths(rng: np.random.Generator, count: int, *, length: int, shape: Shape, spread: float) -> np.ndarray:
    """Lengths of `count` spans, at least one frame each."""
    if shape == "uniform":
        drawn = rng.integers(round(length - spread), round(length + spread), count, endpoint=True)
    elif shape == "poisson":
        drawn = rng.poisson(length, count)
    elif shape == "normal":
        drawn = np.rint(rng.normal(length, spread, count)).astype(np.int64)
    else:
        drawn = np.full(count, length)
    return np.maximum(drawn, 1)


def near_edges(mask: np.ndarray, reach: int) -> np.ndarray:
    """Of the masked frames (B, T), those at most `reach` frames from one that is not masked (wav2vec 2.0 appendix F)."""
    places = np.arange(mask.shape[1])
    before = np.maximum.accumulate(np.where(mask, -mask.shape[1], places), axis=1)  # the last frame seen so far
    after = np.minimum.accumulate(np.where(mask, 2 * mask.shape[1], places)[:, ::-1], axis=1)[:, ::-1]
    near: np.ndarray = mask & (np.minimum(places - before, after - places) <= reach)
    return near


def equalise(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Cut all rows of (B, T) to the smallest row's count, leaving out frames at random."""
    equal = int(mask.sum(1).min(initial=mask.shape[1]))
    cut = np.zeros_like(mask)
    for row, full in zip(cut, mask, strict=True):
        indices = np.flatnonzero(full)
        row[indices if len(indices) == equal else rng.choice(indices, equal, replace=False)] = True
    return cut


def frame_indices(mask: np.ndarray) -> np.ndarray:
    """Where the true values of (B, T) are: (B, M) int64, ascending; each row must have M."""
    return np.nonzero(mask)[1].reshape(mask.shape[0], -1)


def _anywhere(rng: np.random.Generator, spans: np.ndarray, size: int) -> list[tuple[int, int]]:
    """(start, length) of each span, all starts different; a span may run over the end of a short row, and is cut."""
    count, margin = len(spans), int(spans.min(initial=size))
    if size - margin <= count:
        margin = max(0, size - count - 1)
    return list(zip(rng.choice(size - margin, count, replace=False).tolist(), spans.tolist(), strict=True))


def _apart(rng: np.random.Generator, spans: np.ndarray, size: int) -> list[tuple[int, int]]:
    """(start, length) of the spans that find room, the longest first, each place that is free equally likely."""
    free, placed = [(0, size)], []
    for span in sorted(spans.tolist(), reverse=True):
        room = np.array([max(0, end - start - span + 1) for start, end in free])
        if not room.any():
            continue
        place = int(rng.integers(room.sum()))
        chosen = int(np.searchsorted(room.cumsum(), place, side="right"))
        begin, end = free.pop(chosen)
        start = begin + place - int(room[:chosen].sum())
        placed.append((start, span))
        free += [(begin, start - GAP), (start + span + GAP, end)]
    return placed
