"""Locks: on a folder until the process ends, or on a file for the time of a block; a kill releases both."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sewcli.base import log
from sewcli.base.errors import UsageError
from sewcli.base.files import os_errors_as_usage_errors

GRACE = (
    1.0  # seconds that a lock is asked for before it is called busy: workers of a killed process take a moment to end
)
TRIES = 100  # to open a file in a folder that others make and remove
_HELD: dict[Path, int] = {}  # descriptors, open as long as this process lives


def hold(folder: Path, *, busy: str, hint: str, shared: bool = False) -> None:
    """Hold `folder/.lock` until this process ends.

    Args:
        folder: made when it is not there.
        busy: what another process does there, as the error says it.
        hint: what to do about it.
        shared: with other shared holders; none of them with an exclusive one.

    Raises:
        UsageError: another process holds it.
    """
    path = (folder / ".lock").absolute()
    if path in _HELD:
        return
    descriptor = _open(path)
    until = time.monotonic() + GRACE
    try:
        while not _lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if time.monotonic() > until:
                os.close(descriptor)
                raise UsageError("folder-locked", busy, where=folder, hint=hint)
            time.sleep(0.05)
    except OSError as error:  # some network file systems have no locks
        log.warn(f"{path}: no lock to be had ({error.strerror}); do not run two processes in one folder")
    _HELD[path] = descriptor


@contextmanager
def held(path: Path, *, busy: str, hint: str = "", wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path`, which is removed at the end of the block.

    Args:
        path: of the lock file; its folder is made when it is not there.
        busy: what another process does there: of the error, or of a line of the log when this one waits.
        hint: what to do about it.
        wait: until the other one has ended.

    Raises:
        UsageError: another process holds it, and `wait` is off.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    descriptor = _take(path, busy, hint, wait)
    try:
        yield
    finally:
        with suppress(OSError):  # while it is held: who waits for it sees that it is gone, and opens a new one
            path.unlink()
        os.close(descriptor)
        with suppress(OSError):  # something is in it
            for folder in made:
                folder.rmdir()


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Be the only process that makes the file or folder `target`.

    Raises:
        UsageError: another one is at it.
    """
    lock = target.absolute().with_name(f".{target.absolute().name}.lock")
    hint = "wait for it, or give another place to write to"
    with held(lock, busy=f"another sew process is writing {target}", hint=hint):
        yield


def _take(path: Path, busy: str, hint: str, wait: bool) -> int:
    until, told = time.monotonic() + GRACE, False
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if told else fcntl.LOCK_NB))
            if _is_current(descriptor, path):
                return descriptor
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(0.05)
            elif wait:
                log.info(f"{busy}; waiting for it")
                told = True
            else:
                os.close(descriptor)
                raise UsageError("folder-locked", busy, where=path.parent, hint=hint) from None
        except OSError as error:
            log.warn(f"{path}: no lock to be had ({error.strerror}); do not run two processes in one folder")
            return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    """Whether the lock is this process's now."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    with os_errors_as_usage_errors(path):
        for _ in range(TRIES):
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another process has just removed the folder, which was empty
                return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the file is still that of the name: the last holder removes it."""
    try:
        named, own = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino)
