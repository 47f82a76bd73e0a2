"""The one resampler: telephone and studio recordings become 16 kHz here and nowhere else.

libsoxr at its very high quality (pass band to 0.913 of the lower Nyquist frequency, images below -144 dB), because two
resamplers give different samples, and what is prepared must not depend on what else is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from sewcli.base.sample_rate import SAMPLE_RATE

QUALITY = "VHQ"


def to_16k(wave: np.ndarray, rate: int) -> np.ndarray:
    """Resample one channel to 16 kHz.

    Args:
        wave: float32 or float64, shape (S,).
        rate: of `wave`, in Hz.

    Returns:
        The same type, shape (about S * 16000 / rate,); `wave` itself when it has that rate.
    """
    return wave if rate == SAMPLE_RATE else resampled(wave, rate)


def resampled(wave: np.ndarray, rate: float) -> np.ndarray:
    """`wave` as if it had been recorded at `rate` Hz, at 16 kHz: at 17,600 it is 1.1 times as fast, and higher."""
    import soxr  # imported late: most corpora never need it

    return np.asarray(soxr.resample(wave, rate, SAMPLE_RATE, quality=QUALITY))


def blocks_to_16k(blocks: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Resample a stream of any length to 16 kHz: joined, the blocks are what `to_16k` makes of the whole, to rounding.

    Args:
        blocks: float32, each of shape (n, channels).
        rate: of them, in Hz.

    Yields:
        float32, shape (m, channels); none is empty.
    """
    if rate == SAMPLE_RATE:
        yield from (block for block in blocks if len(block))
        return
    import soxr

    stream, channels = None, 0
    for block in blocks:
        if stream is None:
            channels = block.shape[1]
            stream = soxr.ResampleStream(rate, SAMPLE_RATE, channels, dtype="float32", quality=QUALITY)
        made = stream.resample_chunk(np.ascontiguousarray(block))
        if len(made):
            yield made
    if stream is not None:
        made = stream.resample_chunk(np.zeros((0, channels), dtype=np.float32), last=True)
        if len(made):
            yield made
