"""Random spans to mask, in time and over channels (wav2vec 2.0 section 3.1, as fairseq draws them).

The probability is a budget: probability * T / length spans are drawn and may overlap, so 0.65 masks about 49 % of T.
All rows are then cut to the smallest row's count by single frames, because the loss needs a rectangle.
Shapes: B batch, T frames, E channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def span_mask(
    rng: np.random.Generator,
    batch: int,
    frames: int,
    *,
    probability: float,
    length: int,
    min_masks: int = 2,
    lengths: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw spans for each row.

    Args:
        rng: where the draws come from.
        batch, frames: B and T.
        probability: share of frames that the spans would cover without overlap.
        length: frames a span.
        min_masks: at least so many spans a row.
        lengths: true frames of each row, when some are padded.

    Returns:
        (B, T) bool, with equally many true values in each row, none in the padding.
    """
    rows = [frames] * batch if lengths is None else [int(n) for n in lengths]
    shared = rng.random() if all(n == frames for n in rows) else None
    chosen = []
    for size in rows:
        rounding = rng.random() if shared is None else shared
        count = min(size, max(min_masks, int(probability * size / length + rounding)))
        span = (
            length if size - length > count else max(0, size - count - 1)
        )  # short: spans run over the end and are cut
        starts = rng.choice(size - span, count, replace=False)
        spans = (starts[:, None] + np.arange(length)).ravel()
        chosen.append(np.unique(spans[spans < size]))
    equal = min((len(indices) for indices in chosen), default=0)
    mask = np.zeros((batch, frames), dtype=bool)
    for row, indices in zip(mask, chosen, strict=True):
        row[indices if len(indices) == equal else rng.choice(indices, equal, replace=False)] = True
    return mask


def channel_mask(rng: np.random.Generator, batch: int, width: int, *, probability: float, length: int) -> np.ndarray:
    """Channels to set to zero for a whole utterance: (B, E) bool; possibly none."""
    return span_mask(rng, batch, width, probability=probability, length=length, min_masks=0)
