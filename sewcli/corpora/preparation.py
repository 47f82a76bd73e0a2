"""What every corpus does once its transcripts are read: check all audio, write lhotse cuts, and keep account of it.

A split is done when `prep.json`, written last, holds its counts together with the fingerprint of its input files and
the digests of its output files. A split that is done and unchanged is passed over; anything else is made anew. Nothing
written depends on the time or on the number of threads, so a run that was killed ends in the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sewcli.base.errors import DataError
from sewcli.base.files import (
    os_errors_as_usage_errors,
    read_json,
    read_jsonl,
    read_object,
    remove_leftovers,
    sha256,
    write_bytes,
    write_json,
    write_jsonl,
    write_text,
)
from sewcli.base.lock import hold
from sewcli.base.log import info, warn
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora import audio_jobs as sounds
from sewcli.corpora.audio_jobs import AUDIO, LEDGER, Shard
from sewcli.corpora.utterances import Candidate, Listing, Piece, Published, Rejection, Split, cut_rows
from sewcli.corpora.vocabulary import write_report

__all__ = ["Candidate", "Listing", "Published", "Rejection", "Split", "prepare", "prepare_shard"]

FORMAT = 3  # raise it when the same input gives other output: everything is then prepared anew
SUMMARY, REJECTED = "prep.json", "rejected.jsonl"
SCORE = "score"  # sub-folder: references in the form that a test was published with


def prepare(
    out: Path, corpus: str, splits: Sequence[Split], *, jobs: int, force: bool = False, root: Path | None = None
) -> dict[str, dict[str, Any]]:
    """Prepare `splits` into the folder `out`, one after the other.

    Args:
        out: the prepared corpus.
        corpus: its name.
        splits: what to prepare.
        jobs: threads that check, or processes that convert.
        force: prepare again what is done.
        root: write paths relative to this folder, so that it can be moved; None writes absolute ones.

    Returns:
        The summary of each of `splits`, by name: utterances, hours, speakers, words, rejected, published, differences.

    Raises:
        DataError: a split without a single usable utterance.
        UsageError: the folder cannot be written, the disk is full, or another process prepares here.
    """
    _take(out, shared=False)
    for folder in (out, out / LEDGER, out / SCORE):
        remove_leftovers(folder)
    _drop_vanished(out)
    for split in splits:
        inputs = fingerprint(split.folder, f"{split.choice}\n{root or ''}")
        if not force and _is_done(out, split, inputs):
            info(f"{split.name}: prepared already, and its files have not changed")
        else:
            _forget(out, [split.name])
            if force:
                sounds.forget(out, split.name)
            _prepare_split(out, corpus, split, inputs, jobs, root)
    everything = _summaries(out)
    write_report(out, everything)
    summaries = {split.name: everything[split.name] for split in splits}
    for name, summary in summaries.items():
        if summary["differences"]:
            warn(f"{name} is not as published: {'; '.join(summary['differences'])}")
    return summaries


def prepare_shard(out: Path, splits: Sequence[Split], shard: Shard, *, jobs: int) -> dict[str, int]:
    """Check and convert the sound files of one shard (i, n) of each split; `prepare` then finds them done.

    Returns:
        The sound files of the shard by split.

    Raises:
        UsageError: as `prepare`.
    """
    _take(out, shared=True)
    done = {}
    for split in splits:
        listing = split.read(split.folder)
        candidates, _ = _distinct(split, listing.candidates)
        files = sounds.gather(split, candidates, out)
        sounds.process(files, split, out, jobs, shard)
        done[split.name] = len(files[shard[0] - 1 :: shard[1]])
    return done


def _take(out: Path, *, shared: bool) -> None:
    with os_errors_as_usage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    hold(
        out,
        busy="another sew prep is at work in this folder",
        hint="wait for it; shards (--shard i/n) may run side by side, the plain command comes after all of them",
        shared=shared,
    )


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


def _prepare_split(out: Path, corpus: str, split: Split, inputs: str, jobs: int, root: Path | None) -> None:
    listing = split.read(split.folder)
    candidates, doubles = _distinct(split, listing.candidates)
    files = sounds.gather(split, candidates, out)
    outcomes = sounds.process(files, split, out, jobs)
    sounds.settle(split, files, outcomes, out)
    resolved = [
        sounds.resolve(split, candidate, outcomes[candidate.path], out / AUDIO / split.name) for candidate in candidates
    ]
    pieces = sorted((piece for piece in resolved if isinstance(piece, Piece)), key=lambda piece: piece.id)
    bad = [rejection for rejection in resolved if isinstance(rejection, Rejection)]
    rejections = sorted([*listing.rejections, *doubles, *bad], key=lambda r: (str(r.file), r.id))
    rows = [{"split": split.name, **asdict(rejection), "file": str(rejection.file)} for rejection in rejections]
    _write_rejected(out, [*_rejected_rows(out), *rows])
    if not pieces:
        first = f", the first of them: {rejections[0].file}: {rejections[0].reason}" if rejections else ""
        raise DataError(
            "no-usable-utterance",
            f"no usable utterance in {split.name} ({len(rejections)} were set aside{first})",
            where=split.folder,
            hint=f"see {out / REJECTED}" if rejections else "see the layout that sew prep CORPUS --mini writes",
        )
    write_jsonl(out / cuts_name(split.name), cut_rows(pieces, root, split.language))
    write_text(out / text_name(split.name), "".join(f"{piece.text}\n" for piece in pieces))
    for suffix, paths in split.score.items():
        write_bytes(out / SCORE / f"{split.name}{suffix}", b"".join(map(_content, paths)))
    counts = {
        "utterances": len(pieces),
        "hours": round(sum(piece.samples for piece in pieces) / SAMPLE_RATE / 3600, 4),
        "speakers": len({piece.speaker for piece in pieces}),
        "words": sum(len(piece.text.split()) for piece in pieces),
        "rejected": len(rejections),
        **_parts(pieces, split.published),
    }
    summary = {
        **counts,
        "published": split.published.figures() if split.published else None,
        "differences": _differences(counts, split.published),
        "left_out": dict(sorted(listing.left_out.items())),
        "changes": dict(sorted(listing.changes.items())),
        "reasons": dict(sorted(Counter(_kind(rejection.reason) for rejection in rejections).items())),
        "folder": str(split.folder.absolute()),
        "root": str(root.absolute()) if root else None,
        "inputs": inputs,
        "outputs": {name: sha256(out / name) for name in _output_names(split)},
        "audio": _audio_digest(out, split.name),
    }
    _write_summaries(out, corpus, {**_summaries(out), split.name: summary})


def _distinct(split: Split, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Rejection]]:
    """Candidates of which no two share an id, nor, where files are converted, a file name."""
    seen: set[str] = set()
    files: dict[str, Path] = {}
    kept, doubles = [], []
    for candidate in candidates:
        if candidate.id in seen:
            doubles.append(Rejection(candidate.id, candidate.path, "a second utterance of the same id"))
        elif split.convert and files.setdefault(candidate.path.stem, candidate.path) != candidate.path:
            reason = f"another sound file of this name: {files[candidate.path.stem]}"
            doubles.append(Rejection(candidate.id, candidate.path, reason))
        else:
            seen.add(candidate.id)
            kept.append(candidate)
    return kept, doubles


def _kind(reason: str) -> str:
    """A reason without its figures and names, to count by."""
    return re.sub(r"\d[\d.,]*", "N", reason.partition(":")[0])


def _audio_digest(out: Path, split: str) -> str | None:
    """A digest of the names and sizes of the files made for a split; None when there are none."""
    folder = out / AUDIO / split
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    with os.scandir(folder) as entries:
        for name, size in sorted((entry.name, entry.stat().st_size) for entry in entries):
            digest.update(f"{name} {size}\n".encode())
    return digest.hexdigest()


def _differences(counts: dict[str, Any], published: Published | None) -> list[str]:
    if published is None:
        return []
    found = []
    for name, expected in published.figures().items():
        if expected is None:
            continue
        difference = counts[name] - expected
        if abs(difference) > (published.hours_tolerance if name == "hours" else 0):
            shown = f"{difference:+.1f}" if name == "hours" else f"{difference:+,d}"
            found.append(f"{counts[name]:,} {name}, published {expected:,} ({shown})")
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError("cannot-read", f"cannot be read ({error.strerror})", where=path) from None


def _parts(pieces: Sequence[Piece], published: Published | None) -> dict[str, int]:
    parts = published.parts if published else ()
    return {f"utterances {begin}*": sum(piece.id.startswith(begin) for piece in pieces) for begin in parts}


def _output_names(split: Split) -> list[str]:
    return [cuts_name(split.name), text_name(split.name), *(f"{SCORE}/{split.name}{suffix}" for suffix in split.score)]


def _is_done(out: Path, split: Split, inputs: str) -> bool:
    summary = _summaries(out).get(split.name)
    if summary is None or summary.get("inputs") != inputs:
        return False
    if summary.get("published") != (split.published.figures() if split.published else None):
        return False
    if summary.get("rejected") != sum(row["split"] == split.name for row in _rejected_rows(out)):
        return False
    if summary.get("audio") != _audio_digest(out, split.name):
        return False
    outputs = summary.get("outputs", {})
    return set(outputs) == set(_output_names(split)) and all(
        (out / name).is_file() and sha256(out / name) == digest for name, digest in outputs.items()
    )


def _drop_vanished(out: Path) -> None:
    """Forget splits whose input folder is gone: training must not find stale cuts in `out`."""
    summaries = _summaries(out)
    vanished = [name for name, summary in summaries.items() if not Path(summary.get("folder", "")).is_dir()]
    for name in vanished:
        warn(f"{name}: its folder {summaries[name].get('folder')} is gone, so its cuts are removed from {out}")
    _forget(out, vanished)
    for name in vanished:
        sounds.forget(out, name)


def _forget(out: Path, splits: Sequence[str]) -> None:
    """Remove splits from `out`, the mark first, so that a kill cannot leave cuts that are no longer true."""
    summaries = _summaries(out)
    if known := summaries.keys() & set(splits):
        corpus = str(read_object(out / SUMMARY).get("corpus"))
        _write_summaries(out, corpus, {name: kept for name, kept in summaries.items() if name not in known})
    for name in splits:
        (out / cuts_name(name)).unlink(missing_ok=True)
        (out / text_name(name)).unlink(missing_ok=True)
        for path in (out / SCORE).glob(f"{name}.*"):
            path.unlink()
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
