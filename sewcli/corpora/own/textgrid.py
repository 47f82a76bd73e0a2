"""Praat's TextGrid, in its long and its short form: intervals with a text are segments.

Format: Praat manual, "TextGrid file formats". Praat writes UTF-16 where a text is not Latin-1. Tiers of phones are passed
over; of a tier of words the words are joined to one segment; where there are several other tiers, each is a speaker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sewcli.base.errors import DataError
from sewcli.base.regular import require_regular

_TOKEN = re.compile(
    r'"((?:[^"]|"")*)"|\[\d*\]|(?<![\w.])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![\w.])|<(?:exists|absent)>'
)
_PHONES = re.compile(r"(.* - )?(phones?|phonemes?|segments?|syllables?)", re.IGNORECASE)
_WORDS = re.compile(r"(.* - )?(words?|ort|orthography)", re.IGNORECASE)
GENERIC = ("text", "sentence", "sentences", "utterance", "utterances", "transcript", "transcription", "")
NOTHING = ("", "<sil>", "sil", "sp", "<eps>", "spn", "#")  # what aligners write between words


@dataclass(frozen=True, slots=True)
class GridSegment:
    """An interval, or a row of words, in seconds."""

    start: float
    end: float
    text: str
    speaker: str
    place: str


def read_segments(path: Path) -> list[GridSegment]:
    """The segments of a TextGrid.

    Raises:
        DataError: it is none, or cut off.
    """
    tiers = [tier for tier in _tiers(path) if not _PHONES.fullmatch(tier[0])]
    texts = [tier for tier in tiers if not _WORDS.fullmatch(tier[0])] or tiers
    found = []
    for name, intervals in texts:
        said = [(start, end, text) for start, end, text in intervals if text.strip().lower() not in NOTHING]
        if _WORDS.fullmatch(name):
            speaker = name.rpartition(" - ")[0]
            if said:
                joined = " ".join(text for _, _, text in said)
                found.append(GridSegment(said[0][0], said[-1][1], joined, speaker, f"tier {name}"))
            continue
        speaker = name if len(texts) > 1 and name.lower() not in GENERIC else ""
        found += [GridSegment(start, end, text, speaker, f"tier {name}, {start:g} s") for start, end, text in said]
    return sorted(found, key=lambda segment: (segment.start, segment.speaker))


def _tiers(path: Path) -> Iterator[tuple[str, list[tuple[float, float, str]]]]:
    tokens = _tokens(_text(path))
    try:
        next(tokens), next(tokens)  # ooTextFile, TextGrid
        next(tokens), next(tokens)  # from, to
        for _ in range(int(float(next(tokens)))):
            kind, name = next(tokens), next(tokens)
            next(tokens), next(tokens)
            intervals = []
            for _ in range(int(float(next(tokens)))):
                start = float(next(tokens))
                end = float(next(tokens)) if kind == "IntervalTier" else start
                intervals.append((start, end, next(tokens)))
            if kind == "IntervalTier":
                yield name, intervals
    except (StopIteration, RuntimeError, ValueError):
        raise DataError("invalid-textgrid", "not a whole TextGrid", where=path, hint="save it again in Praat") from None


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        if match[1] is not None:
            yield match[1].replace('""', '"')
        elif match[2] is not None:
            yield match[2]


def _text(path: Path) -> str:
    try:
        require_regular(path)
        content = path.read_bytes()
        encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        return content.decode(encoding)
    except OSError as error:
        raise DataError("cannot-read", f"cannot be read ({error.strerror})", where=path) from None
    except UnicodeDecodeError:
        raise DataError(
            "wrong-encoding", "neither UTF-8 nor UTF-16 text", where=path, hint="save it as UTF-8"
        ) from None
