"""Messages and progress on stderr; stdout carries results, which only `cli/` prints.

A terminal gets colours and progress bars with the time left; a pipe gets plain lines, one now and then. Of several
processes that train together only rank 0 tells how it goes; errors come from all, each with its rank before it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sewcli.base import dist

PLAIN_EVERY = 20.0  # seconds between two progress lines in a pipe

PLAIN: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}  # names of others may be [red] or :x:
stderr = Console(stderr=True, soft_wrap=True, **PLAIN)

T = TypeVar("T")


def info(message: str) -> None:
    """One line of the log."""
    if dist.is_main():
        _print(message)


def warn(message: str, *, every_rank: bool = False) -> None:
    """A line that should not be missed; `every_rank`: about something that this rank alone may know."""
    if every_rank or dist.is_main():
        _print(f"{_rank()}warning: {message}", "yellow")


def error(message: str) -> None:
    """What stopped the command."""
    _print(f"{_rank()}error: {message}", "bold red")


def _print(message: str, style: str | None = None) -> None:
    with suppress(OSError):  # a log that cannot be written stops nothing
        stderr.print(message, style=style, markup=False)


def _rank() -> str:
    return "" if dist.is_main() else f"rank {os.environ['RANK']}: "


class Meter(Protocol):
    """What a loop tells its progress bar."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """`steps` more are done; `note` is shown beside the bar (a loss, a speed)."""


@contextmanager
def progress(description: str, total: int | None, *, done: int = 0) -> Iterator[Meter]:
    """A progress bar on a terminal, plain lines (with the time left) in a pipe."""
    if not dist.is_main():
        yield _Silence()
    elif stderr.is_terminal:
        columns = (
            TimeRemainingColumn(),
            TextColumn("left"),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[note]}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=stderr, transient=False) as bars:
            task = bars.add_task(description, total=total, completed=done, note="")

            class _Bar:
                def advance(self, steps: int = 1, note: str = "") -> None:
                    if note:
                        bars.update(task, note=note)
                    bars.advance(task, steps)

            yield _Bar()
    else:
        yield _Lines(description, total, done)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate with a progress bar."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    with progress(description, total) as meter:
        for item in items:
            yield item
            meter.advance()


class _Silence:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass


class _Lines:
    def __init__(self, description: str, total: int | None, done: int) -> None:
        self.description, self.total, self.done, self.first = description, total, done, done
        self.started = self.printed = time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        now = time.monotonic()
        if now - self.printed < PLAIN_EVERY:
            return
        self.printed = now
        of = f"/{self.total}" if self.total else ""
        left = ""
        if self.total and self.done > self.first:
            seconds = (now - self.started) / (self.done - self.first) * (self.total - self.done)
            left = f", {seconds:.0f} s left"
        line = f"{self.description}: {self.done}{of}{left}{', ' + note if note else ''}"
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)
