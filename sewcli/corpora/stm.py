"""NIST segment time marks (STM): who speaks when in which file, and what they say. Read as written, nothing normalised.

Format: SCTK's infmts.htm, `STM :== <F> <C> <S> <BT> <ET> [ <LABEL> ] transcript ...`, one segment a line, columns divided
by blanks, times in seconds, `;;` opens a comment. TED-LIUM, Hub5 Eval2000 and RT-03S are published in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sewcli.base.errors import DataError

IGNORED = "ignore_time_segment_in_scoring"  # the transcript of a stretch that is not scored; in either case
COMMENT = ";;"
_COLUMNS = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)(?:\s+(.*))?", re.DOTALL)
_LABEL = re.compile(r"<([^<>\s]*|[^<>]*,[^<>]*)>(?:\s+|$)")  # `<o,f0,male>`, `<F0_M>`, `<NA>`, `<o, f0, male>`
_WORDS = frozenset({"unk", "sil", "b_aside", "e_aside"})  # what transcripts themselves hold in angle brackets


@dataclass(frozen=True, slots=True)
class Segment:
    """One line of an STM file."""

    file: str
    """Name of the sound file, without folder and suffix."""
    channel: str
    """As written: `1`, `2`, `A` or `B`."""
    speaker: str
    start: float
    """Seconds."""
    end: float
    label: tuple[str, ...]
    """The parts of `<o,f0,male>`; empty when there is no label."""
    text: str
    """The transcript with its markup, blanks at both ends removed."""
    line: int
    """Counted from 1."""

    @property
    def ignored(self) -> bool:
        """Whether scoring passes over this stretch of time."""
        return self.text.lower().startswith(IGNORED)

    @property
    def gap(self) -> bool:
        """Whether it is a stretch between two segments, that nobody's transcript covers."""
        return self.speaker.lower().endswith("inter_segment_gap")  # `fsh_60262_1_inter_segment_gap` as well


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that is no segment, and why."""

    line: int
    reason: str


def read_stm(path: str | Path) -> tuple[list[Segment], list[Fault]]:
    """The segments of an STM file in its order, and the lines that are none.

    Raises:
        DataError: the file is missing, cannot be read or is not UTF-8 text.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            "not-utf8", f"line {line}: not UTF-8 text", where=path, hint="convert it: iconv -t UTF-8"
        ) from None
    except OSError as error:
        raise DataError("cannot-read", f"cannot be read ({error.strerror})", where=path) from None
    return parse_stm(lines)


def parse_stm(lines: Iterable[str]) -> tuple[list[Segment], list[Fault]]:
    """As `read_stm`, of lines at hand.

    >>> parse_stm([";; LABEL", "Ada_2009 1 Ada_2009 12.34 20.1 <o,f0,female> it 's <unk>"])[0][0].text
    "it 's <unk>"
    """
    segments: list[Segment] = []
    faults: list[Fault] = []
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith(COMMENT):
            continue
        parsed = _segment(stripped, number)
        if isinstance(parsed, Segment):
            segments.append(parsed)
        else:
            faults.append(Fault(number, parsed))
    return segments, faults


def _segment(line: str, number: int) -> Segment | str:
    """The segment of a line, or what is wrong with it."""
    columns = _COLUMNS.fullmatch(line)
    if columns is None:
        return "fewer than five columns: file, channel, speaker, start and end"
    file, channel, speaker, begin, finish, rest = columns.groups(default="")
    try:
        start, end = float(begin), float(finish)
    except ValueError:
        return f"the times {begin!r} and {finish!r} are not both numbers"
    if not (math.isfinite(start) and math.isfinite(end)) or start < 0:
        return f"no such time: {begin} to {finish}"
    if end <= start:
        return f"it ends at {finish} s, not after its start at {begin} s"
    label: tuple[str, ...] = ()
    if (match := _LABEL.match(rest)) and match[1].lower() not in _WORDS:
        label, rest = tuple(part.strip() for part in match[1].split(",")), rest[match.end() :]
    return Segment(file, channel, speaker, start, end, label, rest.strip(), number)
