"""Folders of sound files with their transcripts beside them: `x.wav` and `x.txt`, `x.lab` or `x.TextGrid`.

A TXT or LAB file is one utterance; of a TextGrid each interval with a text is (its words joined, where the tier is of words).
Folders that are named so are splits; those below them are speakers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sewcli.base.errors import DataError, UsageError
from sewcli.base.log import info
from sewcli.base.texts import read_lines
from sewcli.corpora.librispeech import SOUNDS
from sewcli.corpora.own.rows import Row, Rows, refuse
from sewcli.corpora.own.settings import Settings
from sewcli.corpora.own.splits import split_of_name
from sewcli.corpora.own.textgrid import read_segments

TEXTS = (".txt", ".lab", ".textgrid")
_HTK = re.compile(r"\d+\s+\d+\s+\S.*")


def read(inputs: Sequence[Path], settings: Settings) -> Rows:
    """The utterances of folders.

    Raises:
        UsageError: a file, or nothing that is a pair.
    """
    for folder in inputs:
        if not folder.is_dir():
            raise UsageError("file-for-folder", "a file, not a folder of recordings", where=folder)
        yield from _of_folder(folder)


def pairs(folder: Path, endings: Sequence[str]) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """What each file below a folder is called, without its ending, with its sound files and its texts, in order."""
    for place, below, names in os.walk(folder, followlinks=True):
        below.sort()
        sounds: dict[str, list[Path]] = {}
        texts: dict[str, list[Path]] = {}
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and name.lower().endswith((*SOUNDS, *endings)):
                (sounds if name.lower().endswith(SOUNDS) else texts).setdefault(path.stem, []).append(path)
        for stem, found in list(texts.items()):  # x.en.vtt is of x.wav
            if stem not in sounds and (short := stem.rpartition(".")[0]) in sounds:
                texts.setdefault(short, []).extend(found)
                del texts[stem]
        for stem in sorted(sounds.keys() | texts.keys()):
            yield Path(place, stem), sounds.get(stem, []), texts.get(stem, [])


def place_of(folder: Path, path: Path) -> tuple[str, str]:
    """Split and speaker by the folders between: `train/anna/x` -> ("train", "anna")."""
    above = path.parent.relative_to(folder).parts
    split = next((split for name in above if (split := split_of_name(name))), "") or split_of_name(folder.name)
    names = [name for name in above if not split_of_name(name)]
    return split, names[-1] if names else ""


def _of_folder(folder: Path) -> Rows:
    speakers = set()
    for path, sounds, texts in pairs(folder, TEXTS):
        split, speaker = place_of(folder, path)
        fault = (
            ("a sound file without a transcript" if not texts else "")
            or ("a transcript without a sound file" if not sounds else "")
            or (
                f"more than one: {', '.join(each.name for each in [*sounds, *texts])}"
                if len(sounds + texts) > 2
                else ""
            )
        )
        if fault:
            yield refuse((sounds or texts)[0], "", fault, identity=path.name, split=split)
            continue
        speakers.add(speaker)
        yield from _utterances(sounds[0], texts[0], split, speaker)
    if speakers - {""}:
        info(f"{folder}: speakers are the folders that files are in: {', '.join(sorted(speakers - {''})[:5])}, ...")


def _utterances(sound: Path, text: Path, split: str, speaker: str) -> Rows:
    try:
        if text.suffix.lower() == ".textgrid":
            for segment in read_segments(text):
                yield Row(
                    source=text,
                    place=segment.place,
                    audio=sound,
                    text=segment.text,
                    speaker=segment.speaker or speaker,
                    start=segment.start,
                    end=segment.end,
                    split=split,
                )
            return
        lines = [line.strip() for line in read_lines(text) if line.strip()]
    except DataError as error:
        yield refuse(text, "", error.what, identity=text.stem, split=split)
        return
    if text.suffix.lower() == ".lab" and lines and all(_HTK.fullmatch(line) for line in lines):
        yield refuse(text, "", "labels of HTK with times, not a transcript", identity=text.stem, split=split)
    else:
        yield Row(source=text, place="line 1", audio=sound, text=" ".join(lines), speaker=speaker, split=split)
