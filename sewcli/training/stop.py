"""Stop signals: noted when they come, served between two updates, so that what is saved is whole.

SIGTERM and SIGUSR1 (schedulers, preemption) end in exit 75, "run me again"; Ctrl-C in 130 after the same save. Of ranks
that train together one signal to any of them is enough: the others are told through the job's store.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType

from sewcli.base import dist

ASK_EVERY = 0.2  # seconds between two questions whether another rank was signalled


class StopFlag:
    """Whether to stop, and the signal that this rank got, if any."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._elsewhere, self._asked = False, -ASK_EVERY

    def __bool__(self) -> bool:
        """A signal came, to this rank or to another."""
        if self.signal is not None or self._elsewhere:
            return True
        if time.monotonic() - self._asked >= ASK_EVERY:
            self._elsewhere, self._asked = dist.asked_to_stop(), time.monotonic()
        return self._elsewhere


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
        with _told_to_all():
            yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _told_to_all() -> Iterator[None]:
    """Pass a signal on from a thread: the main one may sit in a collective, where Python runs no handler."""
    if dist.world_size() == 1:
        yield
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def pass_on() -> None:
        while os.read(heard, 1):  # the signal's number; nothing once the block is left
            dist.ask_to_stop()

    thread = Thread(target=pass_on, name="stop-signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(told)
        thread.join()
        os.close(heard)
