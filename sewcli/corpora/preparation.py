"""What every corpus does once its transcripts are read: check all audio, write lhotse cuts, and keep account of it.

A split is done when `prep.json`, written last, holds its counts together with the fingerprint of its input files and
the digests of its output files. A split that is done and unchanged is passed over; anything else is made anew. Nothing
written depends on the time or on the number of threads, so a run that was killed ends in the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sewcli.audio.io import RATE, verify
from sewcli.base.errors import DataError
from sewcli.base.files import (
    explained,
    read_json,
    read_jsonl,
    remove_leftovers,
    sha256,
    write_json,
    write_jsonl,
    write_text,
)
from sewcli.base.log import info, progress, warn

FORMAT = 1  # raise it when the same input gives other output: everything is then prepared anew
SUMMARY, REJECTED = "prep.json", "rejected.jsonl"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An utterance that is one whole sound file, before its audio is checked."""

    id: str
    path: Path
    text: str
    speaker: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """An utterance set aside, and why."""

    id: str
    file: Path
    reason: str


@dataclass(frozen=True)
class Listing:
    """What the transcripts of one split say."""

    candidates: list[Candidate] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)


@dataclass(frozen=True)
class Published:
    """The published counts of a split."""

    utterances: int
    hours: float
    speakers: int


@dataclass(frozen=True)
class Split:
    """One split to prepare: its name, its folder, how to read it, and what was published about it (None: nothing)."""

    name: str
    folder: Path
    read: Callable[[Path], Listing]
    published: Published | None
    choice: str = ""
    """What of the folder is read, when not all of it: another choice is prepared anew."""


HOURS_TOLERANCE = 0.25  # the published hours are rounded, and those of the two "other" test sets stand swapped


def prepare(
    out: Path, corpus: str, splits: Sequence[Split], *, jobs: int, force: bool = False
) -> dict[str, dict[str, Any]]:
    """Prepare `splits` into the folder `out`, one after the other.

    Returns:
        The summary of each of `splits`, by name: utterances, hours, speakers, words, rejected, published, differences.

    Raises:
        DataError: a split without a single usable utterance.
        UsageError: the folder cannot be written, or the disk is full.
    """
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    _drop_vanished(out)
    for split in splits:
        inputs = fingerprint(split.folder, split.choice)
        if not force and _is_done(out, split, inputs):
            info(f"{split.name}: prepared already, and its files have not changed")
        else:
            _forget(out, [split.name])
            _prepare_split(out, corpus, split, inputs, jobs)
    summaries = {split.name: _summaries(out)[split.name] for split in splits}
    for name, summary in summaries.items():
        if summary["differences"]:
            warn(f"{name} is not as published: {'; '.join(summary['differences'])}")
    return summaries


