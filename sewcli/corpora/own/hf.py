"""Data sets of Hugging Face: a folder that `save_to_disk` wrote (Arrow), or Parquet files, with the sound inside.

A column of audio is `{bytes, path}`; sound that was decoded (`array`) has lost its file and is refused. Read with pyarrow,
which is loaded only here. A row's sound is read when it is converted, so that memory holds one group of rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sewcli.base.errors import DataError, UsageError
from sewcli.base.log import info
from sewcli.corpora.own import rows as row_module
from sewcli.corpora.own.places import AudioFolder
from sewcli.corpora.own.records import written
from sewcli.corpora.own.rows import Refused, Row, Rows, refuse
from sewcli.corpora.own.settings import Settings
from sewcli.corpora.own.splits import split_of_name, split_of_value
from sewcli.corpora.own.table import find_columns
from sewcli.corpora.utterances import MIX

PARQUET, ARROW = ".parquet", ".arrow"
EXTRA = 'pip install "sewcli[parquet]"'


@dataclass(frozen=True, slots=True)
class Cell:
    """The sound in one row of a file."""

    file: Path
    row: int
    column: str

    def stamp(self) -> str:
        """The file's size and time, and the row."""
        try:
            status = self.file.stat()
        except OSError:
            return f"gone {self.row}"
        return f"{status.st_size} {status.st_mtime_ns} {self.row} {self.column}"

    def read(self) -> bytes:
        """The bytes in the row, or those of the file that it names.

        Raises:
            DataError: neither is there.
        """
        group, first = _group(self.file, self.row, self.column)
        value = group[self.row - first].as_py() or {}
        if value.get("bytes"):
            return bytes(value["bytes"])
        path = self.file.parent / str(value.get("path") or "")
        if value.get("path") and path.is_file():
            return path.read_bytes()
        raise DataError("no-sound", "neither sound in the row, nor a file that it names")


def read(inputs: Sequence[Path], settings: Settings) -> Rows:
    """The rows of data sets.

    Raises:
        UsageError: pyarrow is not installed, no data set, no column of audio or of text. DataError: a damaged file.
    """
    _require_pyarrow()
    for given in inputs:
        files = [given] if given.is_file() else _files(given)
        if not files:
            raise UsageError(
                "not-a-dataset", "no Parquet file and no folder of save_to_disk", where=given, hint="what is there?"
            )
        for file in files:
            yield from _rows(file, _split(file, given), settings)


def _files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix in (PARQUET, ARROW))
    return [path for path in files if not path.name.startswith(("cache-", "."))]


def _split(file: Path, given: Path) -> str:
    """By the name of the file (`train-00000-of-00002.parquet`), else of its folder (save_to_disk)."""
    name = split_of_name(re.sub(r"-\d+-of-\d+", "", file.stem))
    return name or (split_of_name(file.parent.name) if file.is_relative_to(given) else "")


def _rows(file: Path, split: str, settings: Settings) -> Rows:
    schema, batches = _open(file)
    columns = find_columns(file, schema.names, settings.columns)
    info(f"{file.name}: {', '.join(f'{what} = {name}' for what, name in columns.items())}")
    kind = schema.field(columns["path"]).type
    fields = {kind.field(i).name for i in range(kind.num_fields)} if str(kind).startswith("struct") else None
    if fields is not None and not fields & {"bytes", "path"}:
        raise UsageError(
            "sound-decoded",
            f"the column {columns['path']!r} holds decoded samples ({', '.join(sorted(fields))})",
            where=file,
            hint="save it with cast_column('audio', Audio(decode=False))",
        )
    folder, number = AudioFolder(settings.audio or file.parent), 0
    for batch in batches(list(columns.values()), columns["path"] if fields else None):
        for values in batch:
            texts = {what: written(values.get(name)) for what, name in columns.items() if what != "path"}
            yield _row(file, number, values.get(columns["path"]), texts, split, folder, columns["path"], fields)
            number += 1


