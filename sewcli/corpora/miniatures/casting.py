"""The cast of a miniature corpus: synthetic speakers, their voices, rooms and microphones.

One speaker is one process with calls in a fixed order (`corpora.speech` says why), so that every byte of a miniature is
a function of its plan, whatever the number of processes. Waves: float64, (S,), 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sewcli.base.errors import UsageError
from sewcli.base.files import atomic_folder, os_errors_as_usage_errors, read_json, remove_leftovers, write_json
from sewcli.base.log import info, progress
from sewcli.base.processes import in_processes
from sewcli.base.rng import numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora.miniatures import speech
from sewcli.corpora.places import MINIATURE, is_miniature

T = TypeVar("T")
R = TypeVar("R")

BASES = ("en-us", "en-us-nyc", "en", "en-gb-x-rp", "en-gb-scotland")
VARIANTS = {  # those that sound like nobody else, and can be understood
    "F": "f1 f2 f3 f4 f5 Alicia Andrea Annie belinda linda aunty anika steph shelby Nguyen",
    "M": (
        "m1 m2 m3 m4 m5 m6 m7 m8 Alex Andy Denis Gene Gene2 Jacky Lee Mario Michael Mike Reed boris david ed edward "
        "john klatt3 max miguel norbert pablo paul robert sandro travis victor"
    ),
}


@dataclass(frozen=True)
class Speaker:
    """One speaker: identity, voice, and the room and microphone they speak in."""

    number: int
    sex: str  # F or M
    voice: speech.Voice
    loudness: float  # dB of full scale (RMS)
    noise: float  # dB below the speech
    hum: float  # 0 for white noise, towards 1 for low rumble
    tilt: tuple[float, ...]  # dB of the cosines that shape the spectrum

    @property
    def name(self) -> str:
        """What a table of speakers calls them."""
        return f"eSpeak NG {self.voice.name}"


class Casting:
    """Draws speakers from `rng`, no voice and no number twice.

    Args:
        rng: of the plan's seed.
        total: how many will be drawn.

    Raises:
        UsageError: more than there are voices.
    """

    def __init__(self, rng: np.random.Generator, total: int) -> None:
        self._rng = rng
        self._voices = {}
        for sex, variants in VARIANTS.items():
            names = [f"{base}+{variant}" for base in BASES for variant in variants.split()]
            self._voices[sex] = iter(rng.permutation(names).tolist())
        most = 2 * min(len(BASES) * len(variants.split()) for variants in VARIANTS.values())
        if total > most:
            raise UsageError("too-many-speakers", f"{total} speakers are more than the {most} voices of a miniature")
        self._numbers = iter(rng.permutation(np.arange(100, 9000))[:total])

    def next(self, sex: str) -> Speaker:
        """The next speaker of this sex (F or M)."""
        rng = self._rng
        voice = speech.Voice(
            next(self._voices[sex]), int(rng.integers(150, 200)), int(rng.integers(35, 70)), int(rng.integers(35, 70))
        )
        return Speaker(
            number=int(next(self._numbers)),
            sex=sex,
            voice=voice,
            loudness=float(rng.uniform(-32, -21)),
            noise=float(rng.uniform(18, 40)),
            hum=float(rng.uniform(0, 0.95)),
            tilt=tuple(float(x) for x in rng.normal(0, (2.5, 1.5, 1.0))),
        )


def cast(seed: int, count: int) -> list[Speaker]:
    """`count` speakers, women and men in turn."""
    casting = Casting(numpy_rng(seed, "speakers"), count)
    return [casting.next("FM"[i % 2]) for i in range(count)]


class Booth:
    """A speaker in their room. At most one a process; the same sentences in the same order give the same samples."""

    def __init__(self, speaker: Speaker, seed: int) -> None:
        self._speaker = speaker
        self._synthesizer = speech.Synthesizer(speaker.voice)
        self.rng = numpy_rng(seed, "room", speaker.number)

    def say(self, text: str) -> np.ndarray:
        """The recording of a sentence: float64, shape (S,), 16 kHz, 0.10 to 0.25 s of room at both ends."""
        import soxr

        spoken, speaker, rng = self._synthesizer.speak(text.lower()), self._speaker, self.rng
        wave = soxr.resample(spoken.astype(np.float64) / 32768, self._synthesizer.rate, SAMPLE_RATE, quality="HQ")
        loud = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max())
        wave = wave[loud[0] : loud[-1] + 1]
        silence = [np.zeros(int(rng.uniform(0.10, 0.25) * SAMPLE_RATE)) for _ in range(2)]
        wave = np.concatenate([silence[0], wave, silence[1]])
        size = -(-len(wave) // 2048) * 2048  # transforms of a prime length are slow
        spectrum = np.fft.rfft(wave, size)
        position = np.sqrt(np.linspace(0, 1, len(spectrum)))  # finer at low frequencies, as the ear is
        decibels = sum(a * np.cos(np.pi * (k + 1) * position) for k, a in enumerate(speaker.tilt))
        wave = np.fft.irfft(spectrum * 10 ** (decibels / 20), size)[: len(wave)]
        wave *= 10 ** (speaker.loudness / 20) / np.sqrt(np.mean(wave**2))
        return np.asarray(wave + self.room(len(wave)))

    def room(self, samples: int) -> np.ndarray:
        """The noise of the room alone: float64, shape (samples,)."""
        noise = self.rng.standard_normal(samples + 64)
        noise = np.convolve(noise, self._speaker.hum ** np.arange(64.0))[63 : 63 + samples]
        level = 10 ** ((self._speaker.loudness - self._speaker.noise) / 20)
        return np.asarray(noise * (level / np.sqrt(np.mean(noise**2))))


def in_fresh_processes(work: Callable[[T], R], items: Sequence[T], jobs: int, title: str) -> list[R]:
    """`work(item)` for each item, each in a process that has never spoken; shows progress under `title`.

    Args:
        work: a function that can be pickled; it may hold one `Booth`.
        items: its arguments.
        jobs: how many processes at a time.
        title: what the progress bar says.

    Raises:
        SewError: a process was killed. Whatever `work` raises is raised here.
    """
    results = []
    with progress(title, len(items)) as meter:
        for result in in_processes(work, items, jobs, fresh=True, preload=(__name__, "soxr")):
            results.append(result)
            meter.advance()
    return results


@contextmanager
def written_once(corpus: Path, mark: dict[str, Any]) -> Iterator[Path | None]:
    """Yield a folder to write a miniature into, which then takes the place of `corpus`: all of it, or nothing.

    Args:
        corpus: where the miniature goes.
        mark: the plan, which `MINIATURE.json` will hold. None is yielded when this very miniature is there already.

    Raises:
        UsageError: eSpeak NG is missing, the disk is full, or the folder holds something else.
    """
    if is_miniature(corpus):
        if read_json(corpus / MINIATURE) == mark:
            info(f"{corpus}: this miniature is there already")
            yield None
            return
    elif corpus.exists() and any(corpus.iterdir()):
        raise UsageError(
            "folder-not-empty",
            "this folder is not empty and holds no miniature",
            where=corpus,
            hint="choose another --out",
        )
    speech.require()
    with os_errors_as_usage_errors(corpus):
        corpus.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(corpus.parent)
    with atomic_folder(corpus) as folder:
        yield folder
        write_json(folder / MINIATURE, mark)
