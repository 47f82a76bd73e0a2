"""The records of a table: CSV, TSV, `|`- or `;`-separated, or JSON (a line each, or one list), as programs really write them.

Excel's `sep=;` line, byte order marks, CR LF, quoted fields with line ends in them, a stray quotation mark, a row with too few
fields, a line that is not UTF-8: each costs at most the row that it stands in.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sewcli.base.errors import DataError, quoted
from sewcli.base.parsing import ParseError, parse_json
from sewcli.base.regular import require_regular

DELIMITERS = "\t,;|"
JSON_ENDINGS = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".json.gz")
MOST_LINES = 50  # of a quoted field
_SEP = re.compile(r"sep=(.)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table: its values by column, or what is wrong with it."""

    place: str
    values: dict[str, str] = field(default_factory=dict)
    fault: str | None = None


@dataclass(frozen=True)
class Table:
    """The columns of a table and its rows; columns are `"1"`, `"2"`, ... where it is read without a head."""

    columns: list[str]
    records: Iterator[Record]


def open_table(path: Path, *, head: bool = True) -> Table:
    """Read a table.

    Args:
        path: the file, gzipped or not.
        head: whether its first line names the columns.

    Raises:
        DataError: missing, empty, UTF-16, not to be read to its end, or without columns.
    """
    if path.name.lower().endswith(JSON_ENDINGS):
        records = [_json_record(place, item) for place, item in read_objects(path)]
        columns = list(dict.fromkeys(name for record in records for name in record.values))
        if not columns:
            fault = f": {records[0].fault} ({records[0].place})" if records else ""
            raise DataError(
                "no-columns", f"no object with keys in it{fault}", where=path, hint="give a JSON object a line"
            )
        return Table(columns, iter(records))
    lines = _lines(path)
    number, first = next(lines, (0, ""))
    delimiter = None
    if named := _SEP.fullmatch(first or ""):
        delimiter = named[1]
        number, first = next(lines, (0, ""))
    if not first:
        raise DataError("file-empty", "an empty table", where=path)
    delimiter = delimiter or max(DELIMITERS, key=_unquoted(first).count)
    names = _split(first, delimiter)
    if not head:
        columns = [str(index) for index in range(1, len(names) + 1)]
        return Table(columns, _records([(number, first)], lines, delimiter, columns))
    return Table([name.strip() for name in names], _records([], lines, delimiter, [name.strip() for name in names]))


def _records(
    before: list[tuple[int, str | None]], lines: Iterator[tuple[int, str | None]], delimiter: str, columns: list[str]
) -> Iterator[Record]:
    waiting = before
    while True:
        if not waiting:
            if (line := next(lines, None)) is None:
                return
            waiting = [line]
        number, text = waiting.pop(0)
        place = f"line {number}"
        if text is None:
            yield Record(place, fault="not UTF-8 text")
            continue
        if not text.strip(delimiter + " "):
            continue  # Excel writes rows of nothing but separators
        values = _split(text, delimiter)
        if (len(values) != len(columns) or delimiter != "\t") and _is_open(text, delimiter):
            values = _joined(text, lines, waiting, delimiter, len(columns)) or values
        while len(values) > len(columns) and not values[-1].strip():
            values.pop()
        if len(values) == len(columns):
            yield Record(place, dict(zip(columns, values, strict=True)))
        else:
            yield Record(place, fault=f"{len(values)} fields, the head has {len(columns)}")


def _joined(
    text: str,
    lines: Iterator[tuple[int, str | None]],
    waiting: list[tuple[int, str | None]],
    delimiter: str,
    width: int,
) -> list[str] | None:
    """The values of a row whose quoted field goes on in the lines below; None, and all lines left, where none does."""
    taken = list(waiting)
    waiting.clear()
    whole = text
    for _ in range(MOST_LINES):
        following = taken.pop(0) if taken else next(lines, None)
        if following is None:
            break
        waiting.append(following)
        if following[1] is None:
            break
        whole += "\n" + following[1]
        if not _is_open(whole, delimiter):
            values = _split(whole, delimiter)
            if len(values) == width:
                waiting[:] = taken
                return values
            break
    waiting += taken
    return None


def _split(text: str, delimiter: str) -> list[str]:
    """The fields of a line; quotation marks count where they stand around a whole field, doubled within it."""
    if '"' not in text:
        return text.split(delimiter)
    quoted_field = rf'"(?:[^"]|"")*"(?={re.escape(delimiter)}|$)'
    fields = re.findall(rf"(?:^|{re.escape(delimiter)})({quoted_field}|[^{re.escape(delimiter)}]*)", text)
    return [
        field[1:-1].replace('""', '"') if len(field) > 1 and re.fullmatch(quoted_field, field) else field
        for field in fields
    ]


def _is_open(text: str, delimiter: str) -> bool:
    """Whether a field begins with a quotation mark that is not closed."""
    last = _split(text, delimiter)
    return any(field.startswith('"') for field in last)


def _unquoted(line: str) -> str:
    return re.sub(r'"[^"]*"', "", line)


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """The place and the content of each JSON object of a file, a line each or one list of them; a text is what is wrong.

    Raises:
        DataError: as `open_table`, or a list that is not JSON.
    """
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise DataError("file-empty", "an empty file", where=path)
    if first[1] is not None and first[1].lstrip().startswith("["):
        try:
            items = parse_json("\n".join([first[1], *(line or "" for _, line in lines)]))
        except ValueError as error:
            raise DataError("not-json", f"not JSON: {error}", where=path) from None
        for index, item in enumerate(items, start=1):
            yield f"object {index}", _object(item)
        return
    for number, line in itertools.chain([first], lines):
        try:
            yield f"line {number}", "not UTF-8 text" if line is None else _object(parse_json(line))
        except ParseError as error:
            yield f"line {number}", str(error)
        except ValueError:
            yield f"line {number}", "not a JSON object"


def _object(item: object) -> dict[str, Any] | str:
    return item if isinstance(item, dict) else f"not a JSON object: {quoted(item, 30)}"


def _json_record(place: str, item: dict[str, Any] | str) -> Record:
    if isinstance(item, str):
        return Record(place, fault=item)
    return Record(place, {name: written(value) for name, value in item.items()})


def written(value: object) -> str:
    """A value of JSON as a field of a table."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _lines(path: Path) -> Iterator[tuple[int, str | None]]:
    """Lines that are not blank, without their ends, numbered from 1; None for one that is not UTF-8."""
    try:
        require_regular(path)
        with open(path, "rb") as raw:
            head = raw.peek(4)
        if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
            raise DataError(
                "a-workbook", "an Excel workbook, not a table of text", where=path, hint="save it as CSV UTF-8"
            )
        packed = head.startswith(b"\x1f\x8b")
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                    hint = "save it as UTF-8 (Excel: CSV UTF-8), or: iconv -f UTF-16 -t UTF-8"
                    raise DataError("wrong-encoding", "UTF-16 text, not UTF-8", where=path, hint=hint)
                if line.strip():
                    yield number, _decoded(line.rstrip(b"\r\n"), first=number == 1)
    except FileNotFoundError:
        raise DataError("file-not-found", "no such file", where=path) from None
    except IsADirectoryError:
        raise DataError("folder-for-file", "a folder, not a table", where=path) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            "cannot-read", f"cannot be read to its end ({error})", where=path, hint="copy or make it again"
        ) from None


def _decoded(line: bytes, *, first: bool) -> str | None:
    try:
        return line.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError:
        return None