def _row(
    file: Path,
    number: int,
    sound: Any,
    texts: Mapping[str, str],
    split: str,
    folder: AudioFolder,
    column: str,
    fields: set[str] | None,
) -> Row | Refused:
    place = f"row {number + 1}"
    split = split_of_value(texts["split"]) if texts.get("split") else split
    try:
        start = row_module.seconds(texts["start"]) if texts.get("start") else 0.0
        end = row_module.seconds(texts["end"]) if texts.get("end") else None
        channel = row_module.channel(texts["channel"]) if texts.get("channel") else MIX
    except ValueError as error:
        return refuse(file, place, str(error), identity=texts.get("id", ""), split=split)
    inside = fields is not None and "bytes" in fields
    name = str(sound.get("path") or "") if isinstance(sound, dict) else str(sound or "")
    if not inside and not name:
        return refuse(file, place, "no sound", identity=texts.get("id", ""), split=split)
    return Row(
        source=file,
        place=place,
        audio=file / f"{number:07d}" if inside else folder.find(name),
        text=texts.get("text", ""),
        id=texts.get("id", ""),
        speaker=texts.get("speaker", ""),
        start=start,
        end=end,
        channel=channel,
        split=split,
        language=texts.get("language", ""),
        recording=Path(name).stem or f"{file.stem}-{number:07d}" if inside else "",
        content=Cell(file, number, column) if inside else None,
    )


def _open(file: Path) -> tuple[Any, Any]:
    """The schema of a file, and what yields lists of its rows, without their sound."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.suffix == PARQUET:
            opened = pq.ParquetFile(file)
            return opened.schema_arrow, lambda names, sound: _parquet_rows(opened, names, sound)
        table = _arrow_table(file)
        return table.schema, lambda names, sound: _arrow_rows(table, names, sound)
    except (pa.ArrowException, OSError) as error:
        raise DataError("cannot-read", f"cannot be read ({error})", where=file, hint="copy or make it again") from None


def _parquet_rows(opened: Any, names: list[str], sound: str | None) -> Iterator[list[dict[str, Any]]]:
    wanted = [f"{name}.path" if name == sound else name for name in names]
    for batch in opened.iter_batches(batch_size=1024, columns=wanted):
        yield batch.to_pylist()


def _arrow_rows(table: Any, names: list[str], sound: str | None) -> Iterator[list[dict[str, Any]]]:
    plain = table.select([name for name in names if name != sound])
    paths = table.column(sound).combine_chunks() if sound and table.num_rows else None
    if paths is not None:
        import pyarrow.compute as pc

        has_path = "path" in [field.name for field in paths.type]
        paths = pc.struct_field(paths, "path").to_pylist() if has_path else [None] * table.num_rows
    rows = plain.to_pylist() if plain.num_columns else [{} for _ in range(table.num_rows)]
    yield [{**row, **({sound: {"path": paths[i]}} if sound and paths else {})} for i, row in enumerate(rows)]


@lru_cache(maxsize=4)
def _arrow_table(file: Path) -> Any:
    """A table that lies in the file: nothing of it is read before it is asked for."""
    import pyarrow as pa

    mapped = pa.memory_map(str(file))
    try:
        return pa.ipc.open_stream(mapped).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(mapped).read_all()


def _group(file: Path, row: int, column: str) -> tuple[Any, int]:
    """The sounds of some rows, and the number of the first."""
    import pyarrow as pa

    try:
        if file.suffix != PARQUET:
            return _arrow_table(file).column(column), 0
        starts = _starts(file)
        index = max(i for i, start in enumerate(starts) if start <= row)
        return _row_group(file, index, column), starts[index]
    except (pa.ArrowException, OSError) as error:
        raise DataError("cannot-read", f"cannot be read ({error})", where=file, hint="copy or make it again") from None


@lru_cache(maxsize=64)
def _starts(file: Path) -> list[int]:
    import pyarrow.parquet as pq

    facts = pq.ParquetFile(file).metadata
    sizes = [facts.row_group(i).num_rows for i in range(facts.num_row_groups)]
    return [sum(sizes[:i]) for i in range(len(sizes))]


@lru_cache(maxsize=1)
def _row_group(file: Path, index: int, column: str) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(file).read_row_group(index, columns=[column]).column(column)


def _require_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UsageError("package-missing", "reading Arrow and Parquet needs pyarrow", hint=EXTRA) from None
