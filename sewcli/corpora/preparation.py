"""What every corpus does once its transcripts are read: check all audio, write lhotse cuts, and keep account of it.

A split is done when `prep.json`, written last, holds its counts together with the fingerprint of its input files and
the digests of its output files. A split that is done and unchanged is passed over; anything else is made again. Nothing
written depends on the time or on the number of threads, so a run that was killed ends in the same bytes.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sewcli.artifacts.data_folder import (
    FORMAT,
    REJECTED,
    SCORE,
    RejectedRow,
    SplitEntry,
    Splits,
    corpus_of,
    is_done,
    known_rejected,
    known_splits,
    output_digests,
    remove_split,
    write_rejected,
    write_split,
    write_splits,
)
from sewcli.artifacts.digest import digest
from sewcli.artifacts.shards import Shard
from sewcli.base.errors import DataError
from sewcli.base.files import os_errors_as_usage_errors, remove_leftovers, write_bytes
from sewcli.base.lock import hold
from sewcli.base.log import info, warn
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora import audio_jobs as sounds
from sewcli.corpora.audio_jobs import AUDIO, LEDGER
from sewcli.corpora.utterances import (
    ParsedTranscripts,
    PreparedUtterance,
    Published,
    RawUtterance,
    Rejection,
    Split,
    cut_rows,
)
from sewcli.corpora.vocabulary import write_report

__all__ = ["ParsedTranscripts", "Published", "RawUtterance", "Rejection", "Split", "prepare", "prepare_shard"]


def prepare(
    out: Path, corpus: str, splits: Sequence[Split], *, jobs: int, force: bool = False, root: Path | None = None
) -> Splits:
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
    _drop_drawn_before(out, splits)
    for split in splits:
        inputs = fingerprint(split.folder, f"{split.choice}\n{root or ''}", split.inputs)
        if not force and _is_done(out, split, inputs):
            info(f"{split.name}: prepared already, and its files have not changed")
        else:
            _forget(out, [split.name])
            if force:
                sounds.forget(out, split.name)
            _prepare_split(out, corpus, split, inputs, jobs, root)
    everything = known_splits(out, own_format=True)
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


def fingerprint(folder: Path, choice: str = "", files: Sequence[Path] | None = None) -> str:
    """A digest of the names, sizes and times of `files`, by default all below `folder`, and of what of them is read."""
    paths = _all_below(folder) if files is None else map(str, files)
    return digest(str(FORMAT), str(folder.absolute()), choice, *(_file_state(path, folder) for path in paths), "")


def _file_state(path: str, folder: Path) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116 (280,000 times: pathlib is slow)
        facts = f"{status.st_size} {status.st_mtime_ns}"
    except OSError:
        facts = "unreadable"
    return f"{os.path.relpath(path, folder)} {facts}"


def _all_below(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        yield from (os.path.join(place, name) for name in sorted(files))  # noqa: PTH118 (as above)


def _prepare_split(out: Path, corpus: str, split: Split, inputs: str, jobs: int, root: Path | None) -> None:
    listing = split.read(split.folder)
    candidates, doubles = _distinct(split, listing.candidates)
    files = sounds.gather(split, candidates, out)
    outcomes = sounds.process(files, split, out, jobs)
    sounds.settle(split, files, outcomes, out)
    resolved = [
        sounds.resolve(split, candidate, outcomes[candidate.path], out / AUDIO / split.name) for candidate in candidates
    ]
    pieces = sorted((piece for piece in resolved if isinstance(piece, PreparedUtterance)), key=lambda piece: piece.id)
    bad = [rejection for rejection in resolved if isinstance(rejection, Rejection)]
    rejections = sorted([*listing.rejections, *doubles, *bad], key=lambda r: (str(r.file), r.id))
    rows = [RejectedRow(split=split.name, id=r.id, file=str(r.file), reason=r.reason) for r in rejections]
    write_rejected(out, [*known_rejected(out), *rows])
    if not pieces:
        first = f", the first of them: {rejections[0].file}: {rejections[0].reason}" if rejections else ""
        raise DataError(
            "no-usable-utterance",
            f"no usable utterance in {split.name} ({len(rejections)} were set aside{first})",
            where=split.folder,
            hint=f"see {out / REJECTED}" if rejections else "see the layout that sew prep CORPUS --mini writes",
        )
    outputs = write_split(out, split.name, cut_rows(pieces, root, split.language), (piece.text for piece in pieces))
    for name, paths in zip(_score_names(split), split.score.values(), strict=True):
        write_bytes(out / name, b"".join(map(_content, paths)))
    counts = {
        "utterances": len(pieces),
        "hours": round(sum(piece.samples for piece in pieces) / SAMPLE_RATE / 3600, 4),
        "speakers": len({piece.speaker for piece in pieces} - {""}),
        "words": sum(len(piece.text.split()) for piece in pieces),
        "rejected": len(rejections),
        **_parts(pieces, split.published),
    }
    entry: SplitEntry = {
        **counts,  # type: ignore[typeddict-item] # with those of its parts
        "published": split.published.figures() if split.published else None,
        "differences": _differences(counts, split.published),
        "left_out": dict(sorted(listing.left_out.items())),
        "changes": dict(sorted(listing.changes.items())),
        "reasons": dict(sorted(Counter(_kind(rejection.reason) for rejection in rejections).items())),
        "folder": str(split.folder.absolute()),
        "root": str(root.absolute()) if root else None,
        "given": list(split.given),
        "text_rules": split.text_rules,
        "inputs": inputs,
        "outputs": outputs | output_digests(out, _score_names(split)),
        "audio": _audio_digest(out, split.name),
    }
    write_splits(out, corpus, {**known_splits(out, own_format=True), split.name: entry})


def _distinct(split: Split, candidates: Sequence[RawUtterance]) -> tuple[list[RawUtterance], list[Rejection]]:
    """Candidates of which no two share an id, nor, where files are converted, a file name."""
    seen: set[str] = set()
    files: dict[str, Path] = {}
    kept, doubles = [], []
    for candidate in candidates:
        if candidate.id in seen:
            doubles.append(Rejection(candidate.id, candidate.path, "a second utterance of the same id"))
        elif split.converts and files.setdefault(candidate.stem, candidate.path) != candidate.path:
            reason = f"another sound file of this name: {files[candidate.stem]}"
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
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.stat().st_size) for entry in entries)
    return digest(*(f"{name} {size}" for name, size in found), "")


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


def _parts(pieces: Sequence[PreparedUtterance], published: Published | None) -> dict[str, int]:
    parts = published.parts if published else ()
    return {f"utterances {begin}*": sum(piece.id.startswith(begin) for piece in pieces) for begin in parts}


def _score_names(split: Split) -> list[str]:
    return [f"{SCORE}/{split.name}{suffix}" for suffix in split.score]


def _is_done(out: Path, split: Split, inputs: str) -> bool:
    entry = is_done(out, split.name, inputs, _score_names(split))
    return (
        entry is not None
        and entry.get("published") == (split.published.figures() if split.published else None)
        and entry.get("audio") == _audio_digest(out, split.name)
    )


def _drop_vanished(out: Path) -> None:
    """Forget splits whose input folder is gone: training must not find stale cuts in `out`."""
    splits = known_splits(out, own_format=True)
    vanished = [name for name, entry in splits.items() if not Path(entry.get("folder", "")).is_dir()]
    for name in vanished:
        warn(f"{name}: its folder {splits[name].get('folder')} is gone, so its cuts are removed from {out}")
    _forget(out, vanished)
    for name in vanished:
        sounds.forget(out, name)


def _drop_drawn_before(out: Path, splits: Sequence[Split]) -> None:
    """Forget splits of the same data under names that it has no more: their cuts are in others now."""
    given = {path for split in splits for path in split.given}
    entries = known_splits(out, own_format=True)
    old = [name for name, entry in entries.items() if given.intersection(entry.get("given", ()))]
    gone = [name for name in old if name not in {split.name for split in splits}]
    for name in gone:
        info(f"{name}: no split of these data any more, so its cuts are removed from {out}")
    _forget(out, gone)
    for name in gone:
        sounds.forget(out, name)


def _forget(out: Path, names: Sequence[str]) -> None:
    """Remove splits from `out`, the mark first, so that a kill cannot leave cuts that are no longer true."""
    splits = known_splits(out, own_format=True)
    if splits.keys() & set(names):
        write_splits(out, str(corpus_of(out)), {name: kept for name, kept in splits.items() if name not in names})
    for name in names:
        remove_split(out, name)
    rows = known_rejected(out)
    if any(row["split"] in names for row in rows):
        write_rejected(out, [row for row in rows if row["split"] not in names])
