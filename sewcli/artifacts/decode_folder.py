"""What decoding leaves on disk: hypotheses, what failed, and a summary of settings and times that is written with them.

A whole split is `<out>/<data>-<split>-<decoder>/`. A shard of it is `<i>-of-<n>/` in a folder of that name and `.shards`, with
other file names, so that nobody takes it for a result; the shard that comes last joins them (DESIGN: one in, one out, a mark
last). What is at work is `<i>-of-<n>.unfinished/` there (`unfinished.Unfinished`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from sewcli.artifacts.shards import Shard, shard_name
from sewcli.base import log
from sewcli.base.errors import DataError
from sewcli.base.files import (
    as_expected,
    atomic_folder,
    numbered_jsonl,
    read_jsonl,
    read_object,
    write_json,
    write_jsonl,
)
from sewcli.base.lock import held

HYPOTHESES, NBEST, FAILED, DECODED = "hyps.jsonl", "nbest.jsonl", "failed.jsonl", "decode.json"
SCORE, UTTERANCES, ERRORS = "score.json", "utterances.jsonl", "errors.txt"  # of `sew score`
FIRST = "00001.json"  # of the files of a shard that is at work (`unfinished`)
PART, PART_SUMMARY, SHARDS = "part.jsonl", "part.json", ".shards"


class HypothesisRow(TypedDict, total=False):
    """A line of hyps.jsonl, which is in the corpus's order."""

    id: str
    text: str
    score: float
    """Of the search: natural logarithms and their weights."""
    reference: str
    """The transcript, where there is one."""
    am: float
    """Log-probability of the path in the emissions."""
    greedy: str
    greedy_score: float
    """Text and log-probability of greedy decoding, for those who judge the hypotheses."""
    nbest: list[dict[str, Any]]
    """In a shard, whose lists have no file of their own; see `decoding.nbest`."""


@dataclass(frozen=True)
class Outcome:
    """Hypotheses (each with its `nbest`, when asked for) and failures as rows of their files, and how long it took."""

    rows: list[HypothesisRow]
    failures: list[dict[str, Any]]
    audio_seconds: float
    model_seconds: float
    decoder_seconds: float
    wall_seconds: float

    def figures(self) -> dict[str, Any]:
        """Counts and times of the summary."""
        work = self.model_seconds + self.decoder_seconds
        return {
            "utterances": len(self.rows),
            "failed": len(self.failures),
            "audio_seconds": round(self.audio_seconds, 3),
            "model_seconds": round(self.model_seconds, 6),
            "decoder_seconds": round(self.decoder_seconds, 6),
            "wall_seconds": round(self.wall_seconds, 3),
            "real_time_factor": round(work / self.audio_seconds, 8) if self.audio_seconds else 0.0,
        }


@dataclass(frozen=True)
class DecodedSplit:
    """A decode folder, and how many of its utterances have no hypothesis.

    part: it is a shard only, and others are missing. new: this process wrote it.
    """

    folder: Path
    failed: int
    part: bool = False
    new: bool = True


def write_whole(folder: Path, outcome: Outcome, settings: dict[str, Any]) -> DecodedSplit:
    """Write a decode folder.

    Raises:
        DataError: it would hold nothing.
    """
    if not outcome.rows:
        first = outcome.failures[0] if outcome.failures else {"id": "", "reason": "there is none"}
        raise DataError(
            "nothing-decoded",
            f"none of the {len(outcome.failures)} utterances could be decoded; {first['id']}: {first['reason']}",
            where=settings["split"],
        )
    _write(folder, (HYPOTHESES, DECODED), outcome, settings, apart=True)
    figures = outcome.figures()
    log.info(
        f"{folder}: {figures['utterances']} utterances, {outcome.audio_seconds / 60:.1f} min of audio; real-time factor "
        f"{figures['real_time_factor']:.4f} (model {outcome.model_seconds:.1f} s, decoder {outcome.decoder_seconds:.1f} s)"
    )
    return DecodedSplit(folder, len(outcome.failures))


def write_part(folder: Path, shard: Shard, outcome: Outcome, settings: dict[str, Any]) -> DecodedSplit:
    """Write a shard of the decode folder `folder`."""
    place = part_of(folder, shard)
    _write(place, (PART, PART_SUMMARY), outcome, settings)
    log.info(f"{place}: {len(outcome.rows)} utterances")
    return DecodedSplit(place, len(outcome.failures), part=True)


def finished(folder: Path, inputs: str, shard: Shard | None = None) -> DecodedSplit | None:
    """What is there already, when it was made of the same inputs and nothing failed: the whole, or a shard of it."""
    summary = _summary(folder, inputs) if shard is None else _part(folder, shard, inputs)
    if summary is None or summary["failed"]:
        return None
    place = folder if shard is None else part_of(folder, shard)
    log.info(f"{place}: decoded already, with the same model, cuts and settings")
    return DecodedSplit(place, 0, part=shard is not None, new=False)


def join(folder: Path, shard: Shard, order: Sequence[str], inputs: str) -> DecodedSplit | None:
    """Make the decode folder of all its shards, of which `shard` has just been finished; None while one is missing.

    Raises:
        DataError: no utterance of any shard could be decoded, or a shard's file is broken.
    """
    with alone(shards_of(folder)):
        if not part_of(folder, shard).is_dir() and _summary(folder, inputs):
            shutil.rmtree(shards_of(folder), ignore_errors=True)  # another was as late, and has joined them
            return DecodedSplit(folder, 0, new=False)
        shards = [(number, shard[1]) for number in range(1, shard[1] + 1)]
        summaries = [_part(folder, shard, inputs) for shard in shards]
        if any(summary is None for summary in summaries):
            return None
        done = write_whole(folder, *_joined(folder, shards, order))
        if not done.failed:  # what failed is tried again by the same commands, and the rest is kept for them
            shutil.rmtree(shards_of(folder), ignore_errors=True)
        return done


