"""Waiting for what comes through a pipe: a named one until a program opens it, and any so that Ctrl-C is heard meanwhile."""

from __future__ import annotations

import io
import os
import select
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sewcli.base import log
from sewcli.base.errors import DataError
from sewcli.base.regular import require_regular

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

WAIT = 60.0  # seconds for a program to open a named pipe
QUIET = 1.0  # seconds of waiting without a word
STEP = 0.2  # seconds between two looks at whether it shall end


def is_pipe(path: str | Path) -> bool:
    """Whether a path is a pipe: one with a name, or the shell's `<(...)`; its content can be read once.

    Raises:
        OSError, ValueError: it cannot be looked at.
    """
    return stat.S_ISFIFO(Path(path).stat().st_mode)


@contextmanager
def read_once(path: str | Path) -> Iterator[io.BufferedReader]:
    """Open a file, or a pipe whose content is read once and in order.

    Raises:
        DataError: a socket or a device, or a named pipe that no program opens for a minute. OSError, ValueError: it
            cannot be opened.
    """
    if is_pipe(path) and not os.path.realpath(path).rpartition("/")[2].startswith("pipe:["):  # that one has a writer
        with named_pipe(path, str(path), lambda: False) as file:
            yield cast(io.BufferedReader, file)
        return
    if not is_pipe(path):
        require_regular(path)
    with open(path, "rb") as file:
        yield file


@contextmanager
def named_pipe(path: str | Path, name: str, is_stopped: Callable[[], bool]) -> Iterator[io.BufferedIOBase]:
    """Open a named pipe once a program writes into it.

    Raises:
        DataError: it cannot be opened, or no program opens its other end for a minute.
        KeyboardInterrupt: stopped while nobody wrote.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise DataError("cannot-read", f"cannot be read ({error.strerror})", where=name) from None
    with open(descriptor, "rb", buffering=0) as file:
        first = _first_bytes(descriptor, name, is_stopped)
        os.set_blocking(descriptor, True)
        yield io.BufferedReader(Again(first, file))


def _first_bytes(descriptor: int, name: str, is_stopped: Callable[[], bool]) -> bytes:
    """What a program wrote first; nothing when it has opened the pipe and not written yet."""
    began, is_said = time.monotonic(), False
    while True:
        try:
            if first := os.read(descriptor, 1 << 12):
                return first
        except BlockingIOError:
            return b""
        waited = time.monotonic() - began
        if is_stopped():
            raise KeyboardInterrupt
        if waited > WAIT:
            what = f"a named pipe that no program has written into for {WAIT:.0f} s"
            raise DataError("pipe-silent", what, where=name, hint="start the program that writes into it")
        if waited > QUIET and not is_said:
            is_said = True
            log.info(f"{name}: a named pipe: waiting up to {WAIT:.0f} s for a program that writes into it")
        time.sleep(STEP)


class Again(io.RawIOBase):
    """A pipe whose beginning has been read already."""

    def __init__(self, head: bytes, rest: io.BufferedIOBase | io.RawIOBase) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """Of the pipe."""
        return self._rest.fileno()

    @property
    def has_more(self) -> bool:
        """Whether there are bytes for which nobody needs to wait."""
        return bool(self._head)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer, at least with something."""
        wanted = memoryview(buffer).cast("B")
        if not self._head:
            if isinstance(self._rest, io.BufferedIOBase):
                return self._rest.readinto1(wanted)
            return int(self._rest.readinto(wanted) or 0)
        given = self._head[: len(wanted)]
        wanted[: len(given)] = given
        self._head = self._head[len(given) :]
        return len(given)


class Patient(io.RawIOBase):
    """A pipe that ends when it shall, also while nothing comes: a read that waits for ever hears no Ctrl-C.

    Args:
        pipe: without a buffer, in which bytes could lie that nobody is waiting for.
        is_stopped: whether it shall end.
    """

    def __init__(self, pipe: io.RawIOBase, is_stopped: Callable[[], bool]) -> None:
        self._pipe, self._is_stopped = pipe, is_stopped
        self._poll = select.poll()
        self._poll.register(pipe.fileno(), select.POLLIN)

    @staticmethod
    def around(pipe: io.BufferedIOBase, is_stopped: Callable[[], bool]) -> io.BufferedIOBase:
        """The pipe, so waited for, of which nothing has been read yet; what has no descriptor needs no waiting."""
        raw = getattr(pipe, "raw", None)
        try:
            return io.BufferedReader(Patient(raw, is_stopped)) if isinstance(raw, io.RawIOBase) else pipe
        except (OSError, ValueError):
            return pipe

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer, at least with something; nothing at the end, or when it shall end."""
        has_some = isinstance(self._pipe, Again) and self._pipe.has_more
        while not has_some and not self._poll.poll(1000 * STEP):
            if self._is_stopped():
                return 0
        return int(self._pipe.readinto(buffer) or 0)
