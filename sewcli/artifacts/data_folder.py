"""A prepared corpus on disk, as `sew prep` and `sew pseudo-label` write it and every other verb reads it.

    cuts_SPLIT.jsonl.gz  lhotse cuts          prep.json       an entry for each split: counts, inputs, digests of its files
    text_SPLIT.txt       a transcript a line  rejected.jsonl  what was set aside, and why
    score/SPLIT.*        published references (STM, GLM)

prep.json is written last and is the mark: a split is done when it has an entry of the same inputs whose files are whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from sewcli.base.errors import DataError
from sewcli.base.files import read_json, read_jsonl, sha256, write_json, write_jsonl, write_text

PREP, REJECTED, SCORE = "prep.json", "rejected.jsonl", "score"
FORMAT = 3  # of prep.json: raise it when the same input gives other output, and everything is prepared again


class SplitEntry(TypedDict, total=False):
    """A split in prep.json; beside these, `utterances PREFIX*` for the parts that a split was published with."""

    utterances: int
    hours: float
    speakers: int
    words: int
    rejected: int
    """Utterances in rejected.jsonl."""
    published: dict[str, float | None] | None
    """The counts that the corpus was published with, by their names here."""
    differences: list[str]
    """Sentences on counts that are not as published."""
    left_out: dict[str, int]
    """Segments that the corpus's own rules leave out, by reason."""
    changes: dict[str, int]
    """Texts that each rule of normalisation changed."""
    reasons: dict[str, int]
    """Rejected utterances by reason."""
    folder: str
    """Of the input."""
    root: str | None
    """What paths in the cuts are relative to; None where they are absolute."""
    given: list[str]
    """Of one's own data: the files or folders that were given."""
    text_rules: str | None
    """What became of the transcripts of one's own data, by name; None where the corpus has rules of its own."""
    inputs: str
    """Digest of all that decides the output."""
    outputs: dict[str, str]
    """SHA-256 of each file of the split, by its name in the folder."""
    audio: str | None
    """Digest of the names and sizes of converted audio; None where there is none."""
    subset: SubsetRequest
    """Of a subset: what was asked for."""
    pseudo_label: dict[str, Any]
    """Of labels that a model made: where they come from."""


class SubsetRequest(TypedDict):
    """A draw from the train splits. sources: SHA-256 of the cuts of each."""

    hours: float
    seed: int
    sources: dict[str, str]


class RejectedRow(TypedDict, total=False):
    """A line of rejected.jsonl. text: that the utterance might have had, where a model made it."""

    split: str
    id: str
    file: str
    reason: str
    text: str


Splits = dict[str, SplitEntry]


def cuts_name(split: str) -> str:
    """File name of the cuts of a split."""
    return f"cuts_{split}.jsonl.gz"


def text_name(split: str) -> str:
    """File name of the transcripts of a split."""
    return f"text_{split}.txt"


def read_splits(folder: Path) -> Splits:
    """The entries of prep.json by split.

    Raises:
        DataError: it is missing, broken, or holds something else.
    """
    return _read(folder)[1]


def known_splits(folder: Path, *, own_format: bool = False) -> Splits:
    """As `read_splits`, and none where it cannot be read or, with `own_format`, where this version would write another."""
    try:
        content, splits = _read(folder)
    except DataError:
        return {}
    return {} if own_format and content.get("format") != FORMAT else splits


def corpus_of(folder: Path) -> str | None:
    """The corpus that prep.json names; None where there is none."""
    try:
        return str(_read(folder)[0]["corpus"])
    except (DataError, KeyError):
        return None


def write_splits(folder: Path, corpus: str, splits: Mapping[str, SplitEntry]) -> None:
    """Write prep.json."""
    write_json(folder / PREP, {"format": FORMAT, "corpus": corpus, "splits": dict(sorted(splits.items()))})


def write_split(folder: Path, split: str, cuts: Iterable[dict[str, Any]], texts: Iterable[str]) -> dict[str, str]:
    """Write the files of a split, whose entry comes last.

    Returns:
        The digest of each, as `SplitEntry` has them.
    """
    write_jsonl(folder / cuts_name(split), cuts)
    write_text(folder / text_name(split), "".join(f"{text}\n" for text in texts))
    return output_digests(folder, [cuts_name(split), text_name(split)])


def output_digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files of the folder by name."""
    return {name: sha256(folder / name) for name in names}


def remove_split(folder: Path, split: str) -> None:
    """Remove the files of a split, whose entry went first: a kill leaves no cuts that are no longer true."""
    for path in (folder / cuts_name(split), folder / text_name(split), *(folder / SCORE).glob(f"{split}.*")):
        path.unlink(missing_ok=True)


def known_rejected(folder: Path) -> list[RejectedRow]:
    """The lines of rejected.jsonl; none where it is missing or broken, and the splits that have some are then not done."""
    try:
        rows = [row for row in read_jsonl(folder / REJECTED) if {"split", "file", "id"} <= row.keys()]
    except DataError:
        return []
    return cast(list[RejectedRow], rows)


def write_rejected(folder: Path, rows: Iterable[RejectedRow]) -> None:
    """Write rejected.jsonl, by split, file and id."""
    write_jsonl(folder / REJECTED, sorted(rows, key=lambda row: (row["split"], row["file"], row["id"])))


def is_done(folder: Path, split: str, inputs: str, outputs: Sequence[str] = ()) -> SplitEntry | None:
    """The entry of a split that was made of these inputs and whose files are whole; None of any other.

    Args:
        folder: the prepared corpus.
        split: of it.
        inputs: digest of all that decides the output.
        outputs: files beside cuts and transcripts.
    """
    entry = known_splits(folder).get(split)
    if entry is None or entry.get("inputs") != inputs:
        return None
    files = entry.get("outputs", {})
    if files.keys() != {cuts_name(split), text_name(split), *outputs}:
        return None
    listed = sum(row["split"] == split for row in known_rejected(folder))
    whole = all((folder / name).is_file() and sha256(folder / name) == digest for name, digest in files.items())
    return entry if whole and listed == entry.get("rejected") else None


def _read(folder: Path) -> tuple[dict[str, Any], Splits]:
    content = read_json(folder / PREP)
    splits = content.get("splits") if isinstance(content, dict) else None
    if not isinstance(splits, dict) or not all(isinstance(entry, dict) for entry in splits.values()):
        raise DataError("invalid-manifest", "not an account of splits", where=folder / PREP, hint="run sew prep again")
    return content, splits
