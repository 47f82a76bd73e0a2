"""The one resampler: telephone and studio recordings become 16 kHz here and nowhere else.

libsoxr at its very high quality (pass band to 0.913 of the lower Nyquist frequency, images below -144 dB), because two
resamplers give different samples, and what is prepared must not depend on what else is installed.
"""

from __future__ import annotations

import numpy as np

from sewcli.audio.io import RATE


def to_16k(wave: np.ndarray, rate: int) -> np.ndarray:
    """Resample one channel to 16 kHz.

    Args:
        wave: float32 or float64, shape (S,).
        rate: of `wave`, in Hz.

    Returns:
        The same type, shape (about S * 16000 / rate,); `wave` itself when it has that rate.
    """
    if rate == RATE:
        return wave
    import soxr  # imported late: most corpora never need it

    return np.asarray(soxr.resample(wave, rate, RATE, quality="VHQ"))
