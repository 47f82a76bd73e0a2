"""Standard input, output and errors that are closed (cron, daemons, `<&-`) or cannot be written.

A closed one is opened on the null device, so that no file of ours gets its number and nothing fails that does not need it.
"""

from __future__ import annotations

import errno
import io
import os
import sys

WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
CLOSED: set[int] = set()  # 0, 1, 2: those that were closed when the command began


def open_closed() -> None:
    """Open what is closed, before any other file is."""
    for number, mode in enumerate("rww"):
        try:
            os.fstat(number)
        except OSError:
            CLOSED.add(number)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process lives
            setattr(sys, ("stdin", "stdout", "stderr")[number], stream)


def is_closed(number: int) -> bool:
    """Whether a standard stream was closed when the command began."""
    return number in CLOSED


def write_what_can_be() -> None:
    """Symbols that a stream cannot encode are spelled out: names of files need not be text, and in JSON it is an escape too."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def stdout_fault(error: Exception) -> OSError | None:
    """Why stdout cannot be written; what it still holds is then given up, so that leaving does not fail again.

    Args:
        error: what ended the command. One of writing that names no file is stdout's: our own files are all written by
            `files.os_errors_as_usage_errors`, which names them.
    """
    fault = error if isinstance(error, OSError) and error.filename is None and error.errno in WRITING else None
    try:
        sys.stdout.flush()
    except OSError as again:
        fault = again
    except ValueError:  # it is closed
        pass
    if fault is not None:
        give_up_stdout()
    return fault


def give_up_stdout() -> None:
    """Let what is still in Python's buffer go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
