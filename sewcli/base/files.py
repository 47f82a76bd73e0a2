"""Files that are either whole or absent: write to a temporary sibling, fsync, rename, fsync the folder.

A reader never sees half a file, and a kill or a full disk costs at most the file being written, never the one before.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sewcli.base.errors import DataError, SewError, UsageError, quoted
from sewcli.base.parsing import parse_json
from sewcli.base.pipes import read_once
from sewcli.base.refusals import REFUSALS
from sewcli.base.regular import require_regular
from sewcli.base.texts import open_text

UMASK = os.umask(0)  # the only way to read it is to set it
os.umask(UMASK)
OS_ERROR = re.compile(r"os error (\d+)")  # as libraries written in Rust say it
TEMPORARY = ".tmp-"  # marks what a kill may leave behind; `remove_leftovers` clears it


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling to write to; on success it is fsynced and renamed to `path`, otherwise removed.

    The temporary name keeps the suffixes of `path`, because many writers choose the format by them.

    Raises:
        UsageError: the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    with os_errors_as_usage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{TEMPORARY}{os.getpid()}-{path.name}"
    try:
        with os_errors_as_usage_errors(path):
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
    finally:
        with suppress(OSError):  # on a file system that cannot be written, even of what is not there
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling folder; on success its files are fsynced and it takes the place of `path`."""
    path = Path(path)
    with os_errors_as_usage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{os.getpid()}-{path.name}-", dir=path.parent))
    try:
        with os_errors_as_usage_errors(path):
            yield temporary
            temporary.chmod(0o777 & ~UMASK)
            for entry in sorted(temporary.rglob("*")):
                entry.chmod((0o777 if entry.is_dir() else 0o666) & ~UMASK)  # some writers make files private
                sync(entry)
            sync(temporary)
            _take_place(temporary, path)
    except SewError as error:  # of a writer inside: it names what is gone in a moment
        if error.where is None or not Path(error.where).is_relative_to(temporary):
            raise
        where = path / Path(error.where).relative_to(temporary)
        raise type(error)(error.code, error.what, where=where, hint=error.hint) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(made: Path, path: Path) -> None:
    """Let a folder that was filled over time, whose files are all on disk, take the place of `path`."""
    with os_errors_as_usage_errors(path):
        sync(made)
        _take_place(made, path)


