"""A miniature of LibriSpeech: synthetic speech in the true folders, names and formats, in under a minute.

Same tree, same part names, 16 kHz mono 16-bit FLAC and `.trans.txt` in capitals, so that whatever runs on the miniature
runs on LibriSpeech. Speakers and sentences of train, dev and test are disjoint, and every byte is a function of the plan.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.audio.io import encode_flac
from sewcli.base.files import os_errors_as_usage_errors
from sewcli.base.rng import numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora.miniatures.casting import Booth, Casting, Speaker, in_fresh_processes, written_once
from sewcli.corpora.miniatures.sentences import sentences

VERSION = 3  # raise it when the audio or the text of a plan changes
CHAPTER = 12  # utterances a chapter
SHORTEST, LONGEST = 0.4, 4.0  # seconds of an utterance


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
class Reader:
    """A speaker with the part of the corpus and the chapters they read."""

    speaker: Speaker
    part: Part
    chapters: tuple[int, ...]

    @property
    def number(self) -> int:
        """As in SPEAKERS.TXT."""
        return self.speaker.number


def write_miniature(corpus: str | Path, plan: Plan = Plan(), *, jobs: int | None = None) -> bool:
    """Write a corpus in the layout of LibriSpeech to the folder `corpus`; all of it, or nothing.

    Returns:
        False when the very same miniature is there already.

    Raises:
        UsageError: eSpeak NG is missing, the disk is full, or the folder holds something else.
    """
    with written_once(Path(corpus), plan.mark()) as folder:
        if folder is None:
            return False
        readers = cast_readers(plan)
        work = partial(read, folder, seed=plan.seed)
        spoken = in_fresh_processes(work, readers, jobs or os.cpu_count() or 1, "speaking the miniature")
        minutes = {reader.number: length for reader, length in zip(readers, spoken, strict=True)}
        _write_tables(folder, readers, minutes)
    return True


def cast_readers(plan: Plan) -> list[Reader]:
    """The readers of a plan in the order of its parts: no voice twice, half women, half men."""
    rng = numpy_rng(plan.seed, "speakers")
    casting = Casting(rng, sum(part.speakers for part in plan.parts))
    chapters = iter(rng.permutation(np.arange(100_000, 200_000)))
    return [
        Reader(
            casting.next("FM"[i % 2]), part, tuple(int(next(chapters)) for _ in range(-(-part.utterances // CHAPTER)))
        )
        for part in plan.parts
        for i in range(part.speakers)
    ]


def read(folder: Path, reader: Reader, seed: int) -> float:
    """Write the chapters of one reader below `folder`; returns minutes. Call it in a fresh process."""
    booth = Booth(reader.speaker, seed)
    texts = sentences(reader.part.text, seed, reader.number)
    left, samples = reader.part.utterances, 0
    with os_errors_as_usage_errors(folder.parent):
        for chapter in reader.chapters:
            place = folder / reader.part.name / str(reader.number) / str(chapter)
            place.mkdir(parents=True)
            lines: list[str] = []
            while len(lines) < min(CHAPTER, left):
                text = next(texts)
                wave = booth.say(text)
                if not SHORTEST <= len(wave) / SAMPLE_RATE <= LONGEST:
                    continue
                identity = f"{reader.number}-{chapter}-{len(lines):04d}"
                (place / f"{identity}.flac").write_bytes(encode_flac(wave))
                lines.append(f"{identity} {text}\n")
                samples += len(wave)
            left -= len(lines)
            (place / f"{reader.number}-{chapter}.trans.txt").write_text("".join(lines), encoding="utf-8")
    return samples / SAMPLE_RATE / 60


def _write_tables(folder: Path, readers: Sequence[Reader], minutes: dict[int, float]) -> None:
    """The text files beside the parts, in the format of the true ones."""
    ordered = sorted(readers, key=lambda reader: reader.number)
    people = [
        f"{s.number:<5}| {s.speaker.sex} | {s.part.name:<17}| {minutes[s.number]:5.2f} | {s.speaker.name}\n"
        for s in ordered
    ]
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
        "SPEAKERS.TXT": head.format(what="speaker") + ";ID  |SEX| SUBSET           |MINUTES| NAME\n" + "".join(people),
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
