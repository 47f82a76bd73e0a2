"""A miniature of Libri-Light: a `librispeech_finetuning` tree and a `small` tree, in the true folders, names and formats.

The labelled utterances are those of LibriSpeech's miniature, byte for byte and with their ids, as the true ones are
LibriSpeech's. Every first chapter lies in both 1h and 9h, with a `.trans.txt` of the same name in each, which all 24
chapters of the true 1h do. The recordings of `small` are a minute or two long, with their voice activity beside them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.audio.io import encode_flac
from sewcli.base.files import os_errors_as_usage_errors
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora.librilight import LABELLED
from sewcli.corpora.miniatures import librispeech
from sewcli.corpora.miniatures.casting import Booth, in_fresh_processes, written_once
from sewcli.corpora.miniatures.librispeech import Reader, cast_readers
from sewcli.corpora.miniatures.sentences import sentences

VERSION = 1  # raise it when the audio or the text of a plan changes
FRAME = 0.08  # seconds: the grid of the voice activity
ASIDE = ".spoken"  # where chapters are before they are dealt out
GAP = 0.48  # seconds: shorter pauses are none to the voice activity


@dataclass(frozen=True)
class Plan:
    """All that decides the bytes. The default: 4 minutes in 1h, 17 in 10h, 9 in small, of speakers of train."""

    base: librispeech.Plan = librispeech.Plan()
    """Of the LibriSpeech miniature whose speakers these are."""
    folds: int = 6
    """Of four speakers each."""
    in_hour: int = 6
    """Utterances of each first chapter that are in 1h; the others are in 9h."""
    books: int = 8
    """Recordings of `small`, by as many other speakers."""
    sentences: int = 30
    """In each of them."""

    def mark(self) -> dict[str, Any]:
        """What `MINIATURE.json` holds."""
        own = {"folds": self.folds, "in_hour": self.in_hour, "books": self.books, "sentences": self.sentences}
        return {"version": VERSION, **own, "librispeech": self.base.mark()}


def write_miniature(corpus: str | Path, plan: Plan = Plan(), *, jobs: int | None = None) -> bool:
    """Write `librispeech_finetuning/` and `small/` to the folder `corpus`; all of it, or nothing.

    Returns:
        False when the very same miniature is there already.

    Raises:
        UsageError: eSpeak NG is missing, the disk is full, or the folder holds something else.
    """
    with written_once(Path(corpus), plan.mark()) as folder:
        if folder is None:
            return False
        processes = jobs or os.cpu_count() or 1
        labelled, others = cast_folds(plan)
        work = partial(_read_fold, folder, plan=plan)
        in_fresh_processes(work, labelled, processes, "speaking the labelled sets")
        shutil.rmtree(folder / ASIDE)
        in_fresh_processes(partial(_read_book, folder, plan=plan), others, processes, "speaking small")
        (folder / "README.txt").write_text(README, encoding="utf-8")
    return True


@dataclass(frozen=True)
class Assigned:
    """A reader, the fold of ten minutes they are in, and whether it counts as clean or as other."""

    reader: Reader
    fold: int
    part: str


def cast_folds(plan: Plan) -> tuple[list[Assigned], list[Reader]]:
    """Readers of the train parts: four a fold (a woman and a man of each part), then those of `small`.

    Where LibriSpeech's miniature has no train-other part, readers of the clean one stand in for it.
    """
    readers = [reader for reader in cast_readers(plan.base) if reader.part.text == "train"]
    other = [reader for reader in readers if "other" in reader.part.name]
    clean = [reader for reader in readers if reader not in other]
    assigned: list[Assigned] = []
    for fold in range(plan.folds):
        for part, pool in (("clean", clean), ("other", other or clean)):
            for sex in "FM":
                reader = next(reader for reader in pool if reader.speaker.sex == sex)
                pool.remove(reader)
                assigned.append(Assigned(reader, fold, part))
    return assigned, [*clean, *other][: plan.books]


def _read_fold(folder: Path, assigned: Assigned, *, plan: Plan) -> None:
    """Speak what the reader says in LibriSpeech's miniature, and deal it out to 1h and 9h. In a fresh process."""
    reader = assigned.reader
    librispeech.read(folder / ASIDE, reader, plan.base.seed)
    with os_errors_as_usage_errors(folder):
        for index, chapter in enumerate(reader.chapters):
            source = folder / ASIDE / reader.part.name / str(reader.number) / str(chapter)
            name = f"{reader.number}-{chapter}.trans.txt"
            lines = (source / name).read_text(encoding="utf-8").splitlines(keepends=True)
            in_hour = plan.in_hour if index == 0 else 0
            for half, own in ((f"1h/{assigned.fold}", lines[:in_hour]), ("9h", lines[in_hour:])):
                place = folder / LABELLED / half / assigned.part / str(reader.number) / str(chapter)
                if own:
                    place.mkdir(parents=True)
                    (place / name).write_text("".join(own), encoding="utf-8")
                for line in own:
                    flac = f"{line.split()[0]}.flac"
                    (source / flac).rename(place / flac)


def _read_book(folder: Path, reader: Reader, *, plan: Plan) -> None:
    """One recording of many sentences, with the `.json` that the corpus puts beside it. In a fresh process."""
    booth = Booth(reader.speaker, plan.base.seed)
    texts = sentences("train", plan.base.seed + 1, reader.number)  # others than in LibriSpeech's miniature
    waves: list[np.ndarray] = []
    speech: list[tuple[int, int]] = []
    at = 0
    for _ in range(plan.sentences):
        wave, pause = booth.say(next(texts)), booth.room(int(booth.rng.uniform(0.1, 1.5) * SAMPLE_RATE))
        speech.append((at, at + len(wave)))
        waves += [wave, pause]
        at += len(wave) + len(pause)
    title = f"commands_to_a_house_{reader.number}_librivox"
    with os_errors_as_usage_errors(folder):
        place = folder / "small" / str(reader.number) / f"{title}_64kb_mp3"
        place.mkdir(parents=True)
        (place / f"{title}_64kb.flac").write_bytes(encode_flac(np.concatenate(waves)))
        facts = {
            "speaker": str(reader.number),
            "book_meta": {
                "id": "1",
                "title": librispeech.BOOK,
                "language": "English",
                "genre": ["*Fiction"],
                "Dramatic Readings": False,
                "meta_genre": "Literature",
            },
            "snr": round(reader.speaker.noise, 4),
            "voice_activity": voice_activity(speech),
        }
        (place / f"{title}_64kb.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def voice_activity(speech: Sequence[tuple[int, int]]) -> list[list[float]]:
    """Sentences in samples as the corpus writes them: seconds on a grid of 80 ms, pauses under half a second closed."""
    found: list[list[float]] = []
    for first, last in speech:
        start, end = (round(round(sample / SAMPLE_RATE / FRAME) * FRAME, 2) for sample in (first, last))
        if found and start - found[-1][1] < GAP:
            found[-1][1] = end
        else:
            found.append([start, end])
    return found


README = """A miniature in the layout of Libri-Light. It is not Libri-Light, and nobody said any of this.

The utterances of librispeech_finetuning are those of the miniature of LibriSpeech, made from a small grammar and by the
eSpeak NG synthesiser; small holds other sentences of other speakers of its train part. Placed in the public domain
(CC0 1.0). Written by `sew prep librilight --mini`.
"""
