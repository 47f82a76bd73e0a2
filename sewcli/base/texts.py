"""The one reader of other people's text files: transcripts, vocabularies, lexicons, ARPA files, text for language models.

UTF-8, with or without a byte order mark, gzipped or not (by its first bytes). What is in another encoding is named with its
line; a line without end is refused before it fills the memory.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sewcli.base.errors import DataError
from sewcli.base.pipes import is_pipe, read_once
from sewcli.base.regular import require_regular

LONGEST_LINE = 32 << 20  # characters: an hour of speech is 60 thousand

_GZIP = b"\x1f\x8b"
_MARKS = {  # the longer ones first: UTF-32's begins with UTF-16's
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_HEAD = 4096  # bytes looked at to know UTF-16 without a mark: it has a zero in most pairs


@contextmanager
def open_text(path: str | Path, *, hint: str | None = None, piped: bool = False) -> Iterator[Iterator[str]]:
    """Yield the lines of a text file, their ends included, without a byte order mark; faults become `DataError`.

    Args:
        path: the file.
        hint: what to do about a file that is missing.
        piped: whether it may be a pipe: it is read once, and no other reader opens it again.

    Raises:
        DataError: missing, a folder, a pipe unless `piped`, not UTF-8 (the line, and the encoding that it looks like), cut
            off, or a line of over LONGEST_LINE characters. Raised while lines are read, too.
    """
    path = Path(path)
    try:
        with _opened(path, piped) as stream:
            yield _lines(stream, path)
    except FileNotFoundError as error:
        raise DataError("file-not-found", "no such file", where=path, hint=hint) from error
    except IsADirectoryError as error:
        raise DataError("folder-for-file", "a folder, not a text file", where=path, hint=hint) from error
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            "cannot-read", f"cannot be read to its end ({error})", where=path, hint="make or copy it again"
        ) from None
    except OSError as error:
        raise DataError("cannot-read", f"cannot be read ({error.strerror or error})", where=path) from None


def read_lines(path: str | Path, *, hint: str | None = None) -> list[str]:
    """All lines without their ends: LF, CR LF or CR, and no other (U+2028 within a transcript is white space).

    Raises:
        DataError: as `open_text`.
    """
    with open_text(path, hint=hint) as lines:
        return [line.removesuffix("\n") for line in lines]


def _not_utf8(path: Path, error: UnicodeDecodeError) -> DataError:
    """Names the line where it shows."""
    byte = error.object[error.start : error.start + 1].hex()
    place = "" if is_pipe(path) else f"line {_line_of_fault(path)}: "
    return DataError(
        "not-utf8",
        f"{place}not UTF-8 text (byte 0x{byte}); Latin-1 or Windows-1252 perhaps",
        where=path,
        hint=f"convert it: iconv -f WINDOWS-1252 -t UTF-8 {path.name}",
    )


@contextmanager
def _opened(path: Path, piped: bool) -> Iterator[IO[str]]:
    with _bytes_of(path, piped) as raw:
        head = io.BufferedReader(raw)
        kind = _kind(head.peek(_HEAD)[:_HEAD])
        if kind:
            raise DataError(
                "not-utf8",
                f"{kind} text, not UTF-8",
                where=path,
                hint=f"convert it: iconv -f {kind} -t UTF-8 {path.name}",
            )
        with io.TextIOWrapper(head, encoding="utf-8-sig") as stream:
            yield stream


@contextmanager
def _bytes_of(path: Path, piped: bool = False) -> Iterator[io.BufferedIOBase]:
    if not piped:
        require_regular(path)
    with read_once(path) as raw:
        packed = raw.peek(len(_GZIP))[: len(_GZIP)] == _GZIP
        yield gzip.GzipFile(fileobj=raw) if packed else raw


def _kind(head: bytes) -> str | None:
    """UTF-16 or UTF-32 by the mark, or by the zeros between ASCII letters."""
    marked = next((kind for mark, kind in _MARKS.items() if head.startswith(mark)), None)
    if marked or b"\x00" not in head:
        return marked
    for start, name in ((0, "UTF-16BE"), (1, "UTF-16LE")):
        zeros = head[start::2].count(0)
        if zeros > len(head) / 4 and zeros > 2 * head[1 - start :: 2].count(0):
            return name
    return None


def _line_of_fault(path: Path) -> int:
    number = 0
    with _bytes_of(path) as raw:
        for number, line in enumerate(raw, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return number


def _lines(stream: IO[str], path: Path) -> Iterator[str]:
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise DataError(
                "line-too-long",
                f"line {number} has over {LONGEST_LINE:,} characters",
                where=path,
                hint="give text with a sentence a line",
            )
        yield line
