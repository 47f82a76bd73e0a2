"""Emissions that are kept, so that other searches and `sew tune` need not run the model again.

`<out>/<data>-<split>.emissions/<i>-of-<n>/` holds an (T, V) tensor for each utterance in safetensors files, and
emissions.json: what they are of (a digest of weights and cuts), their type, what failed, and the model's time. A folder is
whole or absent (`<i>-of-<n>.unfinished` while it is being made), and one of other weights or cuts is never read.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sewcli.artifacts.folder_names import OWNER, Owner, choose
from sewcli.artifacts.shards import Shard, shard_name
from sewcli.artifacts.unfinished import SAVE_SECONDS
from sewcli.base import log
from sewcli.base.errors import DataError
from sewcli.base.files import (
    as_expected,
    atomic_path,
    os_errors_as_usage_errors,
    read_object,
    remove_leftovers,
    replace_folder,
    write_json,
)
from sewcli.base.lock import writing
from sewcli.data.utterances import Utterance
from sewcli.decoding.emissions import Clock

INDEX = "emissions.json"
ABOUT = "about"  # key of a file's metadata: what an index says of it, in case there will be none
PART = re.compile(r"\d+-of-(\d+)")
FILE_BYTES = 64 << 20  # of emissions in a file
FloatType = Literal["float32", "float16"]


def kept_folder(out: Path, data: Path, split: str, of: Owner) -> Path:
    """Where the emissions of a split are: `<out>/<data>-<split>.emissions`, of older versions `<out>/<split>.emissions`."""
    folder = choose(out, data, ".emissions", of, lambda folder: sorted(folder.glob(f"*-of-*/{INDEX}"))[:1])
    older = out / f"{split}.emissions"
    return older if older.is_dir() and not folder.exists() else folder


class EmissionWriter:
    """Takes emissions in any order; `keep` makes one. What an earlier process wrote, which was stopped, is in `done`."""

    def __init__(self, folder: Path, inputs: str, kind: FloatType) -> None:
        self._folder, self._inputs, self._type = folder, inputs, np.dtype(kind)
        self._waiting: dict[str, np.ndarray] = {}
        self._bytes, self._written = 0, time.monotonic()
        self.files: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}
        self.clock = Clock()  # of the model in this process
        self._before, self._told = 0.0, 0.0  # of the model in other processes; of this one, in files
        self._read()

    @property
    def model_seconds(self) -> float:
        """That the model has taken, in this process and before."""
        return self._before + self.clock.seconds

    @property
    def done(self) -> set[str]:
        """Ids whose emissions are on disk."""
        return {name for file in self.files for name in file["utterances"]}

    def add(self, name: str, emission: np.ndarray) -> None:
        """Keep the emission (T, V) of an utterance."""
        self._waiting[name] = np.ascontiguousarray(emission, dtype=self._type)
        self._bytes += self._waiting[name].nbytes
        if self._bytes >= FILE_BYTES or time.monotonic() - self._written >= SAVE_SECONDS:
            self.flush()

    def keeping(self, stream: Iterator[tuple[Utterance, np.ndarray]]) -> Iterator[tuple[Utterance, np.ndarray]]:
        """The same stream, kept as it goes by."""
        for utterance, emission in stream:
            self.add(utterance.id, emission)
            yield utterance, emission

    def flush(self) -> None:
        """Write what waits."""
        self._written = time.monotonic()
        if self._waiting:
            name = f"{len(self.files) + 1:05d}.safetensors"
            about: dict[str, Any] = {"inputs": self._inputs, "type": str(self._type), "utterances": list(self._waiting)}
            about["model_seconds"] = self.clock.seconds - self._told
            tensors = {str(place): value for place, value in enumerate(self._waiting.values())}
            with atomic_path(self._folder / name) as temporary:
                save_file(tensors, temporary, metadata={ABOUT: json.dumps(about)})
            self.files.append({"file": name, "utterances": list(self._waiting)})
            self._waiting, self._bytes, self._told = {}, 0, self.clock.seconds

    def _read(self) -> None:
        """Files of an earlier process; those of other weights, cuts or another type are removed."""
        with os_errors_as_usage_errors(self._folder):
            remove_leftovers(self._folder)  # first: a file that a kill broke off is none of the row
        found = sorted(self._folder.glob("*.safetensors"))
        for number, path in enumerate(found, start=1):
            try:
                with safe_open(path, framework="np") as file:
                    about = json.loads(file.metadata()[ABOUT])
                names, seconds = [str(name) for name in about["utterances"]], float(about["model_seconds"])
                same = (about["inputs"], about["type"]) == (self._inputs, str(self._type))
            except (OSError, SafetensorError, KeyError, TypeError, ValueError):
                same = False
            if not same or path.name != f"{number:05d}.safetensors":
                break
            self.files.append({"file": path.name, "utterances": names})
            self._before += seconds
        with os_errors_as_usage_errors(self._folder):
            for path in found[len(self.files) :]:
                path.unlink(missing_ok=True)


@contextmanager
def keep(folder: Path, shard: Shard, inputs: str, kind: FloatType, of: Owner | None = None) -> Iterator[EmissionWriter]:
    """A writer of one shard of the emissions in `folder`, which appears when all are there.

    Until then they are in `<i>-of-<n>.unfinished`, and the next call goes on with them.

    Args:
        folder: see `kept_folder`.
        shard: which part of the split it is.
        inputs: digest of what they are of.
        kind: float16 halves the size; probabilities are then right to about three digits.
        of: whose the folder is (`places.owner`).

    Raises:
        UsageError: another process is at it, or the folder cannot be written.
    """
    place = _part_of(folder, shard)
    unfinished = place.with_name(f"{place.name}.unfinished")
    with writing(place):
        writer = EmissionWriter(unfinished, inputs, kind)
        try:
            yield writer
        finally:
            writer.flush()
        facts = {"inputs": inputs, "type": kind, "model_seconds": writer.model_seconds, **writer.facts}
        write_json(unfinished / INDEX, {OWNER: of, **facts, "files": writer.files})
        replace_folder(unfinished, place)
    for other in folder.iterdir():  # of other weights, or another number of shards
        if PART.fullmatch(other.name) and other != place and _stale(other, inputs, shard):
            shutil.rmtree(other, ignore_errors=True)


class KeptEmissions:
    """Emissions on disk, of a whole split or one shard of it.

    Args:
        folder: see `kept_folder`.
        inputs: digest of what they must be of.
        shard: (1, 1) is the split, from its shards when they are all there.

    Raises:
        DataError: missing, of other weights or cuts, or broken.
    """

    def __init__(self, folder: Path, inputs: str, shard: Shard = (1, 1)) -> None:
        self.folder = folder
        indices = [(part, read_object(part / INDEX)) for part in _parts(folder, shard)]
        if not indices:
            hint = "sew decode --keep-emissions float32 keeps them"
            raise DataError("no-kept-emissions", "no emissions are kept here", where=folder, hint=hint)
        if any(index.get("inputs") != inputs for _, index in indices):
            raise DataError(
                "kept-emissions-differ",
                "these emissions are of other weights or cuts",
                where=folder,
                hint="sew decode --keep-emissions float32 makes them again",
            )
        with as_expected(indices[0][0] / INDEX):
            self.types = {str(index["type"]) for _, index in indices}
            self.failed = [dict(row) for _, index in indices for row in index["failed"]]
            self.model_seconds = sum(float(index["model_seconds"]) for _, index in indices)
            self.facts = {name: indices[0][1][name] for name in ("device", "threads")}
            self._places = {
                name: (part / Path(file["file"]).name, str(place))
                for part, index in indices
                for file in index["files"]
                for place, name in enumerate(file["utterances"])
            }

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def read(self, utterances: Sequence[Utterance]) -> Iterator[tuple[Utterance, np.ndarray]]:
        """Yield utterances with their emissions, float32 (T, V), file by file: the longest first, as they were made.

        Raises:
            DataError: a file is missing or cut short.
        """
        wanted = {utterance.id: utterance for utterance in utterances}
        files: dict[Path, list[tuple[str, str]]] = {}
        for name, (path, key) in self._places.items():
            if name in wanted:
                files.setdefault(path, []).append((name, key))
        for path, entries in files.items():
            try:
                with safe_open(path, framework="np") as file:
                    for name, key in entries:
                        yield wanted[name], file.get_tensor(key).astype(np.float32)
            except (OSError, SafetensorError) as error:
                raise DataError(
                    "cannot-read",
                    f"kept emissions cannot be read ({error})",
                    where=path,
                    hint=f"remove {self.folder} and run the same command again",
                ) from None


def find_kept(
    folder: Path, inputs: str, utterances: Sequence[Utterance], shard: Shard = (1, 1)
) -> KeptEmissions | None:
    """Emissions of all these utterances, or None: the model has to run. Tells when there are some that are of no use."""
    if not folder.is_dir() or not _parts(folder, shard):
        return None
    try:
        kept = KeptEmissions(folder, inputs, shard)
    except DataError as error:
        log.info(f"{folder}: {error.what}; not used")
        return None
    return kept if not kept.failed and all(u.id in kept for u in utterances) else None


def _part_of(folder: Path, shard: Shard) -> Path:
    return folder / shard_name(shard)


def _parts(folder: Path, shard: Shard) -> list[Path]:
    """The folder of the shard; for a whole split, otherwise those of all its shards."""
    own = _part_of(folder, shard)
    if (own / INDEX).is_file():
        return [own]
    if shard == (1, 1):
        names = (PART.fullmatch(part.name) for part in folder.glob("*"))
        for count in sorted({int(name[1]) for name in names if name}):
            parts = [_part_of(folder, (number, count)) for number in range(1, count + 1)]
            if all((part / INDEX).is_file() for part in parts):
                return parts
    return []


def _stale(part: Path, inputs: str, shard: Shard) -> bool:
    try:
        return read_object(part / INDEX).get("inputs") != inputs or shard == (1, 1)
    except DataError:
        return True