def read_hypotheses(folder: Path) -> list[HypothesisRow]:
    """The lines of hyps.jsonl.

    Raises:
        DataError: missing, a broken line, one without id or text, or an id twice.
    """
    path, lines, rows = folder / HYPOTHESES, dict[str, int](), list[HypothesisRow]()
    for line, row in numbered_jsonl(path):
        if fault := _fault(row, lines):
            hint = "correct it, or decode it again"
            raise DataError("unexpected-content", f"line {line}: {fault}", where=path, hint=hint)
        lines[row["id"]] = line
        rows.append(cast(HypothesisRow, row))
    return rows


def has_references(folder: Path) -> bool:
    """Whether there is anything to score with."""
    return any(row.get("reference") for row in read_hypotheses(folder))


def _fault(row: Mapping[str, Any], lines: Mapping[str, int]) -> str | None:
    """What is wrong with a line of the hypotheses; `lines` are those of the utterances before it."""
    if not isinstance(row.get("id"), str) or not isinstance(row.get("text"), str):
        return "without id or text, or one that is no string"
    if not isinstance(row.get("reference", ""), str | None):
        return f"the reference of {row['id']} is no string"
    if row["id"] in lines:
        return f"{row['id']} again, which is on line {lines[row['id']]} already"
    return None


def shards_of(folder: Path) -> Path:
    """Where the shards of a decode folder are."""
    return folder.with_name(f"{folder.name}{SHARDS}")


def part_of(folder: Path, shard: Shard) -> Path:
    """Where a shard of a decode folder is."""
    return shards_of(folder) / shard_name(shard)


def unfinished_of(folder: Path, shard: Shard) -> Path:
    """Where the hypotheses of a shard, or of the whole, (1, 1), are while it is at work."""
    return shards_of(folder) / f"{shard_name(shard)}.unfinished"


def summaries(folder: Path) -> list[Path]:
    """The files that tell what a decode folder is of: its own, or those of a shard of it, finished or not."""
    shards = shards_of(folder)
    return [folder / DECODED, *sorted(shards.glob(f"*/{PART_SUMMARY}"))[:1], *sorted(shards.glob(f"*/{FIRST}"))[:1]]


def tidy(folder: Path) -> None:
    """Remove the folder of shards when nothing is in it."""
    with suppress(OSError):
        shards_of(folder).rmdir()


def _write(
    folder: Path, names: tuple[str, str], outcome: Outcome, settings: dict[str, Any], *, apart: bool = False
) -> None:
    """Write the files of a folder; `apart`: n-best lists in their own, which in a shard stay with their hypotheses."""
    with atomic_folder(folder) as temporary:
        rows: Sequence[Mapping[str, Any]] = outcome.rows
        if apart and any("nbest" in row for row in rows):
            write_jsonl(temporary / NBEST, ({"id": row["id"], "nbest": row["nbest"]} for row in rows))
            rows = [{name: value for name, value in row.items() if name != "nbest"} for row in rows]
        write_jsonl(temporary / names[0], rows)
        if outcome.failures:
            write_jsonl(temporary / FAILED, outcome.failures)
        write_json(temporary / names[1], settings | outcome.figures())


def _joined(folder: Path, shards: list[Shard], order: Sequence[str]) -> tuple[Outcome, dict[str, Any]]:
    parts = [part_of(folder, shard) for shard in shards]
    summaries = [read_object(part / PART_SUMMARY) for part in parts]
    place = {name: number for number, name in enumerate(order)}
    with as_expected(parts[0].parent):
        rows, failures = (
            sorted(
                (row for part in parts if (part / name).is_file() for row in read_jsonl(part / name)),
                key=lambda row: place[row["id"]],
            )
            for name in (PART, FAILED)
        )
        sums = {
            f"{kind}_seconds": sum(float(s[f"{kind}_seconds"]) for s in summaries)
            for kind in ("audio", "model", "decoder")
        }
        wall = max(float(summary["wall_seconds"]) for summary in summaries)
    return Outcome(cast(list[HypothesisRow], rows), failures, **sums, wall_seconds=wall), summaries[0] | {
        "shards": len(shards)
    }


def _part(folder: Path, shard: Shard, inputs: str) -> dict[str, Any] | None:
    return _read_summary(part_of(folder, shard), (PART, PART_SUMMARY), inputs)


def _summary(folder: Path, inputs: str) -> dict[str, Any] | None:
    return _read_summary(folder, (HYPOTHESES, DECODED), inputs)


def _read_summary(folder: Path, names: tuple[str, str], inputs: str) -> dict[str, Any] | None:
    """The summary of a folder that was made of the same inputs."""
    if not all((folder / name).is_file() for name in names):
        return None
    try:
        summary = read_object(folder / names[1])
    except DataError:
        return None
    return summary if summary.get("inputs") == inputs else None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time, the others wait; where the file system has no locks, two may do the same work twice."""
    with held(folder / ".lock", busy=f"{folder}: another process is joining shards", wait=True):
        yield
