"""What the machine refuses (memory, disk, files, processes), recognised in whatever form a library raises it.

Where the place matters, code says more itself (`files.os_errors_as_usage_errors`); this is for everything else, so that no
command ends with a traceback because of a limit, a full disk or a missing permission.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from sewcli.base.errors import SewError, UsageError

NO_MEMORY = re.compile(
    r"(can't|cannot|could not|failed to|unable to) (allocate|mmap)|out of memory|bad_?alloc|failed to map segment"
    r"|could not create a memory|not enough memory|os error 12\b|mmap can't|cannot map",
    re.IGNORECASE,
)
NO_PROCESS = re.compile(r"can't start new thread|resource temporarily unavailable|os error 11\b", re.IGNORECASE)
ERRNO = re.compile(r"os error (\d+)|\[Errno (\d+)\]")
SHOWN = 300  # characters of a name
REFUSALS = {  # code, what, hint
    errno.ENOSPC: (
        "no-disk-space",
        "no disk space left",
        "free some space or choose another folder, then run it again",
    ),
    errno.EDQUOT: (
        "disk-quota-used-up",
        "the disk quota is used up",
        "free some of it or choose another folder",
    ),
    errno.EFBIG: (
        "file-too-large",
        "a file may not grow so large here",
        "see ulimit -f, or choose another file system",
    ),
    errno.EROFS: ("read-only-file-system", "the file system cannot be written", "choose a folder elsewhere"),
    errno.EACCES: (
        "permission-denied",
        "permission denied",
        "choose another folder, or change its permissions",
    ),
    errno.EPERM: (
        "permission-denied",
        "not permitted",
        "choose another folder, or change its permissions",
    ),
    errno.ENAMETOOLONG: ("name-too-long", "File name too long: 255 bytes at most", "give a shorter one"),
    errno.EMFILE: (
        "too-many-open-files",
        "too many open files",
        "allow more, with ulimit -n 1024, or give fewer --jobs",
    ),
    errno.ENFILE: ("too-many-open-files", "too many open files on this machine", "end what else is running"),
    errno.ELOOP: ("link-circle", "Too many levels of symbolic links", "remove the link that leads to itself"),
    errno.ENOTDIR: ("file-for-folder", "a file, where a folder is needed", "give another path"),
    errno.EISDIR: ("folder-for-file", "a folder, where a file is needed", "give another path"),
    errno.ENOENT: (
        "file-not-found",
        "no such file or folder",
        "it may have been removed meanwhile: run it again",
    ),
    errno.EIO: (
        "disk-failed",
        "the disk or the network file system has failed",
        "see the system's log, then run it again",
    ),
    errno.ESTALE: ("disk-failed", "the network file system has lost this file", "run the same command again"),
    errno.EBADF: ("file-closed", "a file that is closed", "see the redirections of the command"),
}


def refusal(error: BaseException) -> SewError | None:
    """The `UsageError` that explains an exception which the machine is to blame for; None of any other one."""
    for one in _chain(error):
        if isinstance(one, SewError):
            continue
        of_system = isinstance(one, OSError) and one.errno not in (errno.ENOMEM, errno.EAGAIN)
        found = _of_system(one) if of_system and isinstance(one, OSError) else _of_text(one)
        if found is not None:
            return found
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, those that it was raised from, and a lack of memory that it was raised in answer to."""
    for _ in range(8):
        if error is None:
            return
        yield error
        context = error.__context__ if isinstance(error.__context__, MemoryError) else None
        error = error.__cause__ or context


def _of_system(error: OSError) -> SewError | None:
    if "temporary directory" in str(error):
        return UsageError(
            "no-temporary-folder", "no folder for temporary files can be written", hint="name one: TMPDIR=DIR sew ..."
        )
    if error.errno == errno.ENOENT and error.filename is None:
        return UsageError(
            "working-folder-gone", "the folder that this runs in is gone", hint="change to one that is there"
        )
    code, what, hint = REFUSALS.get(error.errno or 0, (None, None, None))
    name = error.filename if isinstance(error.filename, str | bytes | os.PathLike) else None
    if code is None or what is None:
        return _of_text(error)
    return UsageError(code, what, where=None if name is None else _shown(name), hint=hint)


def _of_text(error: BaseException) -> SewError | None:
    text = str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or NO_MEMORY.search(text):
        hint = (
            "allow more (ulimit -v, the job's limit), end what else is running, or give a smaller batch or fewer --jobs"
        )
        return UsageError("out-of-memory", "there is not enough memory", hint=hint)
    if NO_PROCESS.search(text):
        return UsageError(
            "no-more-processes",
            "no process or thread more can be started",
            hint="allow more (ulimit -u), or fewer --jobs",
        )
    if "home directory" in text or "uid not found" in text:
        return UsageError("no-home-folder", "there is no home folder", hint="name one: HOME=DIR sew ...")
    if "embedded null" in text:
        return UsageError(
            "zero-byte-in-name", "a name that holds a zero byte", hint="see the names in the command and the config"
        )
    if number := ERRNO.search(text):
        known = REFUSALS.get(int(number[1] or number[2]))
        return UsageError(known[0], known[1], hint=known[2]) if known else None
    return None


def _shown(name: str | bytes | os.PathLike[str]) -> str:
    text = os.fsencode(name).decode(errors="backslashreplace")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text):,} characters)"
