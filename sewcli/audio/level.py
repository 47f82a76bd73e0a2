"""How loud the loudest part of a recording is, for models that hear the level: those that do not normalise their waves.

A norm over time inside a model has a small constant beside the variance, so that speech far below the level of its training
fades into it: words are lost from about -40 dB of full scale on. Shapes: S samples in [-1, 1).
"""

from __future__ import annotations

import math

import numpy as np

PART = 8_000  # samples, half a second
QUIET, SILENT = (
    -35.0,
    -90.0,
)  # dB of full scale, of the loudest part: below the first speech is quiet, below the second none


class Loudest:
    """The root mean square of the loudest half second of samples that come in blocks."""

    def __init__(self) -> None:
        self._held = np.zeros(0, dtype=np.float32)
        self._mean_square: float | None = None

    def push(self, samples: np.ndarray) -> None:
        """Take samples (S,)."""
        self._held = np.concatenate([self._held, samples])
        parts = len(self._held) // PART
        if parts:
            whole = self._held[: parts * PART].reshape(parts, PART)
            self._take(float(np.square(whole, dtype=np.float64).mean(axis=1).max()))
            self._held = self._held[parts * PART :]

    def decibels(self) -> float:
        """The level in dB of full scale; minus infinity without a signal."""
        if self._mean_square is None and len(self._held):
            self._take(float(np.square(self._held, dtype=np.float64).mean()))
        return 10 * math.log10(self._mean_square) if self._mean_square else -math.inf

    def _take(self, mean_square: float) -> None:
        self._mean_square = max(mean_square, self._mean_square or 0.0)


def is_quiet(decibels: float) -> bool:
    """Whether this is speech of a low level, if it is speech."""
    return SILENT < decibels < QUIET


def level_of(wave: np.ndarray) -> float:
    """The level of the loudest half second of a wave (S,), in dB of full scale."""
    loudest = Loudest()
    loudest.push(wave)
    return loudest.decibels()
