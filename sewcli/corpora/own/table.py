"""A table of recordings: CSV, TSV, JSON lines. Its columns are known by name, and shown, or named by `--column`.

A row is an utterance: a sound file, or from `start` to `end` (or for `duration`) a stretch of one, and its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sewcli.base.errors import UsageError, nearest
from sewcli.base.log import info
from sewcli.corpora.own import rows as row_module
from sewcli.corpora.own.places import AudioFolder
from sewcli.corpora.own.records import Record, open_table
from sewcli.corpora.own.rows import Refused, Row, Rows, refuse
from sewcli.corpora.own.settings import Settings
from sewcli.corpora.own.splits import split_of_name, split_of_value
from sewcli.corpora.utterances import MIX

NAMES: dict[
    str, tuple[str, ...]
] = {  # what columns are called, the likelier first; compared without case, blanks and _
    "path": (
        *("path", "audio", "audiopath", "audiofilepath", "audiofile", "file", "filename", "filepath", "wav", "wavpath"),
        *("wavfilename", "wavfile", "clip", "sound", "recording", "mp3", "flac"),
    ),
    "text": ("text", "sentence", "transcript", "transcription", "orthographic", "label", "utterance", "words"),
    "speaker": ("speaker", "speakerid", "clientid", "spk", "spkid", "speakername", "reader"),
    "start": ("start", "begin", "starttime", "startsec", "offset", "from", "tmin"),
    "end": ("end", "stop", "endtime", "endsec", "to", "tmax"),
    "duration": ("duration", "dur", "length", "durationsec", "seconds"),
    "channel": ("channel", "chan", "ch"),
    "split": ("split", "subset", "set", "partition", "fold"),
    "language": ("language", "lang", "locale"),
    "id": ("id", "uttid", "utteranceid", "utt", "uttname", "segmentid", "key"),
}
REQUIRED = ("path", "text")


def read(inputs: Sequence[Path], settings: Settings) -> Rows:
    """The rows of tables.

    Raises:
        DataError: a table cannot be read. UsageError: it has no column for what is needed.
    """
    for path in inputs:
        yield from read_table(path, settings)


def read_table(path: Path, settings: Settings, *, split: str | None = None) -> Rows:
    """The rows of one table; `split`: what they are of where no column says so (None: by the name of the file)."""
    table = open_table(path, head=not _numbered(settings.columns))
    columns = find_columns(path, table.columns, settings.columns)
    shown = ", ".join(f"{what} = {name}" for what, name in columns.items())
    unused = [name for name in table.columns if name not in columns.values()]
    info(f"{path.name}: {shown}" + (f"; not used: {', '.join(unused)}" if unused else ""))
    folder = AudioFolder(settings.audio or path.parent)
    split = split_of_name(path.name) if split is None else split
    for record in table.records:
        yield _row(path, record, columns, folder, split)


def find_columns(path: Path, there: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """The columns of a table by what they hold.

    Raises:
        UsageError: a named column is not there, or none holds the files or the texts.
    """
    for what, column in named.items():
        if what not in NAMES:
            raise UsageError(
                "invalid-column", f"--column {what}=...: no such thing{nearest(what, NAMES)}", hint=_things()
            )
        if column not in there:
            raise UsageError(
                "no-such-column",
                f"no column {column!r}{nearest(column, there)}",
                where=path,
                hint=f"there are: {', '.join(there)}",
            )
    plain = {"".join(name.lower().replace("_", " ").replace("-", " ").split()): name for name in reversed(there)}
    found = dict(named)
    for what, names in NAMES.items():
        guess = next((plain[name] for name in names if name in plain and plain[name] not in found.values()), None)
        if what not in found and guess is not None:
            found[what] = guess
    for what in REQUIRED:
        if what not in found:
            raise UsageError(
                "no-such-column",
                f"no column that holds the {what} is known by its name (there are: {', '.join(there)})",
                where=path,
                hint=f"name it: --column {what}=NAME; by numbers where the first line is no head: --column {what}=1",
            )
    if found.keys() & {"end", "duration"} and "start" not in found:  # of the whole file, and rounded
        found = {what: name for what, name in found.items() if what not in ("end", "duration") or what in named}
    return {what: found[what] for what in NAMES if what in found}


def _numbered(columns: Mapping[str, str]) -> bool:
    return bool(columns) and all(name.isdecimal() for name in columns.values())


def _things() -> str:
    return f"one of: {', '.join(NAMES)}"


def _row(source: Path, record: Record, columns: Mapping[str, str], folder: AudioFolder, split: str) -> Row | Refused:
    values = {what: record.values.get(name, "").strip() for what, name in columns.items()}
    split = split_of_value(values["split"]) if values.get("split") else split
    if record.fault:
        return refuse(source, record.place, record.fault, split=split)
    if not values["path"]:
        return refuse(source, record.place, "no sound file", identity=values.get("id", ""), split=split)
    try:
        start = row_module.seconds(values["start"]) if values.get("start") else 0.0
        end = _end(values, start)
        channel = row_module.channel(values["channel"]) if values.get("channel") else MIX
    except ValueError as error:
        return refuse(source, record.place, str(error), identity=values.get("id", ""), split=split)
    return Row(
        source=source,
        place=record.place,
        audio=folder.find(values["path"]),
        text=record.values.get(columns["text"], ""),
        id=values.get("id", ""),
        speaker=values.get("speaker", ""),
        start=start,
        end=end,
        channel=channel,
        split=split,
        language=values.get("language", ""),
    )


def _end(values: Mapping[str, str], start: float) -> float | None:
    if values.get("end"):
        end = row_module.seconds(values["end"])
    elif values.get("duration"):
        end = start + row_module.seconds(values["duration"])
    else:
        return None
    if end <= start:
        raise ValueError(f"it ends at {end:g} s, not after its start at {start:g} s")
    return end
