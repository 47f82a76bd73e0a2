"""Words as captions that can be read: SubRip (SRT) and WebVTT.

At most two lines of 42 characters (16 full-width ones) and 7 seconds on the screen, at least 1 second where the next caption
leaves it, as on television. A caption ends at a pause, or where it is full. Lines end between words; in scripts without blanks
(Chinese, Thai) between any two characters, and a word longer than a line is parted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sewcli.alignment.writers import Span
from sewcli.transcription.units import text_width, units

WIDTH, LINES = 42, 2  # columns of a line, lines of a caption
LONGEST, SHORTEST = 7.0, 1.0  # seconds
PAUSE = 0.7  # seconds between words that end a caption once it holds a line
AFTER = 0.3  # seconds that a caption stays when its last word is said


@dataclass(frozen=True)
class Caption:
    """Lines of text, shown from `start` to `end` seconds."""

    start: float
    end: float
    lines: Sequence[str]


def captions(words: Sequence[Span], until: float) -> list[Caption]:
    """Captions of the words of one segment of speech.

    Args:
        words: sorted by time.
        until: seconds at which the next segment begins; no caption stays longer.
    """
    groups: list[list[_Piece]] = []
    for word in words:
        for number, span in enumerate(units(word, WIDTH)):
            piece = _Piece(span, follows=number > 0)
            if groups and _fits(groups[-1], piece):
                groups[-1].append(piece)
            else:
                groups.append([piece])
    ends = [group[0].span.start for group in groups[1:]] + [until]
    return [_caption(group, end) for group, end in zip(groups, ends, strict=True)]


def srt(number: int, caption: Caption) -> str:
    """The caption of that number, from 1."""
    text = "\n".join(caption.lines)
    return f"{number}\n{_clock(caption.start, ',')} --> {_clock(caption.end, ',')}\n{text}\n\n"


VTT_HEAD = "WEBVTT\n\n"


def vtt(caption: Caption) -> str:
    """A cue; what would be markup is written as text."""
    text = "\n".join(caption.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{_clock(caption.start, '.')} --> {_clock(caption.end, '.')}\n{text}\n\n"


@dataclass(frozen=True)
class _Piece:
    """A word or a part of one; `follows` the part before it without a blank."""

    span: Span
    follows: bool


def _caption(group: Sequence[_Piece], until: float) -> Caption:
    first, last = group[0].span, group[-1].span
    end = max(min(max(last.end + AFTER, first.start + SHORTEST), until), last.end)
    return Caption(first.start, end, _lines(group))


def _fits(group: Sequence[_Piece], piece: _Piece) -> bool:
    """Whether one more piece keeps the caption readable."""
    first, last, lines = group[0].span, group[-1].span, _lines(group)
    if piece.span.end - first.start > LONGEST or len(_lines([*group, piece])) > LINES:
        return False
    return piece.span.start - last.end < PAUSE or len(lines) < LINES


def _lines(pieces: Sequence[_Piece]) -> list[str]:
    """Pieces filled into lines."""
    lines: list[str] = []
    for piece in pieces:
        between = "" if piece.follows else " "
        if lines and text_width(lines[-1] + between + piece.span.text) <= WIDTH:
            lines[-1] += between + piece.span.text
        else:
            lines.append(piece.span.text)
    return lines


def _clock(seconds: float, point: str) -> str:
    """12.3456 -> `00:00:12,346`."""
    whole = round(seconds * 1000)
    hours, rest = divmod(whole, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
