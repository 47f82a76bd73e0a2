"""Recordings with subtitles, SRT or WebVTT: an utterance a cue, with a little of the sound around it, never a neighbour's.

Formats: WebVTT, w3.org/TR/webvtt1; SRT has no standard. Markup goes; a cue of nothing but music or sounds (`♪`, `[applause]`)
is set aside, and so are cues that are said at the same time.
"""

from __future__ import annotations

import glob
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sewcli.base.errors import DataError, UsageError
from sewcli.base.log import info
from sewcli.base.texts import read_lines
from sewcli.corpora.librispeech import SOUNDS
from sewcli.corpora.own.pairs import pairs, place_of
from sewcli.corpora.own.rows import Row, Rows, refuse, seconds
from sewcli.corpora.own.settings import Settings
from sewcli.corpora.own.splits import split_of_name

ENDINGS = (".srt", ".vtt")
PAD = 0.2  # seconds of sound before and after a cue
OVERLAP = 0.3  # seconds by which cues may overlap for want of care
_TIME = r"((?:\d+:)?\d+:\d+[.,]\d+)"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_KARAOKE = re.compile(r"<\d+:\d+[:.\d]*>")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_SOUND = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|（[^（）]*）|【[^【】]*】|[♪♫♬#]+")
_MUSIC = re.compile(r"[♪♫♬]")


@dataclass(frozen=True, slots=True)
class Cue:
    """A subtitle, in seconds."""

    start: float
    end: float
    text: str
    speaker: str
    line: int


def read(inputs: Sequence[Path], settings: Settings) -> Rows:
    """The cues of recordings in folders, or of subtitle files.

    Raises:
        UsageError: neither subtitles nor a folder with some.
    """
    for given in inputs:
        found = 0
        for path, sounds, texts in _files(given, settings):
            found += bool(texts)
            split, speaker = place_of(given, path) if given.is_dir() else (split_of_name(path.name), "")
            if not texts or not sounds:
                what = "subtitles" if not texts else "a recording"
                yield refuse(
                    (sounds or texts)[0], "", f"without {what} of the same name", identity=path.name, split=split
                )
            elif len(texts) > 1 or len(sounds) > 1:
                names = ", ".join(each.name for each in [*sounds, *texts])
                yield refuse(texts[0], "", f"more than one of this name: {names}", identity=path.name, split=split)
            else:
                yield from _utterances(sounds[0], texts[0], split, speaker)
        if not found:
            raise UsageError("no-subtitles", "no subtitles (.srt, .vtt) here", where=given)


def _files(given: Path, settings: Settings) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    if given.is_dir():
        yield from pairs(given, ENDINGS)
        return
    folder = settings.audio or given.parent
    for stem in (given.stem, given.stem.rpartition(".")[0]):
        sounds = [path for path in sorted(folder.glob(f"{glob.escape(stem)}.*")) if path.name.lower().endswith(SOUNDS)]
        sounds = [path for path in sounds if path.stem == stem]
        if stem and sounds:
            yield given.with_name(stem), sounds, [given]
            return
    yield given.with_name(given.stem), [], [given]


def _utterances(sound: Path, file: Path, split: str, speaker: str) -> Rows:
    try:
        lines = read_lines(file)
    except DataError as error:
        yield refuse(file, "", error.what, identity=file.stem, split=split)
        return
    if any(_KARAOKE.search(line) for line in lines):
        reason = "automatic captions with a time a word: their lines repeat each other"
        yield refuse(file, "", reason, identity=file.stem, split=split)
        return
    cues, faults = parse(lines)
    for line, reason in faults:
        yield refuse(file, f"line {line}", reason, identity=f"{file.stem}-{line}", split=split)
    spoken, removed = [], 0
    for cue in sorted(cues, key=lambda cue: cue.start):
        said = " ".join(_SOUND.sub(" ", cue.text).split())
        if not any(c.isalnum() for c in said) or _MUSIC.search(cue.text):
            reason = "music or a sound, no speech" if cue.text.strip() else "empty text"
            yield refuse(file, f"line {cue.line}", reason, identity=f"{file.stem}-{cue.line}", split=split)
            continue
        removed += said != " ".join(cue.text.split())
        spoken.append(Cue(cue.start, cue.end, said, cue.speaker or speaker, cue.line))
    if removed:
        info(f"{file}: sounds in brackets are left out of {removed:,} texts")
    yield from _padded(sound, file, spoken, split)


def _padded(sound: Path, file: Path, cues: Sequence[Cue], split: str) -> Rows:
    """Each cue with the sound around it: at most PAD, and at most half of the gap to its neighbour."""
    for index, cue in enumerate(cues):
        before = max((other.end for other in cues[:index][-4:]), default=0.0)
        after = cues[index + 1].start if index + 1 < len(cues) else cue.end + 2 * PAD
        if before - cue.start > OVERLAP or cue.end - after > OVERLAP:
            where = f"line {cue.line}"
            yield refuse(
                file, where, "said at the same time as another", identity=f"{file.stem}-{cue.line}", split=split
            )
            continue
        start = (before + cue.start) / 2 if index and cue.start - before < 2 * PAD else max(cue.start - PAD, 0.0)
        end = (cue.end + after) / 2 if after - cue.end < 2 * PAD else cue.end + PAD
        yield Row(
            source=file,
            place=f"line {cue.line}",
            audio=sound,
            text=cue.text,
            speaker=cue.speaker,
            start=round(start, 4),
            end=round(end, 4),
            split=split,
        )


def parse(lines: Sequence[str]) -> tuple[list[Cue], list[tuple[int, str]]]:
    """The cues of an SRT or WebVTT file, their markup removed, and what is wrong with others, by line.

    >>> parse(["1", "00:00:01,000 --> 00:00:02,500", "<i>Hello</i>", "- there.", ""])[0][0].text
    'Hello there.'
    """
    cues: list[Cue] = []
    faults: list[tuple[int, str]] = []
    at = 0
    while at < len(lines):
        times = _TIMES.fullmatch(lines[at])
        number = at + 1
        at += 1
        if times is None:
            if "-->" in lines[at - 1]:
                faults.append((number, "times that cannot be read"))
            continue
        said = []
        while at < len(lines) and lines[at].strip() and not _TIMES.fullmatch(lines[at]):
            said.append(lines[at])
            at += 1
        if at < len(lines) and _TIMES.fullmatch(lines[at]) and said and said[-1].strip().isdigit():
            said.pop()  # the number of the next cue, without a blank line before it
        start, end = seconds(times[1]), seconds(times[2])
        if end <= start:
            faults.append((number, f"it ends at {end:g} s, not after its start at {start:g} s"))
            continue
        voice = _VOICE.search(" ".join(said))
        plain = [re.sub(r"^\s*[-–—]\s*", "", html.unescape(_MARKUP.sub("", line))) for line in said]
        cues.append(Cue(start, end, " ".join(plain).strip(), voice[1].strip() if voice else "", number))
    return cues, faults
