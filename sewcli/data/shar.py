"""Splits kept as lhotse's Shar, for corpora of more files than a file system likes: `DATA/<split>/` with shards of cuts
(`cuts.000000.jsonl.gz`) and of their audio (`recording.000000.tar`), as `lhotse.shar.SharWriter` and `sew shar` write them.

The batch plan takes utterances in any order, so audio is not read in sequence: where each file lies in its tar is looked up
once and kept in `DATA/index_<split>.json`, which counts as long as the tars have the sizes and times that it names. (It may
not lie within the folder: lhotse takes every file there for a field of the cuts.)
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from sewcli.audio.packed import Packed
from sewcli.base import dist, log
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json, read_jsonl, write_json
from sewcli.base.regular import require_regular

CUTS = re.compile(r"^cuts(?P<shard>(?:\.\d+)?)\.jsonl(?:\.gz)?$")
PARTIAL = ".partial"  # ends the name of a folder that is being written
WITHOUT_SOUND = ("json", "nodata", "nometa")  # members of a tar: manifests, and stand-ins for what a cut does not have
BLOCK = 512  # bytes that the headers of a tar begin at multiples of
LONGEST_HEADER = 1 << 20  # bytes
LARGEST_TAR = 1 << 62
READERS = 8  # threads: on a network drive each header waits for the one before

Members = dict[str, tuple[str, int, int]]
"""Of each cut by its id: the name of its file in the tar, its first byte there, and its bytes."""


def shar_splits(data: Path) -> list[str]:
    """Names of the splits of a data folder that are kept as Shar."""
    folders = (path for path in data.iterdir() if path.is_dir()) if data.is_dir() else ()
    return [folder.name for folder in folders if folder.suffix != PARTIAL and manifests(folder)]


def manifests(folder: Path) -> list[Path]:
    """The shards of cuts of a split's folder, in order."""
    found = sorted(path for path in folder.glob("cuts.*") if CUTS.match(path.name))
    numbered = [path for path in found if (named := CUTS.match(path.name)) and named["shard"]]
    return numbered or [path for path in found if tar_of(path).is_file()]


def read_rows(data: Path, split: str) -> Iterator[tuple[Path, dict[str, Any], Packed]]:
    """(manifest, cut, where its audio is) of every cut of a split, in order.

    Raises:
        DataError: a shard is missing, or its cuts are broken. A tar that is cut off is not an error here: what it lacks
            is when it is read.
    """
    folder = data / split
    cuts = manifests(folder)
    _check_complete(folder, cuts)
    tars = [tar_of(manifest) for manifest in cuts]
    known = locate(data, split, tars)
    for manifest, tar in zip(cuts, tars, strict=True):
        members = known[tar.name]
        for row in read_jsonl(manifest):
            name, start, size = members.get(str(row.get("id")), (str(row.get("id")), 0, -1))
            yield manifest, row, Packed(tar, name, start, size)


def tar_of(manifest: Path) -> Path:
    """The tar with the audio of a shard of cuts."""
    named = CUTS.match(manifest.name)
    return manifest.with_name(f"recording{named['shard'] if named else ''}.tar")


def locate(data: Path, split: str, tars: list[Path]) -> dict[str, Members]:
    """Where the audio of each cut is, by the name of its tar: as the index says, or looked up and then kept there.

    Raises:
        DataError: a tar is missing.
    """
    kept = read_index(data, split)
    marks = {tar.name: _mark(tar) for tar in tars}
    missing = [tar for tar in tars if kept.get(tar.name, {}).get("mark") != marks[tar.name]]
    if missing:
        with log.progress(f"index of {split}", len(missing)) as bar, ThreadPoolExecutor(READERS) as pool:
            for tar, (members, whole) in zip(missing, pool.map(scan, missing), strict=True):
                kept[tar.name] = {"mark": marks[tar.name] if whole else None, "members": members}
                bar.advance()
        if dist.is_main():
            _keep_index(data, split, {tar.name: kept[tar.name] for tar in tars})
    return {tar.name: {key: tuple(place) for key, place in kept[tar.name]["members"].items()} for tar in tars}


