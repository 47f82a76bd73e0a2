"""The sound files of a split: each decoded to its last sample once, and converted or cut where the split asks for it.

What was found out about a file is kept in a ledger, line by line, so that a run that was killed goes on where it was, and
shards of a cluster (`--shard i/n`) add up to one run. A file whose size and time have not changed is not read again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sewcli.artifacts.shards import Shard
from sewcli.audio.io import encode_flac, encode_flac_blocks, probe, read_channels, verify
from sewcli.audio.opening import AudioInfo
from sewcli.audio.resample import to_16k
from sewcli.audio.streams import open_stream
from sewcli.base.errors import DataError
from sewcli.base.files import atomic_path, os_errors_as_usage_errors, remove_leftovers, write_jsonl
from sewcli.base.log import progress
from sewcli.base.parsing import parse_json
from sewcli.base.processes import in_processes
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora.joining import OVERSHOOT, Spans, cut_out
from sewcli.corpora.utterances import MIX, Content, PreparedUtterance, RawUtterance, Rejection, Split

AUDIO, LEDGER = "audio", ".checked"  # sub-folders of a prepared corpus
FEW = 64  # files that are converted before processes have started
AS_THEY_ARE = frozenset({"WAV", "WAVEX", "FLAC", "RF64"})  # formats that are read from any sample on, without loss


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound file with what is wanted of it."""

    path: Path
    rate: int | None
    """None: whatever it is."""
    folder: Path
    """Where files made of it go."""
    stem: str
    """How these are named."""
    channels: tuple[int, ...]
    """Channels to convert to 16 kHz; none: the file is used where it lies."""
    joins: tuple[tuple[str, Spans], ...]
    """Utterances to cut out and join: id, stretches in seconds. Such a file has one channel."""
    content: Content | None = None
    """Where the sound comes from when `path` is no file."""

    @property
    def key(self) -> str:
        """Changes when the file or what is wanted of it does."""
        try:
            status = None if self.content else self.path.stat()
        except OSError:
            return "unreadable"
        stamp = f"{status.st_size} {status.st_mtime_ns}" if status else self.content.stamp() if self.content else ""
        return f"{stamp} {self.rate} {self.channels} {self.joins}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a sound file."""

    file: str
    key: str
    error: str | None
    samples: int
    """Of one channel, at the file's own rate."""
    made: Mapping[str, tuple[int, int]]
    """Files made of it, by name: samples at 16 kHz and bytes."""
    faults: Mapping[str, str]
    """What is wrong with single utterances, by id."""


def gather(split: Split, candidates: Sequence[RawUtterance], out: Path) -> list[Sound]:
    """The sound files of a split, sorted by path."""
    by_file: dict[Path, list[RawUtterance]] = {}
    for candidate in candidates:
        by_file.setdefault(candidate.path, []).append(candidate)
    return [
        Sound(
            path=path,
            rate=split.rate,
            folder=out / AUDIO / split.name,
            stem=wanted[0].stem,
            channels=tuple(sorted({c.channel for c in wanted})) if split.converts else (),
            joins=tuple((c.id, c.spans) for c in wanted if c.spans),
            content=wanted[0].content,
        )
        for path, wanted in sorted(by_file.items())
    ]


def process(sounds: Sequence[Sound], split: Split, out: Path, jobs: int, shard: Shard = (1, 1)) -> dict[Path, Outcome]:
    """Decode the files of a shard (1 of 1: all), and make what is wanted of them; what is in the ledger is passed over.

    Returns:
        What is known of each file, the other shards' too as far as they have got.

    Raises:
        UsageError: the disk is full, or the folder cannot be written.
    """
    index, count = shard
    known = _read_ledger(out, split.name, sounds)
    todo = [sound for sound in sounds[index - 1 :: count] if sound.path not in known]
    makes_files = any(sound.channels or sound.joins for sound in todo)
    title = f"{'converting' if makes_files else 'checking'} {split.name}" + (f" ({index}/{count})" if count > 1 else "")
    mine = len(sounds[index - 1 :: count])
    with progress(title, mine, done=mine - len(todo)) as meter, _ledger(out, split.name, shard) as write:
        in_threads = not makes_files or (split.rate is None and len(todo) <= FEW)
        results = _in_threads(todo, jobs) if in_threads else in_processes(_process, todo, jobs)
        for sound, outcome in zip(todo, results, strict=True):
            write(outcome)
            known[sound.path] = outcome
            meter.advance()
    return known


