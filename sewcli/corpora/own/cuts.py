"""lhotse's manifests: cuts, or recordings with their supervisions. Each supervision is an utterance.

`--data` takes such manifests as they are; this makes 16 kHz files of theirs, splits and rules of text. What is made on the fly
(a mixture, a transform, padding) is refused: lhotse's `CutSet.save_audios` writes it to files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sewcli.base.errors import UsageError
from sewcli.corpora.own.kaldi import Command
from sewcli.corpora.own.records import read_objects
from sewcli.corpora.own.rows import Refused, Row, Rows, refuse
from sewcli.corpora.own.settings import Settings
from sewcli.corpora.own.splits import split_of_name
from sewcli.corpora.utterances import MIX

ENDINGS = (".jsonl", ".jsonl.gz")


def read(inputs: Sequence[Path], settings: Settings) -> Rows:
    """The utterances of manifests, or of folders of them.

    Raises:
        UsageError: no manifest, or recordings without supervisions. DataError: one cannot be read.
    """
    files = [file for path in inputs for file in (_below(path) if path.is_dir() else [path])]
    recordings: dict[str, dict[str, Any]] = {}
    others: list[Path] = []
    for file in files:
        if "recordings" in file.name:
            recordings |= {
                str(row["id"]): row for _, row in read_objects(file) if isinstance(row, dict) and "id" in row
            }
        else:
            others.append(file)
    if not others:
        raise UsageError(
            "no-manifest",
            "recordings without supervisions" if recordings else "no manifest of lhotse here",
            where=inputs[0],
            hint="give cuts_SPLIT.jsonl.gz, or recordings_SPLIT.jsonl.gz and supervisions_SPLIT.jsonl.gz",
        )
    for file in others:
        yield from _of_file(file, recordings, settings)


def _below(folder: Path) -> list[Path]:
    names = sorted(path for path in folder.iterdir() if path.name.endswith(ENDINGS))
    cuts = [path for path in names if "cuts" in path.name]
    return cuts or [path for path in names if "recordings" in path.name or "supervisions" in path.name]


def _of_file(file: Path, recordings: Mapping[str, Mapping[str, Any]], settings: Settings) -> Rows:
    split = split_of_name(file.name.replace("cuts", "").replace("supervisions", "").strip("_-. "))
    for place, row in read_objects(file):
        identity = str(row.get("id", "")) if isinstance(row, dict) else ""
        try:
            if isinstance(row, str):
                yield refuse(file, place, row, split=split)
            elif "recording_id" in row and "duration" in row and "recording" not in row:
                recording = recordings.get(str(row["recording_id"]))
                if recording is None:
                    reason = f"its recording {row['recording_id']} is in no manifest of recordings"
                    yield refuse(file, place, reason, identity=identity, split=split)
                else:
                    yield _row(file, place, recording, row, float(row["start"]), split, settings)
            else:
                yield from _of_cut(file, place, row, split, settings)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            reason = f"not a row of a manifest ({type(error).__name__}: {error})"
            yield refuse(file, place, reason, identity=identity, split=split)


def _of_cut(file: Path, place: str, cut: Mapping[str, Any], split: str, settings: Settings) -> Iterator[Row | Refused]:
    identity = str(cut["id"])
    if cut.get("type", "MonoCut") not in ("MonoCut", "MultiCut") or "recording" not in cut:
        what = "no sound in it, but features" if "features" in cut else f"a {cut.get('type', 'row of another kind')}"
        yield refuse(file, place, f"{what}; save its audio with lhotse", identity=identity, split=split)
        return
    if not cut["supervisions"]:
        yield refuse(file, place, "a cut without a supervision", identity=identity, split=split)
    for supervision in cut["supervisions"]:
        start = float(cut["start"]) + float(supervision["start"])
        if start < float(cut["start"]) - 1e-3 or start + float(supervision["duration"]) > (
            float(cut["start"]) + float(cut["duration"]) + 1e-3
        ):
            yield refuse(file, place, "a supervision that reaches beyond its cut", identity=identity, split=split)
        else:
            yield _row(file, place, cut["recording"], supervision, start, split, settings)


def _row(
    file: Path,
    place: str,
    recording: Mapping[str, Any],
    supervision: Mapping[str, Any],
    start: float,
    split: str,
    settings: Settings,
) -> Row | Refused:
    identity = str(supervision["id"])
    channels = supervision.get("channel", 0)
    if isinstance(channels, list) and len(channels) == 1:
        channels = channels[0]
    sources = recording["sources"]
    source = next((s for s in sources if channels in s["channels"] or channels == s["channels"]), None)
    fault = None
    if recording.get("transforms"):
        fault = "its recording is transformed on the fly (speed, volume, rate); save its audio with lhotse"
    elif source is None:
        fault = f"no source of channel {channels} in its recording"
    elif source["type"] == "command" and not settings.pipes:
        fault = f"its audio is what a command writes: {source['source']} (--allow-pipes runs it)"
    elif source["type"] not in ("file", "command"):
        fault = f"its audio is of the kind {source['type']!r}; save it with lhotse"
    if fault or source is None:
        return refuse(file, place, str(fault), identity=identity, split=split)
    named = source["channels"]
    of_all = isinstance(channels, list) or len(named) == 1
    is_command = source["type"] == "command"
    return Row(
        source=file,
        place=place,
        audio=file / str(recording["id"]) if is_command else _path(str(source["source"]), file, settings),
        text=str(supervision.get("text") or ""),
        id=identity,
        speaker=str(supervision.get("speaker") or ""),
        start=start,
        end=start + float(supervision["duration"]),
        channel=MIX if of_all else named.index(channels),
        split=split,
        language=str(supervision.get("language") or ""),
        recording=str(recording["id"]) if len(sources) == 1 else "",
        content=Command(str(source["source"]), Path.cwd()) if is_command else None,
    )


def _path(name: str, file: Path, settings: Settings) -> Path:
    if settings.audio:
        return settings.audio / name
    return Path(name) if Path(name).is_file() else file.parent / name
