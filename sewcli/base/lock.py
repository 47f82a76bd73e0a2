"""Locks on folders, held until the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sewcli.base import log
from sewcli.base.errors import UsageError
from sewcli.base.files import explained

_HELD: dict[Path, int] = {}  # descriptors, open as long as this process lives


def hold(folder: Path, *, busy: str, mend: str, shared: bool = False) -> None:
    """Hold `folder/.lock` until this process ends.

    Args:
        folder: made when it is not there.
        busy: what another process does there, as the error says it.
        mend: what to do about it.
        shared: with other shared holders; none of them with an exclusive one.

    Raises:
        UsageError: another process holds it.
    """
    path = (folder / ".lock").absolute()
    if path in _HELD:
        return
    with explained(path):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(busy, where=folder, mend=mend) from None
    except OSError as error:  # some network file systems have no locks
        log.warn(f"{path}: no lock to be had ({error.strerror}); do not run two processes in one folder")
    _HELD[path] = descriptor