def settle(split: Split, sounds: Sequence[Sound], outcomes: Mapping[Path, Outcome], out: Path) -> None:
    """All shards are done: one ledger instead of theirs, in the order of the files, and no file that nobody wants."""
    folder = out / LEDGER
    rows = [asdict(outcomes[sound.path]) for sound in sounds]
    write_jsonl(folder / f"{split.name}.jsonl", rows)
    for path in folder.glob(f"{split.name}.*of*.jsonl"):
        path.unlink()
    audio = out / AUDIO / split.name
    if audio.is_dir():
        remove_leftovers(audio)
        wanted = {name for outcome in outcomes.values() for name in outcome.made}
        for path in audio.iterdir():
            if path.name not in wanted:
                path.unlink()


def forget(out: Path, split: str) -> None:
    """Remove the ledger and the files made for a split."""
    for path in (out / LEDGER).glob(f"{split}.*"):
        path.unlink()
    audio = out / AUDIO / split
    if audio.is_dir():
        for path in audio.iterdir():
            path.unlink()
        audio.rmdir()


def made_name(stem: str, channel: int) -> str:
    """File name of a converted channel: `sw02001`, 1 -> `sw02001-B.flac`; of all, mixed: `sw02001.flac`."""
    if channel == MIX:
        return f"{stem}.flac"
    side = chr(ord("A") + channel) if channel < 26 else str(channel + 1)
    return f"{stem}-{side}.flac"


def resolve(split: Split, candidate: RawUtterance, outcome: Outcome, folder: Path) -> PreparedUtterance | Rejection:
    """The samples of an utterance, or why it cannot be used."""
    fault = outcome.error or outcome.faults.get(candidate.id)
    if fault:
        return Rejection(candidate.id, candidate.path, fault)
    path, length = candidate.path, outcome.samples
    start, end = candidate.start, candidate.end
    if candidate.spans:
        path, start, end = folder / f"{candidate.id}.flac", 0.0, None
        length = outcome.made[path.name][0]
    elif split.convert or (split.rate is None and (outcome.made or candidate.channel > 0)):  # else used where it lies
        path = folder / made_name(candidate.stem, candidate.channel)
        if path.name not in outcome.made:
            return Rejection(candidate.id, candidate.path, f"no channel {candidate.channel + 1}")
        length = outcome.made[path.name][0]
    first = round(start * SAMPLE_RATE)
    last = length if end is None else round(end * SAMPLE_RATE)
    if first < 0 or last <= first:
        return Rejection(candidate.id, candidate.path, f"a segment from {start:.2f} to {last / SAMPLE_RATE:.2f} s")
    if first >= length or last > length + OVERSHOOT * SAMPLE_RATE:
        shown = f"the segment ends at {last / SAMPLE_RATE:.2f} s, the audio at {length / SAMPLE_RATE:.2f} s"
        return Rejection(candidate.id, candidate.path, shown)
    last = min(last, length)
    return PreparedUtterance(
        id=candidate.id,
        path=path,
        recording=path.stem if split.rate else candidate.stem,
        length=length,
        start=first,
        samples=last - first,
        text=candidate.text,
        speaker=candidate.speaker,
        custom=candidate.custom,
        language=candidate.language,
    )


def _process(sound: Sound) -> Outcome:
    key, made = sound.key, dict[str, tuple[int, int]]()
    faults: dict[str, str] = {}
    try:
        if sound.rate is None:
            info = _take_any(sound, made)
        elif sound.channels:
            waves, info = read_channels(sound.path)
            _require(info, sound, mono=False)
            for channel in sound.channels:
                if channel < info.channels:
                    wave = to_16k(waves[channel], info.rate)
                    name = made_name(sound.stem, channel)
                    made[name] = _write(sound.folder / name, len(wave), encode_flac(wave))
        elif sound.joins:
            info = probe(sound.path)
            _require(info, sound, mono=True)
            for identity, joined in cut_out(sound.path, info, sound.joins):
                if isinstance(joined, str):
                    faults[identity] = joined
                else:
                    wave = to_16k(joined, info.rate)
                    made[f"{identity}.flac"] = _write(sound.folder / f"{identity}.flac", len(wave), encode_flac(wave))
        else:
            info = verify(sound.path)
            _require(info, sound, mono=True)
    except DataError as error:
        return Outcome(str(sound.path), key, error.what, 0, {}, {})
    return Outcome(str(sound.path), key, None, info.samples, made, faults)


