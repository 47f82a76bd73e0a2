"""Words as captions that can be read: SubRip (SRT) and WebVTT.

At most two lines of 42 characters and 7 seconds on the screen, at least 1 second where the next caption leaves it, as on
television. A caption ends at a pause, or where it is full; the last line of one and the first of the next never share a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sewcli.decoding.writers import Span

WIDTH, LINES = 42, 2  # characters of a line, lines of a caption
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
    """Captions of the words of one stretch of speech.

    Args:
        words: sorted by time.
        until: seconds at which the next stretch begins; no caption stays longer.
    """
    groups: list[list[Span]] = []
    for word in words:
        if groups and _fits(groups[-1], word):
            groups[-1].append(word)
        else:
            groups.append([word])
    ends = [group[0].start for group in groups[1:]] + [until]
    return [
        Caption(g[0].start, max(min(max(g[-1].end + AFTER, g[0].start + SHORTEST), end), g[-1].end), _lines(g))
        for g, end in zip(groups, ends, strict=True)
    ]


def srt(number: int, caption: Caption) -> str:
    """The caption of that number, from 1."""
    text = "\n".join(caption.lines)
    return f"{number}\n{_clock(caption.start, ',')} --> {_clock(caption.end, ',')}\n{text}\n\n"


VTT_HEAD = "WEBVTT\n\n"


def vtt(caption: Caption) -> str:
    """A cue; what would be markup is written as text."""
    text = "\n".join(caption.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{_clock(caption.start, '.')} --> {_clock(caption.end, '.')}\n{text}\n\n"


def _fits(group: Sequence[Span], word: Span) -> bool:
    """Whether one more word keeps the caption readable."""
    if word.end - group[0].start > LONGEST or len(_lines([*group, word])) > LINES:
        return False
    return word.start - group[-1].end < PAUSE or len(_lines(group)) < LINES


def _lines(words: Sequence[Span]) -> list[str]:
    """Words filled into lines; one that is wider than a line has its own."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word.text) <= WIDTH:
            lines[-1] += f" {word.text}"
        else:
            lines.append(word.text)
    return lines


def _clock(seconds: float, point: str) -> str:
    """12.3456 -> `00:00:12,346`."""
    whole = round(seconds * 1000)
    hours, rest = divmod(whole, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
