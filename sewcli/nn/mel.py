"""Triangular filters on the mel scale (Kaldi's, which is HTK's); torch is not needed for them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sewcli.base.sample_rate import SAMPLE_RATE

TRANSFORM = 512  # samples of the Fourier transform, the next power of two above a window of 25 ms
LOWEST = 20.0  # Hz
FLOOR = 1e-10  # of an energy, so that digital silence has a logarithm


@lru_cache(maxsize=8)
def mel_filters(bands: int) -> np.ndarray:
    """(frequencies, bands) in float64: triangles whose corners are evenly spaced in mel, from `LOWEST` to half the rate."""
    frequencies = np.linspace(0, SAMPLE_RATE / 2, TRANSFORM // 2 + 1)
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (LOWEST, SAMPLE_RATE / 2))
    corners = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    rising = (frequencies[:, None] - corners[:-2]) / np.diff(corners)[:-1]
    falling = (corners[2:] - frequencies[:, None]) / np.diff(corners)[1:]
    return np.maximum(0, np.minimum(rising, falling))
