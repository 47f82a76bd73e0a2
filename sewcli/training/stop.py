"""Stop signals: noted when they come, served between two updates, so that what is saved is whole.

SIGTERM and SIGUSR1 (schedulers, preemption) end in exit 75, "run me again"; Ctrl-C in 130 after the same save.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopFlag:
    """Which stop signal came, if any."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def stop_signals() -> Iterator[StopFlag]:
    """Catch SIGTERM, SIGUSR1 and SIGINT for the length of the block. A second Ctrl-C is not caught."""
    flag = StopFlag()

    def note(number: int, frame: FrameType | None) -> None:
        if flag.signal is signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        flag.signal = signal.Signals(number)

    caught = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = {number: signal.signal(number, note) for number in caught}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