def scan(tar: Path) -> tuple[Members, bool]:
    """(where each cut's audio is in a tar, whether the tar is whole); one that is cut off or damaged gives what is there.

    A header that is damaged, or claims a size that the tar does not have, costs its own file: the next header is looked for
    behind it.
    """
    members: Members = {}
    faults: list[str] = []
    try:
        require_regular(tar)
        size = tar.stat().st_size
        with open(tar, "rb") as file, tarfile.open(fileobj=_Headers(file), mode="r:", ignore_zeros=True) as archive:
            kept: list[tarfile.TarInfo] = vars(archive)["members"]  # it would keep all of a million
            expected = 0
            while True:
                try:
                    info = archive.next()
                except (tarfile.TarError, ValueError, OverflowError) as error:
                    faults.append(str(error))
                    archive.offset = expected = max(archive.offset, expected) + BLOCK
                    if expected >= size:
                        break
                    continue
                if info is None:
                    break
                kept.clear()
                if info.offset > expected:
                    faults.append(f"bytes {expected:,} to {info.offset:,} are no header of a file")
                if info.size < 0 or info.offset_data + info.size > size:
                    faults.append(f"{info.name!r:.60} has {info.size:,} bytes, says its header")
                    archive.offset = info.offset_data
                cut, _, ending = info.name.rpartition(".")
                if info.isreg() and ending not in WITHOUT_SOUND:
                    members[cut] = (info.name, info.offset_data, max(info.size, -1))
                expected = archive.offset
    except (tarfile.TarError, OSError) as error:
        faults.append(str(error))
    if faults:
        log.warn(f"{tar}: {faults[0]:.200}; {len(members)} sound files can be found in it", every_rank=True)
    return members, not faults


class _Headers(io.RawIOBase):
    """A file of which so much is read at once as a header may have, whatever it says of its own size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, LONGEST_HEADER) if size >= 0 else LONGEST_HEADER)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def read_index(data: Path, split: str) -> dict[str, Any]:
    """What is known of the tars of a split, by their names; nothing if that cannot be read."""
    try:
        tars: dict[str, Any] = read_json(index_path(data, split))["tars"]
        found = {name: {"mark": tar["mark"], "members": dict(tar["members"])} for name, tar in tars.items()}
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        return {}
    return {name: tar for name, tar in found.items() if all(map(_is_place, tar["members"].values()))}


def _is_place(place: Any) -> bool:
    """Whether an entry of an index is (name, first byte, bytes)."""
    return (
        isinstance(place, list)
        and [type(each) for each in place] == [str, int, int]
        and 0 <= place[1] < LARGEST_TAR
        and -1 <= place[2] < LARGEST_TAR
    )


def index_path(data: Path, split: str) -> Path:
    """The file that says where the audio of a split's cuts is."""
    return data / f"index_{split}.json"


def entry(tar: Path, members: Members) -> dict[str, Any]:
    """What the index says of a tar that was just written."""
    return {"mark": _mark(tar), "members": members}


def _keep_index(data: Path, split: str, tars: dict[str, Any]) -> None:
    try:
        write_json(index_path(data, split), {"tars": tars})
    except UsageError as error:  # a corpus that others share
        log.info(f"{error.where}: {error.what}; the index of {split} is made again at the next start")


def _mark(tar: Path) -> list[int]:
    try:
        facts = tar.stat()
    except OSError as error:
        hint = "copy the shard again, or remove its cuts too"
        raise DataError("cannot-read", f"cannot be read ({error.strerror})", where=tar, hint=hint) from None
    return [facts.st_size, facts.st_mtime_ns]


def _check_complete(folder: Path, cuts: list[Path]) -> None:
    numbers = [int(number) for path in cuts if (number := path.name.split(".")[1]).isdigit()]
    if gaps := sorted(set(range(min(numbers), max(numbers) + 1)) - set(numbers)) if numbers else []:
        shown = ", ".join(f"{number:06d}" for number in gaps[:5])
        raise DataError(
            "shards-missing",
            f"{len(gaps)} shards are missing ({shown})",
            where=folder,
            hint="copy them again, or number the shards again",
        )
