"""From single files to lhotse's Shar: `sew shar`. What `CutSet.from_shar` reads, with the samples that were there before.

A cut that is a whole FLAC, WAV or Ogg file of one channel is copied byte for byte; any other is cut out and written as
16-bit FLAC. A shard is written at once (the tar, then its cuts) in `<split>.partial/`, which gets its name when all of
them are there: killed anywhere, the same command goes on with the next shard.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from sewcli.artifacts.digest import digest
from sewcli.audio.io import encode_flac, verify
from sewcli.audio.packed import content_of
from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import (
    as_expected,
    atomic_path,
    read_json,
    read_jsonl,
    remove_leftovers,
    sha256,
    write_json,
    write_jsonl,
)
from sewcli.base.lock import hold
from sewcli.data.loading import read_ahead
from sewcli.data.shar import PARTIAL, Members, entry, index_path, scan, tar_of
from sewcli.data.utterances import Utterance, manifests, read_cuts

COPIED = {"FLAC": "flac", "WAV": "wav", "OGG": "ogg"}  # libsndfile's names of what is copied as it is
BLOCK = 512  # bytes that a file in a tar fills a multiple of

Row = dict[str, Any]
Sound = tuple[str, bytes]  # how its name ends, and what is in it


@dataclass(frozen=True)
class PackedSplit:
    """A split as it was packed. `failed` cuts could not be read, are not in it, and stand in `failed_<split>.jsonl`."""

    split: str
    source: str
    shard_size: int
    cuts: int = 0
    hours: float = 0.0
    shards: int = 0
    failed: int = 0


def pack(data: Path, split: str, out: Path, *, shard_size: int, jobs: int) -> PackedSplit:
    """Write a split of `data` to `out/<split>/` as Shar, with its index, or find that this was done.

    Args:
        data: a prepared corpus.
        split: one of its splits.
        out: another data folder; it can hold many splits.
        shard_size: cuts a shard.
        jobs: threads that read and encode.

    Raises:
        UsageError: there is another split of this name, or no disk space.
        DataError: the manifest is broken, two cuts have one id, or no cut can be read.
    """
    hold(out, busy="another process is packing into this folder", hint="wait for it, or give another folder")
    digests = "".join(sha256(path) for path in manifests(data, split))
    wanted = PackedSplit(split, digest(digests), shard_size)
    if done := _begin(out, wanted):
        return done
    rows, partial = list(read_cuts(data, split)), out / f"{split}{PARTIAL}"
    utterances = [utterance for _, utterance in rows]
    if not utterances:
        raise DataError("no-utterances", "no utterances in this manifest", where=manifests(data, split)[0])
    if len({u.id for u in utterances}) < len(utterances):
        raise DataError("duplicate-id", "two cuts have the same id", where=data, hint="sew check names them")
    failed: list[Row] = []
    index: dict[str, Any] = {}
    with log.progress(f"packing {split}", len(utterances)) as bar:
        for number, shard in enumerate(_portions(rows, shard_size)):
            manifest = partial / f"cuts.{number:06d}.jsonl.gz"
            missing, members = _finished(manifest, shard) or _write(manifest, shard, jobs)
            failed += missing
            index[tar_of(manifest).name] = entry(tar_of(manifest), members)
            bar.advance(len(shard))
    lost = {row["id"] for row in failed}
    if len(lost) == len(utterances):
        raise DataError(
            "nothing-readable", f"none of {len(lost)} cuts can be read ({failed[0]['reason']})", where=failed[0]["path"]
        )
    hours = sum(u.seconds for u in utterances if u.id not in lost) / 3600
    done = replace(wanted, cuts=len(utterances) - len(lost), hours=hours, shards=len(index), failed=len(lost))
    if failed:
        write_jsonl(out / f"failed_{split}.jsonl", failed)
    write_json(index_path(out, split), {"tars": index})
    partial.rename(out / split)
    write_json(_record(out, split), asdict(done))
    return done


def _record(out: Path, split: str) -> Path:
    return out / f"shar_{split}.json"


def _begin(out: Path, wanted: PackedSplit) -> PackedSplit | None:
    """What was done before; None: the partial folder is ready to go on in."""
    folder, partial = out / wanted.split, out / f"{wanted.split}{PARTIAL}"
    record = _record(out, wanted.split)
    with as_expected(record):
        there = PackedSplit(**read_json(record)) if record.exists() else None
    same = there is not None and (there.source, there.shard_size) == (wanted.source, wanted.shard_size)
    if folder.exists():
        if there and same and there.cuts:
            return there
        if not same:
            raise UsageError(
                "split-exists",
                "another split of this name is here",
                where=folder,
                hint="remove it, or give another folder",
            )
        folder.rename(partial)  # killed before the record was written
    if partial.exists() and not same:
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    remove_leftovers(partial)
    write_json(record, asdict(wanted))
    return None


def _portions(rows: Iterable[tuple[Row, Utterance]], size: int) -> Iterator[list[tuple[Row, Utterance]]]:
    stream = iter(rows)
    while portion := list(islice(stream, size)):
        yield portion


def _finished(manifest: Path, shard: list[tuple[Row, Utterance]]) -> tuple[list[Row], Members] | None:
    """(cuts that could not be read, where the others are) of a shard that an earlier process wrote."""
    if not manifest.exists():
        return None
    there = {row.get("id") for row in read_jsonl(manifest)}
    found = ((utterance, _sound(utterance)) for _, utterance in shard if utterance.id not in there)
    members, _ = scan(tar_of(manifest))
    return [_failure(utterance, sound) for utterance, sound in found if isinstance(sound, DataError)], members


def _write(manifest: Path, shard: list[tuple[Row, Utterance]], jobs: int) -> tuple[list[Row], Members]:
    """Write the tar of a shard and then its cuts; returns (cuts that cannot be read, where the others are)."""
    failed: list[Row] = []
    kept: list[Row] = []
    members: Members = {}
    with (
        atomic_path(tar_of(manifest)) as temporary,
        tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for (row, utterance), sound in read_ahead(shard, lambda item: _sound(item[1]), threads=jobs, ahead=4 * jobs):
            if isinstance(sound, DataError):
                failed.append(_failure(utterance, sound))
                continue
            recording = _recording(row, utterance)
            ending, content = sound
            members[utterance.id] = _add(archive, f"{utterance.id}.{ending}", content)
            _add(archive, f"{utterance.id}.json", json.dumps(recording).encode())
            kept.append(_cut(row, utterance, recording))
    write_jsonl(manifest, kept)
    return failed, members


def _sound(utterance: Utterance) -> Sound | DataError:
    try:
        if utterance.derived is not None or utterance.fault:
            return "flac", encode_flac(utterance.wave(), rate=utterance.rate)
        info = verify(utterance.path)
        whole = utterance.start == 0 and utterance.samples == info.samples and info.rate == utterance.rate
        if whole and info.channels == 1 and info.format in COPIED:
            return COPIED[info.format], content_of(utterance.path)
        return "flac", encode_flac(utterance.wave(), rate=utterance.rate)
    except DataError as error:
        return error


def _cut(row: Row, utterance: Utterance, recording: Row) -> Row:
    """lhotse's manifest of a cut whose audio is all of that recording."""
    if "tracks" not in row:
        return {**row, "start": 0.0, "recording": recording}
    place = {"start": 0.0, "duration": recording["duration"], "channel": 0}
    supervisions = [{**each, **place, "recording_id": recording["id"]} for each in row.get("supervisions") or ()]
    return {"id": utterance.id, "type": "MonoCut", **place, "supervisions": supervisions, "recording": recording}


def _recording(row: Row, utterance: Utterance) -> Row:
    """lhotse's manifest of the audio of a cut alone."""
    channel = row.get("channel", 0)
    channels = channel if isinstance(channel, list) else [channel]
    return {
        "id": row["recording"]["id"] if "recording" in row else utterance.id,
        "sources": [{"type": "shar", "channels": channels, "source": ""}],
        "sampling_rate": utterance.rate,
        "num_samples": utterance.samples,
        "duration": row.get("duration", utterance.seconds),
        "channel_ids": channels,
    }


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> tuple[str, int, int]:
    """Add a file, the same bytes at any time; returns (its name, its first byte, its bytes)."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
    return name, archive.offset - -(-len(content) // BLOCK) * BLOCK, len(content)


def _failure(utterance: Utterance, error: DataError) -> Row:
    return {"id": utterance.id, "path": str(utterance.path), "reason": error.what}