def fingerprint(folder: Path, choice: str = "") -> str:
    """A digest of the names, sizes and times of all files below `folder`, and of what of it is read."""
    digest = hashlib.sha256(f"{FORMAT}\n{folder.absolute()}\n{choice}\n".encode())
    for place, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(files):
            try:
                status = os.stat(os.path.join(place, name))  # noqa: PTH116, PTH118 (280,000 times: pathlib is slow)
                facts = f"{status.st_size} {status.st_mtime_ns}"
            except OSError:
                facts = "unreadable"
            digest.update(f"{os.path.relpath(place, folder)}/{name} {facts}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def cuts_name(split: str) -> str:
    """File name of the cuts of a split."""
    return f"cuts_{split}.jsonl.gz"


def text_name(split: str) -> str:
    """File name of the transcripts of a split."""
    return f"text_{split}.txt"


def _prepare_split(out: Path, corpus: str, split: Split, inputs: str, jobs: int) -> None:
    listing = split.read(split.folder)
    good, bad = _check_audio(split.name, listing.candidates, jobs)
    rejections = sorted([*listing.rejections, *bad], key=lambda r: (str(r.file), r.id))
    rows = [{"split": split.name, **asdict(rejection), "file": str(rejection.file)} for rejection in rejections]
    _write_rejected(out, [*_rejected_rows(out), *rows])
    if not good:
        first = f", the first of them: {rejections[0].file}: {rejections[0].reason}" if rejections else ""
        raise DataError(
            f"no usable utterance in {split.name} ({len(rejections)} were set aside{first})",
            where=split.folder,
            mend=f"see {out / REJECTED}" if rejections else "a part holds SPEAKER/CHAPTER/*.flac and *.trans.txt",
        )
    write_jsonl(out / cuts_name(split.name), _cuts(good))
    write_text(out / text_name(split.name), "".join(f"{candidate.text}\n" for candidate, _ in good))
    counts = {
        "utterances": len(good),
        "hours": round(sum(samples for _, samples in good) / RATE / 3600, 4),
        "speakers": len({candidate.speaker for candidate, _ in good}),
        "words": sum(len(candidate.text.split()) for candidate, _ in good),
        "rejected": len(rejections),
    }
    summary = {
        **counts,
        "published": asdict(split.published) if split.published else None,
        "differences": _differences(counts, split.published),
        "folder": str(split.folder.absolute()),
        "inputs": inputs,
        "outputs": {name: sha256(out / name) for name in (cuts_name(split.name), text_name(split.name))},
    }
    _write_summaries(out, corpus, {**_summaries(out), split.name: summary})


def _check_audio(
    name: str, candidates: Sequence[Candidate], jobs: int
) -> tuple[list[tuple[Candidate, int]], list[Rejection]]:
    """Decode every file to its end. Returns the good ones with their samples, sorted by id, and the others."""
    good: list[tuple[Candidate, int]] = []
    bad: list[Rejection] = []
    pool = ThreadPoolExecutor(jobs)  # threads: libsndfile decodes without the interpreter lock
    try:
        with progress(f"checking {name}", len(candidates)) as meter:
            ordered = sorted(candidates, key=lambda candidate: candidate.id)
            for candidate, result in zip(ordered, pool.map(_check_file, ordered), strict=True):
                if isinstance(result, int):
                    good.append((candidate, result))
                else:
                    bad.append(Rejection(candidate.id, candidate.path, result))
                meter.advance()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return good, bad


def _check_file(candidate: Candidate) -> int | str:
    """The samples of a usable file, or what is wrong with it."""
    try:
        audio = verify(candidate.path)
    except DataError as error:
        return error.what
    if audio.rate != RATE:
        return f"the sample rate is {audio.rate} Hz, not {RATE} Hz"
    if audio.channels != 1:
        return f"{audio.channels} channels, not 1"
    return audio.samples


def _cuts(utterances: Iterable[tuple[Candidate, int]]) -> Iterable[dict[str, Any]]:
    """Rows of a lhotse manifest: one MonoCut an utterance, with its recording and its one supervision."""
    from lhotse import MonoCut, Recording, SupervisionSegment  # imported late: it takes seconds, and torch with it
    from lhotse.audio import AudioSource

    for candidate, samples in utterances:
        identity, duration = candidate.id, samples / RATE
        recording = Recording(
            id=identity,
            sources=[AudioSource("file", [0], str(candidate.path.absolute()))],
            sampling_rate=RATE,
            num_samples=samples,
            duration=duration,
        )
        supervision = SupervisionSegment(
            id=identity,
            recording_id=identity,
            start=0.0,
            duration=duration,
            channel=0,
            text=candidate.text,
            language="English",
            speaker=candidate.speaker,
        )
        cut = MonoCut(
            id=identity, start=0.0, duration=duration, channel=0, supervisions=[supervision], recording=recording
        )
        yield cut.to_dict()


def _differences(counts: dict[str, Any], published: Published | None) -> list[str]:
    if published is None:
        return []
    found = []
    for name, expected in asdict(published).items():
        difference = counts[name] - expected
        if abs(difference) > (HOURS_TOLERANCE if name == "hours" else 0):
            shown = f"{difference:+.1f}" if name == "hours" else f"{difference:+,d}"
            found.append(f"{counts[name]:,} {name}, published {expected:,} ({shown})")
    return found


def _is_done(out: Path, split: Split, inputs: str) -> bool:
    summary = _summaries(out).get(split.name)
    if summary is None or summary.get("inputs") != inputs:
        return False
    if summary.get("published") != (asdict(split.published) if split.published else None):
        return False
    if summary.get("rejected") != sum(row["split"] == split.name for row in _rejected_rows(out)):
        return False
    outputs = summary.get("outputs", {})
    wanted = {cuts_name(split.name), text_name(split.name)}
    return set(outputs) == wanted and all(
        (out / name).is_file() and sha256(out / name) == digest for name, digest in outputs.items()
    )


def _drop_vanished(out: Path) -> None:
    """Forget splits whose input folder is gone: training must not find stale cuts in `out`."""
    summaries = _summaries(out)
    vanished = [name for name, summary in summaries.items() if not Path(summary.get("folder", "")).is_dir()]
    for name in vanished:
        warn(f"{name}: its folder {summaries[name].get('folder')} is gone, so its cuts are removed from {out}")
    _forget(out, vanished)


def _forget(out: Path, splits: Sequence[str]) -> None:
    """Remove splits from `out`, the mark first, so that a kill cannot leave cuts that are no longer true."""
    summaries = _summaries(out)
    if known := summaries.keys() & set(splits):
        corpus = read_json(out / SUMMARY)["corpus"]
        _write_summaries(out, corpus, {name: kept for name, kept in summaries.items() if name not in known})
    for name in splits:
        (out / cuts_name(name)).unlink(missing_ok=True)
        (out / text_name(name)).unlink(missing_ok=True)
    rows = _rejected_rows(out)
    if any(row["split"] in splits for row in rows):
        _write_rejected(out, [row for row in rows if row["split"] not in splits])


def _summaries(out: Path) -> dict[str, dict[str, Any]]:
    """The splits in `prep.json`; none when it is missing, broken or of another format (all is then made anew)."""
    try:
        summary = read_json(out / SUMMARY)
    except DataError:
        return {}
    if not isinstance(summary, dict) or summary.get("format") != FORMAT or not isinstance(summary.get("splits"), dict):
        return {}
    return dict(summary["splits"])


def _write_summaries(out: Path, corpus: str, splits: dict[str, dict[str, Any]]) -> None:
    write_json(out / SUMMARY, {"format": FORMAT, "corpus": corpus, "splits": dict(sorted(splits.items()))})


def _rejected_rows(out: Path) -> list[dict[str, Any]]:
    try:
        return [row for row in read_jsonl(out / REJECTED) if {"split", "file", "id"} <= row.keys()]
    except DataError:
        return []


def _write_rejected(out: Path, rows: list[dict[str, Any]]) -> None:
    write_jsonl(out / REJECTED, sorted(rows, key=lambda row: (row["split"], row["file"], row["id"])))
