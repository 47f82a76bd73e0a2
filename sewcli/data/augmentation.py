"""Waves as they could also have been spoken: at another speed, in another room, with noise (for a few hours of labels).

Each draw is a function of (seed, update, micro-batch, place), so a resumed run meets the same waves. Speeds are resampled
(Ko et al. 2015), rooms are lhotse's fast random impulse responses (Luo and Yu 2022, https://arxiv.org/abs/2208.04101), and
noise is mixed in at a signal-to-noise ratio in dB. Shapes: S samples of a wave at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from sewcli.audio import io
from sewcli.audio.kinds import SOUND_ENDINGS
from sewcli.audio.resample import resampled, to_16k
from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.base.rng import key, numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.augmentation_config import AugmentationConfig

ROOMS = 64  # impulse responses of a run, made at its start
LONGEST_NOISE = 60.0  # seconds of a noise file that are used
KEPT = 64  # noise files kept in memory, of at most 4 MB each


class Augmentation:
    """Changes the waves of a micro-batch.

    Args:
        config: how often, and by how much.
        seed: of the run.

    Raises:
        UsageError: no such folder of noise.
        DataError: no sound file in it, or one that cannot be read.
    """

    def __init__(self, config: AugmentationConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.noises = noise_files(Path(config.noise)) if config.noise else []
        self._rooms = _rooms(seed) if config.reverberation else []

    def __call__(
        self, waves: Sequence[np.ndarray], step: int, number: int, fits: Callable[[int, int], bool]
    ) -> list[np.ndarray]:
        """The waves of a micro-batch, changed.

        Args:
            waves: float32, each (S,).
            step, number: the update and the micro-batch.
            fits: whether the labels of a wave, by its place, can be written in so many samples; otherwise it keeps its speed.

        Returns:
            float32, each (S / speed,).
        """
        return [
            self._changed(wave, partial(fits, place), numpy_rng(self.seed, "augmentation", step, number, place))
            for place, wave in enumerate(waves)
        ]

    def _changed(self, wave: np.ndarray, fits: Callable[[int], bool], rng: np.random.Generator) -> np.ndarray:
        config = self.config
        speed = float(rng.choice(config.speeds)) if config.speeds else 1.0
        if speed != 1.0 and fits(int(len(wave) / speed)):
            wave = resampled(wave, SAMPLE_RATE * speed)
        if rng.random() < config.reverberation:
            wave = in_room(wave, self._rooms[int(rng.integers(len(self._rooms)))])
        if self.noises and rng.random() < config.noise_share:
            noise = _noise(self.noises[int(rng.integers(len(self.noises)))])
            wave = with_noise(wave, noise, rng.uniform(*config.snr), int(rng.integers(len(noise))))
        return wave


def noise_files(folder: Path) -> list[Path]:
    """Sound files in a folder and below, by name.

    Raises:
        UsageError: no such folder.
        DataError: there is none, or one whose header cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(
            "folder-not-found",
            "no such folder of noise",
            where=folder,
            hint="--set augmentation.noise=FOLDER with sound files",
        )
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUND_ENDINGS)
    if not found:
        hint = "WAV, FLAC, MP3 or Ogg files of noise, in any depth"
        raise DataError("no-sound-files", "no sound file in this folder", where=folder, hint=hint)
    for path in found:
        io.probe(path)
    return found


def with_noise(wave: np.ndarray, noise: np.ndarray, snr: float, start: int) -> np.ndarray:
    """A wave with noise.

    Args:
        wave: float32 (S,); silence is left alone.
        noise: float32, of any length; it is repeated.
        snr: mean power of the wave over that of the noise, in dB.
        start: the sample of `noise` that comes first.
    """
    piece = np.take(noise, np.arange(start, start + len(wave)), mode="wrap")
    loud, power = float(np.mean(wave**2)), float(np.mean(piece**2))
    if not loud or not power:
        return wave
    return np.asarray(wave + piece * np.float32((loud / power / 10 ** (snr / 10)) ** 0.5), dtype=np.float32)


def in_room(wave: np.ndarray, response: np.ndarray) -> np.ndarray:
    """A wave as it sounds in a room: of the same length and power, and not later.

    Args:
        wave: float32 (S,).
        response: impulse response (R,), whose strongest sample is the direct path.
    """
    size = len(wave) + len(response) - 1
    points = 1 << (size - 1).bit_length()
    heard = np.fft.irfft(np.fft.rfft(wave, points) * np.fft.rfft(response, points), points)
    first = int(np.abs(response).argmax())
    heard = heard[first : first + len(wave)]
    power = float(np.mean(heard**2))
    return np.asarray(heard * (float(np.mean(wave**2)) / power) ** 0.5 if power else wave, dtype=np.float32)


def _rooms(seed: int) -> list[np.ndarray]:
    """Impulse responses, each a function of the seed and its number. torch's own draws are kept apart."""
    import torch
    from lhotse.augmentation.utils import FastRandomRIRGenerator

    found = []
    with torch.random.fork_rng(devices=[]), log.progress("rooms", ROOMS) as bar:
        for number in range(ROOMS):
            torch.manual_seed(key(seed, "room", number))
            generator = FastRandomRIRGenerator(
                room_seed=key(seed, "room-shape", number), source_seed=key(seed, "room-source", number)
            )
            found.append(np.asarray(generator()[0], dtype=np.float64))
            bar.advance()
    return found


@lru_cache(maxsize=KEPT)
def _noise(path: Path) -> np.ndarray:
    """The first minute of a file, its channels averaged: float32 (S,) at 16 kHz."""
    waves, info = io.read_channels(path)
    return to_16k(waves.mean(axis=0)[: int(LONGEST_NOISE * info.rate)], info.rate)
