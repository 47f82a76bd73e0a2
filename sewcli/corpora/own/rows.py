"""One utterance as somebody's own manifest describes it: what every reader yields, whatever the form of its input.

A reader yields a `Row` for each utterance that it understands, and a `Rejection` for each that it does not: nothing is passed
over in silence. Times in seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sewcli.base.errors import quoted
from sewcli.corpora.utterances import MIX, Content, Rejection

UNSET = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What is said of an utterance. Empty where nothing is said."""

    source: Path
    """The manifest."""
    place: str
    """Where in it: `line 7`."""
    audio: Path
    text: str
    id: str = UNSET
    speaker: str = UNSET
    start: float = 0.0
    end: float | None = None
    """None: to the end of the file."""
    channel: int = MIX
    """From 0; MIX: all of them, mixed."""
    split: str = UNSET
    language: str = UNSET
    recording: str = UNSET
    """The name of the sound file, where it has another than its file."""
    content: Content | None = None
    """Where the sound comes from, when `audio` is the name of no file."""

    def reject(self, reason: str) -> Refused:
        """This row, set aside."""
        return Refused(Rejection(self.id or self.audio.stem, self.source, f"{reason} ({self.place})"), self.split)


@dataclass(frozen=True, slots=True)
class Refused:
    """A part of a manifest that is no utterance, and the split that it seems to be of."""

    rejection: Rejection
    split: str = UNSET


Rows = Iterator[Row | Refused]


def refuse(source: Path, place: str, reason: str, *, identity: str = UNSET, split: str = UNSET) -> Refused:
    """What stands at a place of a manifest, set aside."""
    return Refused(Rejection(identity or place, source, f"{reason} ({place})" if place else reason), split)


def seconds(value: str) -> float:
    """A time: `12.5`, `12,5`, `00:01:12.5`, `1:12,5`.

    Raises:
        ValueError: not a time, NaN, infinite or negative.

    >>> seconds("12.5"), seconds("0:01:12,500")
    (12.5, 72.5)
    """
    parts = value.strip().replace(",", ".").split(":")
    try:
        if len(parts) > 3 or (len(parts) > 1 and not all(re.fullmatch(r"\d+(\.\d+)?", part) for part in parts)):
            raise ValueError
        found = 0.0
        for part in parts:
            found = 60 * found + float(part)
    except ValueError:
        raise ValueError(f"not a time in seconds: {quoted(value, 20)}") from None
    if not math.isfinite(found) or found < 0:
        raise ValueError(f"no such time: {quoted(value, 20)}")
    return found


def channel(value: str) -> int:
    """A channel: from 0, or A, B.

    Raises:
        ValueError: neither.
    """
    name = value.strip().upper()
    if re.fullmatch(r"\d{1,2}", name):
        return int(name)
    if re.fullmatch(r"[A-H]", name):
        return ord(name) - ord("A")
    raise ValueError(f"not a channel: {quoted(value, 20)} (0, 1, ... or A, B, ...)")
