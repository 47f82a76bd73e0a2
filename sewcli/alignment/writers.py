"""Words and letters with their times, as files that other programs read: NIST's CTM and Praat's TextGrid.

A CTM line is `utterance channel start duration word confidence`, in seconds from the start of the utterance. A TextGrid has a
tier of words and one of letters, each covering the whole time: what is between has an empty text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Span:
    """A word or a letter from `start` to `end`, in seconds, and how sure the model is of it: 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float
    letters: tuple[Span, ...] = field(default=(), compare=False, repr=False)
    """Of a word: its letters with their times, where they are known."""


def ctm(name: str, spans: Iterable[Span], channel: int = 1) -> str:
    """Lines of one utterance or recording; blanks in its name, which would be columns, become `_`."""
    column = "_".join(name.split())
    return "".join(
        f"{column} {channel} {s.start:.3f} {max(s.end - s.start, 0):.3f} {s.text} {s.confidence:.3f}\n" for s in spans
    )


def textgrid(seconds: float, tiers: Sequence[tuple[str, Sequence[Span]]]) -> str:
    """A whole file, in Praat's long form.

    Args:
        seconds: the length of the utterance.
        tiers: names, and spans that are sorted and do not overlap.
    """
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {seconds:.6f}"]
    lines = [*head, "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, spans) in enumerate(tiers, start=1):
        intervals = _covering(seconds, spans)
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(name)}",
            "        xmin = 0",
            f"        xmax = {seconds:.6f}",
            f"        intervals: size = {len(intervals)}",
        ]
        for place, (start, end, text) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {start:.6f}",
                f"            xmax = {end:.6f}",
                f"            text = {_quoted(text)}",
            ]
    return "\n".join(lines) + "\n"


def _covering(seconds: float, spans: Sequence[Span]) -> list[tuple[float, float, str]]:
    """Intervals without gaps from 0 to the end."""
    intervals: list[tuple[float, float, str]] = []
    reached = 0.0
    for span in spans:
        if span.start > reached:
            intervals.append((reached, span.start, ""))
        intervals.append((span.start, span.end, span.text))
        reached = span.end
    if reached < seconds or not intervals:
        intervals.append((reached, seconds, ""))
    return intervals


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