def _take_any(sound: Sound, made: dict[str, tuple[int, int]]) -> AudioInfo:
    """Check a file that can be used as it is; convert another, as a stream: its length costs no memory."""
    with _on_disk(sound) as path:
        info = probe(path)
        used_as_is = (
            info.rate == SAMPLE_RATE and info.channels == 1 and info.format in AS_THEY_ARE and sound.content is None
        )
        if used_as_is:
            return verify(path)
        there = [channel for channel in sound.channels if channel < info.channels]
        if not there:
            raise DataError(
                "no-such-channel", f"no channel {sound.channels[0] + 1}: the file has {info.channels}", where=sound.path
            )
        for channel in there:
            with open_stream(path, mode="mix" if channel == MIX else "split") as stream:
                samples, encoded = encode_flac_blocks(block[:, max(channel, 0)] for block in stream.blocks)
            name = made_name(sound.stem, channel)
            made[name] = _write(sound.folder / name, samples, encoded)
        return info


@contextmanager
def _on_disk(sound: Sound) -> Iterator[Path]:
    if sound.content is None:
        yield sound.path
        return
    content = sound.content.read()
    with tempfile.NamedTemporaryFile(prefix="sew-prep-") as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


def _require(info: AudioInfo, sound: Sound, *, mono: bool) -> None:
    if info.rate != sound.rate:
        raise DataError(
            "wrong-sample-rate", f"the sample rate is {info.rate} Hz, not {sound.rate} Hz", where=sound.path
        )
    if mono and info.channels != 1:
        raise DataError("wrong-channels", f"{info.channels} channels, not 1", where=sound.path)


def _write(path: Path, samples: int, encoded: bytes) -> tuple[int, int]:
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded)
    return samples, len(encoded)


def _in_threads(sounds: Sequence[Sound], jobs: int) -> Iterator[Outcome]:
    """libsndfile decodes without the interpreter lock, so that threads do for reading alone."""
    pool = ThreadPoolExecutor(jobs)
    try:
        yield from pool.map(_process, sounds)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Writer:
    """Appends outcomes to a ledger; a line that a kill cut off is passed over by the reader."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (closed by the context manager below)
        self._file.write("\n" if self._file.tell() else "")

    def __call__(self, outcome: Outcome) -> None:
        self._file.write(json.dumps(asdict(outcome)) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


@contextmanager
def _ledger(out: Path, split: str, shard: Shard) -> Iterator[_Writer]:
    path = out / LEDGER / f"{split}.{shard[0]}of{shard[1]}.jsonl"
    with os_errors_as_usage_errors(path):
        writer = _Writer(path)
        try:
            yield writer
        finally:
            writer.close()


def _read_ledger(out: Path, split: str, sounds: Sequence[Sound]) -> dict[Path, Outcome]:
    """What earlier runs and other shards know, as far as it is still true."""
    wanted = {str(sound.path): sound for sound in sounds}
    known: dict[Path, Outcome] = {}
    for path in sorted((out / LEDGER).glob(f"{split}.*")):
        for row in _rows(path):
            sound = wanted.get(row["file"])
            if sound is None or row["key"] != sound.key or row["error"]:  # a failure to read may have passed
                continue
            outcome = Outcome(**{**row, "made": {name: (int(s), int(b)) for name, (s, b) in row["made"].items()}})
            if all(_size(sound.folder / name) == size for name, (_, size) in outcome.made.items()):
                known[sound.path] = outcome
    return known


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = parse_json(line)
        except ValueError:  # the line that a kill cut off
            continue
        if isinstance(row, dict) and row.keys() == Outcome.__dataclass_fields__.keys():
            yield row


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 (many: pathlib is slow)
    except OSError:
        return -1