def _take_place(made: Path, path: Path) -> None:
    if path.exists():
        old = path.parent / f"{TEMPORARY}{os.getpid()}-old-{path.name}"
        os.replace(path, old)
        os.replace(made, path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(made, path)
    sync(path.parent)


def require_new(folder: Path) -> None:
    """Refuse to write a folder where anything is.

    Raises:
        UsageError: a file, or a folder that is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("folder-not-empty", "already exists", where=folder, hint="choose a new folder")


def restore_interrupted_swap(path: str | Path) -> None:
    """Undo what a kill in the last moment of `atomic_folder` may leave: the old folder set aside, the new one not there."""
    path = Path(path)
    for old in path.parent.glob(f"{TEMPORARY}*-old-{path.name}"):
        if not path.exists():
            os.replace(old, path)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON atomically (NaN and infinities refused: they are not JSON)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"
    write_bytes(path, text.encode(errors="backslashreplace"))  # the name of a file that is not UTF-8: JSON's own escape


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically; gzip (without a time stamp) when the name ends in `.gz`."""
    with atomic_path(path) as temporary:
        if str(path).endswith(".gz"):
            with open(temporary, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                packed.writelines(map(_json_line, rows))
        else:
            with open(temporary, "wb") as plain:
                plain.writelines(map(_json_line, rows))


POINTER = b"version https://git-lfs"


def refuse_pointer(path: str | Path) -> None:
    """Refuse what git leaves in a file's place when its large-file storage (LFS) was not asked.

    Raises:
        DataError: the file is such a pointer, or a named pipe.
    """
    require_regular(path)
    with open(path, "rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise DataError(
                "git-lfs-pointer",
                "a pointer of git-lfs, not the file itself",
                where=path,
                hint="git lfs install, then git lfs pull in its folder; or download the file by itself",
            )


def is_there(path: str | Path, *, folder: bool | None = None) -> bool:
    """Whether a file (`folder=False`), a folder (`True`) or either is here; a name that no file system takes is not.

    Raises:
        UsageError: a folder above it may not be entered.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (pathlib raises what it likes of a long name)
    except (PermissionError, InterruptedError) as error:
        raise UsageError(
            "cannot-read", f"cannot be read ({error.strerror})", where=path, hint="ask for the right to read it"
        ) from None
    except (OSError, ValueError):
        return False
    return folder is None or (stat.S_ISDIR if folder else stat.S_ISREG)(mode)


def read_json(path: str | Path) -> Any:
    """Read a JSON file (a byte order mark is passed over).

    Raises:
        DataError: missing, truncated, not JSON, or odd in a way that `parse_json` refuses.
    """
    content = b""
    try:
        with read_once(path) as file:
            content = file.read()
        return parse_json(content.decode("utf-8-sig"))
    except FileNotFoundError:
        raise DataError("file-not-found", "no such file", where=path) from None
    except OSError as error:
        raise DataError("cannot-read", f"cannot be read ({error.strerror or error})", where=path) from None
    except MemoryError:
        raise DataError("out-of-memory", "does not fit into the memory", where=path) from None
    except ValueError as error:  # UnicodeDecodeError, JSONDecodeError and ParseError are ValueErrors
        if content.startswith(POINTER):
            refuse_pointer(path)
        raise DataError("not-json", f"not valid JSON ({_reason(error)})", where=path) from None


def read_object(path: str | Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        DataError: as `read_json`, or another value than an object.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError("not-json-object", f"an object with names was expected, not {quoted(content)}", where=path)
    return content


def read_jsonl(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file (gzipped when it ends in `.gz`), naming the line that is broken.

    Raises:
        DataError: missing, truncated or a line that is not a JSON object.
    """
    for _, row in numbered_jsonl(path):
        yield row


def numbered_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """As `read_jsonl`, each object with the number of its line."""
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    row = parse_json(line)
                    if not isinstance(row, dict):
                        raise ValueError("not an object")
                except ValueError as error:
                    raise DataError(
                        "not-jsonl", f"line {number}: not valid JSON lines ({_reason(error)})", where=path
                    ) from None
                yield number, row


@contextmanager
def as_expected(path: str | Path) -> Iterator[None]:
    """Turn what a file of another form than expected raises (a missing key, a value of another type) into a `DataError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        reason = f"{quoted(error.args[0])} is missing" if isinstance(error, KeyError) and error.args else str(error)
        raise DataError(
            "unexpected-content",
            f"not of the form that it should have ({reason[:200] or type(error).__name__})",
            where=path,
            hint="it was edited or damaged: make it again",
        ) from None


def _reason(error: Exception) -> str:
    """Of a parser or a codec, without the text that it carries along."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text: byte {error.object[error.start]:#04x} at {error.start:,}"
    return str(error)[:200]


def _json_line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Remove what killed writers left in `folder` (not in its sub-folders); returns what was removed."""
    leftovers = sorted(Path(folder).glob(f"{TEMPORARY}*"))
    for leftover in leftovers:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    return leftovers


@contextmanager
def os_errors_as_usage_errors(path: str | Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into a `UsageError` with the hint."""
    try:
        yield
    except OSError as error:
        raise explain_os_error(error, path) from error
    except SewError:
        raise
    except Exception as error:  # of writers with errors of their own
        found = OS_ERROR.search(str(error))
        number = int(found[1]) if found else errno.ENOSPC if "No space left on device" in str(error) else None
        if number is None:
            raise
        raise explain_os_error(OSError(number, os.strerror(number)), path) from error


def explain_os_error(error: OSError, path: str | Path) -> SewError:
    """The `UsageError` that explains a failed write of `path`."""
    hints: dict[int | None, str] = {
        errno.ENOSPC: "free some space or choose another folder, then run the same command again; nothing older was lost",
        errno.EDQUOT: "free some of your quota or choose another folder, then run the same command again",
        errno.EFBIG: "allow larger files (ulimit -f) or choose another file system, then run the same command again",
        errno.EACCES: "choose a folder you may write to",
        errno.EROFS: "choose a folder on a file system that can be written",
        errno.EMFILE: "allow more open files, with ulimit -n 1024",
        errno.ENAMETOOLONG: "give a shorter name",
    }
    if error.errno in (errno.ENOTDIR, errno.EEXIST) and (file := _file_above(Path(path))):
        return UsageError(
            "file-for-folder", "a file, where a folder is needed", where=file, hint="give another place to write to"
        )
    reason = "no disk space left" if error.errno == errno.ENOSPC else f"cannot write ({error.strerror or error})"
    code = REFUSALS[error.errno][0] if error.errno in REFUSALS else "cannot-write"
    return UsageError(code, reason, where=path, hint=hints.get(error.errno))


def _file_above(path: Path) -> Path | None:
    """The file that stands where a folder on the way to `path` would."""
    try:
        return next((above for above in path.parents if above.exists() and not above.is_dir()), None)
    except OSError:
        return None


def retry_once_cleaned(action: Callable[[], None], clean: Callable[[], None]) -> None:
    """Run `action`; when the disk is full, run `clean` (which frees space) and try once more."""
    try:
        action()
    except UsageError as error:
        if error.code != "no-disk-space":
            raise
        clean()
        action()


def sync(path: Path) -> None:
    """Have the kernel write a file or the entries of a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
