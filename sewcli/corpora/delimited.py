"""Tables of text with a line of column names and one row a line: `.tsv`, `|`-separated, gzipped or not.

A row that does not fit its head is reported and passed over, where `csv.DictReader` shifts its columns or, at a stray
quotation mark, swallows the rows after it.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sewcli.base.errors import DataError


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: its values by column name, or what is wrong with it."""

    number: int
    text: str
    values: dict[str, str] = field(default_factory=dict)
    fault: str | None = None


def read_rows(path: Path, delimiter: str, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a table in order, blank lines left out.

    Args:
        path: UTF-8 text; gzipped when the name ends in `.gz`.
        delimiter: one character.
        columns: those that must be there.

    Raises:
        DataError: missing, cut off, empty, or without one of `columns`.
    """
    lines = _lines(path)
    head = next(lines, (0, b""))[1].decode("utf-8-sig", errors="replace").split(delimiter)
    if missing := [name for name in columns if name not in head]:
        raise DataError(
            "no-such-column",
            f"no column {missing[0]!r} (there are: {', '.join(map(repr, head))})",
            where=path,
            hint="copy or download it again; its first line names the columns",
        )
    for number, line in lines:
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            yield Row(number, line.decode("utf-8", errors="replace"), fault=f"line {number}: not UTF-8 text")
            continue
        values = text.split(delimiter)
        if len(values) != len(head) and '"' in text:  # the delimiter within quotation marks
            values = next(csv.reader([text], delimiter=delimiter))
        if len(values) == len(head):
            yield Row(number, text, dict(zip(head, values, strict=True)))
        else:
            yield Row(number, text, fault=f"line {number}: {len(values)} columns, not {len(head)}")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, without their ends, numbered from 1."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip(b"\r\n")
    except FileNotFoundError:
        raise DataError("file-not-found", "no such table", where=path) from None
    except (OSError, EOFError, zlib.error) as error:  # BadGzipFile is an OSError
        raise DataError(
            "cannot-read", f"cannot be read to its end ({error})", where=path, hint="copy or download it again"
        ) from None
