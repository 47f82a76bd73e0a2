"""A miniature of LibriSpeech: synthetic speech in the true folders, names and formats, in under a minute.

Same tree, same part names, 16 kHz mono 16-bit FLAC and `.trans.txt` in capitals, so that whatever runs on the miniature
runs on LibriSpeech. Speakers and sentences of train, dev and test are disjoint. One speaker is one process with calls
in a fixed order, so that every byte is a function of the plan, whatever the number of processes (`corpora.speech`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.audio.io import RATE, encode_flac
from sewcli.base.errors import SewError, UsageError
from sewcli.base.files import atomic_folder, explained, read_json, remove_leftovers, write_json
from sewcli.base.log import info, progress
from sewcli.base.rng import numpy_rng
from sewcli.corpora import speech
from sewcli.corpora.sentences import sentences

MARK = "MINIATURE.json"  # the plan that a miniature was made by; a folder without it is never overwritten
VERSION = 3  # raise it when the audio or the text of a plan changes
CHAPTER = 12  # utterances a chapter
SHORTEST, LONGEST = 0.4, 4.0  # seconds of an utterance

BASES = ("en-us", "en-us-nyc", "en", "en-gb-x-rp", "en-gb-scotland")
VARIANTS = {  # those that sound like nobody else, and can be understood
    "F": "f1 f2 f3 f4 f5 Alicia Andrea Annie belinda linda aunty anika steph shelby Nguyen",
    "M": (
        "m1 m2 m3 m4 m5 m6 m7 m8 Alex Andy Denis Gene Gene2 Jacky Lee Mario Michael Mike Reed boris david ed edward "
        "john klatt3 max miguel norbert pablo paul robert sandro travis victor"
    ),
}


@dataclass(frozen=True)
class Part:
    """A part of the corpus: its LibriSpeech name, speakers, and utterances a speaker."""

    name: str
    speakers: int
    utterances: int

    @property
    def text(self) -> str:
        """Which third of the sentences it uses: train, dev or test."""
        return self.name.split("-")[0]


@dataclass(frozen=True)
class Plan:
    """All that decides the bytes of a miniature. The default: about 75 minutes of train, 2 of dev, 8 of test."""

    parts: tuple[Part, ...] = (Part("train-clean-100", 100, 26), Part("dev-clean", 10, 8), Part("test-clean", 20, 16))
    seed: int = 1

    def mark(self) -> dict[str, Any]:
        """What `MINIATURE.json` holds."""
        return {"version": VERSION, "seed": self.seed, "parts": [asdict(part) for part in self.parts]}


@dataclass(frozen=True)
class Speaker:
    """One reader: identity, voice, and the room and microphone they speak in."""

    number: int
    chapters: tuple[int, ...]
    sex: str
    part: Part
    voice: speech.Voice
    loudness: float  # dB of full scale (RMS)
    noise: float  # dB below the speech
    hum: float  # 0 for white noise, towards 1 for low rumble
    tilt: tuple[float, ...]  # dB of the cosines that shape the spectrum

    @property
    def name(self) -> str:
        """As in SPEAKERS.TXT."""
        return f"eSpeak NG {self.voice.name}"


def write_miniature(corpus: str | Path, plan: Plan = Plan(), *, jobs: int | None = None) -> bool:
    """Write a corpus in the layout of LibriSpeech to the folder `corpus`; all of it, or nothing.

    Returns:
        False when the very same miniature is there already.

    Raises:
        UsageError: eSpeak NG is missing, the disk is full, or the folder holds something else.
    """
    corpus = Path(corpus)
    if (corpus / MARK).is_file():
        if read_json(corpus / MARK) == plan.mark():
            info(f"{corpus}: this miniature is there already")
            return False
    elif corpus.exists() and any(corpus.iterdir()):
        raise UsageError("this folder is not empty and holds no miniature", where=corpus, mend="choose another --out")
    speech.require()
    corpus.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(corpus.parent)
    speakers = cast_speakers(plan)
    with atomic_folder(corpus) as folder:
        minutes = _speak_all(folder, speakers, plan.seed, jobs or os.cpu_count() or 1)
        _write_tables(folder, speakers, minutes)
        write_json(folder / MARK, plan.mark())
    return True


def cast_speakers(plan: Plan) -> list[Speaker]:
    """The speakers of a plan in the order of its parts: no voice twice, half women, half men."""
    rng = numpy_rng(plan.seed, "speakers")
    voices = {}
    for sex, variants in VARIANTS.items():
        names = [f"{base}+{variant}" for base in BASES for variant in variants.split()]
        voices[sex] = iter(rng.permutation(names).tolist())
    total = sum(part.speakers for part in plan.parts)
    most = 2 * min(len(BASES) * len(variants.split()) for variants in VARIANTS.values())
    if total > most:
        raise UsageError(f"{total} speakers are more than the {most} voices of a miniature")
    numbers = iter(rng.permutation(np.arange(100, 9000))[:total])
    chapters = iter(rng.permutation(np.arange(100_000, 200_000)))
    speakers = []
    for part in plan.parts:
        for i in range(part.speakers):
            sex = "FM"[i % 2]
            voice = speech.Voice(
                next(voices[sex]), int(rng.integers(150, 200)), int(rng.integers(35, 70)), int(rng.integers(35, 70))
            )
            speakers.append(
                Speaker(
                    number=int(next(numbers)),
                    chapters=tuple(int(next(chapters)) for _ in range(-(-part.utterances // CHAPTER))),
                    sex=sex,
                    part=part,
                    voice=voice,
                    loudness=float(rng.uniform(-32, -21)),
                    noise=float(rng.uniform(18, 40)),
                    hum=float(rng.uniform(0, 0.95)),
                    tilt=tuple(float(x) for x in rng.normal(0, (2.5, 1.5, 1.0))),
                )
            )
    return speakers


def speak(folder: Path, speaker: Speaker, seed: int) -> float:
    """Write the chapters of one speaker below `folder`; returns minutes. Call it in a fresh process."""
    synthesizer = speech.Synthesizer(speaker.voice)
    rng = numpy_rng(seed, "room", speaker.number)
    texts = sentences(speaker.part.text, seed, speaker.number)
    left, samples = speaker.part.utterances, 0
    for chapter in speaker.chapters:
        place = folder / speaker.part.name / str(speaker.number) / str(chapter)
        place.mkdir(parents=True)
        lines: list[str] = []
        while len(lines) < min(CHAPTER, left):
            text = next(texts)
            wave = _recorded(synthesizer.speak(text.lower()), synthesizer.rate, speaker, rng)
            if not SHORTEST <= len(wave) / RATE <= LONGEST:
                continue
            identity = f"{speaker.number}-{chapter}-{len(lines):04d}"
            (place / f"{identity}.flac").write_bytes(encode_flac(wave))
            lines.append(f"{identity} {text}\n")
            samples += len(wave)
        left -= len(lines)
        (place / f"{speaker.number}-{chapter}.trans.txt").write_text("".join(lines), encoding="utf-8")
    return samples / RATE / 60


def _recorded(spoken: np.ndarray, rate: int, speaker: Speaker, rng: np.random.Generator) -> np.ndarray:
    """The speaker in their room: 16 kHz float, shape (S,), silence trimmed and padded, coloured, with noise."""
    import soxr

    wave = soxr.resample(spoken.astype(np.float64) / 32768, rate, RATE, quality="HQ")
    loud = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max())
    wave = wave[loud[0] : loud[-1] + 1]
    silence = [np.zeros(int(rng.uniform(0.10, 0.25) * RATE)) for _ in range(2)]
    wave = np.concatenate([silence[0], wave, silence[1]])
    size = -(-len(wave) // 2048) * 2048  # transforms of a prime length are slow
    spectrum = np.fft.rfft(wave, size)
    position = np.sqrt(np.linspace(0, 1, len(spectrum)))  # finer at low frequencies, as the ear is
    decibels = sum(a * np.cos(np.pi * (k + 1) * position) for k, a in enumerate(speaker.tilt))
    wave = np.fft.irfft(spectrum * 10 ** (decibels / 20), size)[: len(wave)]
    wave *= 10 ** (speaker.loudness / 20) / np.sqrt(np.mean(wave**2))
    noise = rng.standard_normal(len(wave) + 64)
    noise = np.convolve(noise, speaker.hum ** np.arange(64.0))[63 : 63 + len(wave)]
    noise *= 10 ** ((speaker.loudness - speaker.noise) / 20) / np.sqrt(np.mean(noise**2))
    return wave + noise


def _speak_all(folder: Path, speakers: Sequence[Speaker], seed: int, jobs: int) -> dict[int, float]:
    """Speak in `jobs` processes, a fresh one for each speaker; returns minutes by speaker number."""
    context = multiprocessing.get_context("forkserver")  # forks a process that has never loaded eSpeak NG
    context.set_forkserver_preload([__name__, "soxr"])
    minutes = {}
    try:
        with ProcessPoolExecutor(jobs, context, _leave_ctrl_c_to_the_parent, max_tasks_per_child=1) as pool:
            futures = {pool.submit(_explained_speak, folder, speaker, seed): speaker for speaker in speakers}
            try:
                with progress("speaking the miniature", len(speakers)) as meter:
                    for future in as_completed(futures):
                        minutes[futures[future].number] = future.result()
                        meter.advance()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenProcessPool:
        raise SewError(
            "a process that speaks was killed", mend="run the same command again, with fewer --jobs"
        ) from None
    return minutes


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _explained_speak(folder: Path, speaker: Speaker, seed: int) -> float:
    with explained(folder.parent):
        return speak(folder, speaker, seed)


def _write_tables(folder: Path, speakers: Sequence[Speaker], minutes: dict[int, float]) -> None:
    """The text files beside the parts, in the format of the true ones."""
    ordered = sorted(speakers, key=lambda speaker: speaker.number)
    readers = [f"{s.number:<5}| {s.sex} | {s.part.name:<17}| {minutes[s.number]:5.2f} | {s.name}\n" for s in ordered]
    share = {s.number: minutes[s.number] / len(s.chapters) for s in ordered}
    chapters = [
        f"{chapter:<7}| {s.number:<5}| {share[s.number]:5.2f} | {s.part.name:<17}| 1     | 1     "
        f"| Chapter {index} | {BOOK}\n"
        for s in ordered
        for index, chapter in enumerate(s.chapters, start=1)
    ]
    head = "; One line for each {what}, fields separated by pipes:\n;\n"
    files = {
        "README.TXT": README,
        "LICENSE.TXT": LICENSE,
        "SPEAKERS.TXT": head.format(what="speaker") + ";ID  |SEX| SUBSET           |MINUTES| NAME\n" + "".join(readers),
        "CHAPTERS.TXT": head.format(what="chapter")
        + ";ID    |READER|MINUTES| SUBSET           | PROJ. |BOOK ID| CH. TITLE | PROJECT TITLE\n"
        + "".join(chapters),
        "BOOKS.TXT": head.format(what="book") + f";ID  | AUTHOR(S) | TITLE\n1    | a grammar | {BOOK}\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


BOOK = "Commands to a House"
README = """A miniature in the layout of the LibriSpeech corpus. It is not LibriSpeech, and nobody said any of this.

The sentences come from a small grammar, the voices from the eSpeak NG synthesiser at 16 kHz with some room and noise.
Speakers and sentences of the train, dev and test parts are disjoint. Written by `sew prep librispeech --mini`.
"""
LICENSE = """The sentences and the synthetic audio of this folder are placed in the public domain (CC0 1.0).

See <https://creativecommons.org/publicdomain/zero/1.0/>.
"""
