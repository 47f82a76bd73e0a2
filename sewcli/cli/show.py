"""What verbs print on stdout: objects a line, lines of text, and tables that fit the terminal. Only `cli/` prints.

On a terminal the least important columns go where there is no room (they are named on stderr), then names fold; nothing
is ever cut. A pipe gets every column, whatever its width.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sewcli.base import log

FOLDED = 32  # columns that a name gets before another column goes for it
BETWEEN = 2  # columns between two of a table


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has gone is no error (`sew score | head -3`); rich would leave with exit code 1."""
        raise BrokenPipeError


console = _Console(soft_wrap=True, **log.PLAIN)


@dataclass(frozen=True)
class Column:
    """A column. figures: to the right, and never broken; spare: those with the highest number go first, 0 stays."""

    title: str
    figures: bool = True
    spare: int = 0


def names(*titles: str, spare: int = 0) -> list[Column]:
    """Columns of names, which fold where there is no room."""
    return [Column(title, False, spare) for title in titles]


def figures(*titles: str, spare: int = 0) -> list[Column]:
    """Columns of figures."""
    return [Column(title, True, spare) for title in titles]


def objects(*rows: Mapping[str, Any]) -> None:
    """A JSON object a line."""
    plain = "utf" not in (getattr(sys.stdout, "encoding", None) or "").lower()
    for row in rows:
        print(json.dumps(row, ensure_ascii=plain), flush=True)


def line(text: str) -> None:
    """A line of text, or several."""
    console.print(text)


def text(content: str) -> None:
    """A file's content, to the last byte."""
    print(content, end="")


def percent(rate: float | None, digits: int = 2) -> str:
    """`0.0947` -> `9.47 %`; what is not known is a dash."""
    return "-" if rate is None else f"{100 * rate:.{digits}f} %"


def table(columns: Sequence[Column], rows: Iterable[Sequence[str | Text]], title: str | None = None) -> None:
    """A table of all `rows`, with as many of the `columns` as fit."""
    cells = [list(row) for row in rows]
    narrow = console.is_terminal
    if narrow:
        columns = [_broken(column, [row[n] for row in cells]) for n, column in enumerate(columns)]
    widths = [_width(column, [row[n] for row in cells]) for n, column in enumerate(columns)]
    shown = list(range(len(columns)))
    while narrow and sum(_least(columns[n], widths[n]) + BETWEEN for n in shown) - BETWEEN > console.width:
        least = max(reversed(shown), key=lambda n: columns[n].spare)
        if not columns[least].spare:
            break
        shown.remove(least)
    drawn = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, title=title, title_justify="left"
    )
    for n in shown:
        column = columns[n]
        drawn.add_column(
            column.title,
            justify="right" if column.figures else "left",
            no_wrap=column.figures or not narrow,
            overflow="fold",
        )
    for row in cells:
        drawn.add_row(*(row[n] for n in shown))
    everything = _Console(width=sum(widths) + BETWEEN * len(widths) + len(title or ""), soft_wrap=True, **log.PLAIN)
    (console if narrow else everything).print(drawn)
    if gone := [" ".join(columns[n].title.split()) for n in range(len(columns)) if n not in shown]:
        log.info(f"no room for: {', '.join(gone)} (a wider terminal, a pipe and --json have them)")


def _broken(column: Column, cells: Sequence[str | Text]) -> Column:
    """With its title over several lines, where it is wider than what stands below it."""
    if not column.figures or not column.title:
        return column
    room = max([*map(_long, cells), *map(len, column.title.split())])
    return replace(column, title="\n".join(wrap(column.title, room, break_long_words=False, break_on_hyphens=False)))


def _width(column: Column, cells: Sequence[str | Text]) -> int:
    return max(map(_long, [column.title, *cells]))


def _least(column: Column, width: int) -> int:
    return width if column.figures else min(width, FOLDED)


def _long(cell: str | Text) -> int:
    return max((cell_len(part) for part in str(cell).splitlines()), default=0)
