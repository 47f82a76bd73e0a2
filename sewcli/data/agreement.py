"""Do the files of a prepared corpus agree with each other: cuts, transcripts, list of what was set aside, `prep.json`?

`prep.json` is written last and names the digest of every file of a split, so what it does not name is half-done, was
changed later, or comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from sewcli.artifacts.data_folder import (
    PREP,
    REJECTED,
    SplitEntry,
    Splits,
    cuts_name,
    known_splits,
    read_splits,
    text_name,
)
from sewcli.base.errors import DataError
from sewcli.base.files import read_jsonl, sha256
from sewcli.data.findings import Finding
from sewcli.data.manifests import manifests
from sewcli.data.utterances import Utterance


def prepared_here(data: Path, split: str) -> bool:
    """Whether `sew prep` wrote a split: it then has an account, or transcripts. Shar and cuts of others have none."""
    if manifests(data, split)[0] != data / cuts_name(split):
        return False
    if (data / text_name(split)).exists():
        return True
    return split in known_splits(data)


def read_summaries(data: Path) -> tuple[Splits, list[Finding]]:
    """The account of each split in `prep.json`, and what is wrong with the file itself."""
    try:
        return read_splits(data), []
    except DataError as error:
        return {}, [Finding("manifest", "", "", str(data / PREP), error.what)]


def read_text(data: Path, split: str) -> Iterator[str]:
    """The lines of the transcripts of a split.

    Raises:
        OSError: the file cannot be read. UnicodeDecodeError: it is not UTF-8.
    """
    with open(data / text_name(split), encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n")


def gone(data: Path, summaries: Splits, splits: Sequence[str]) -> Iterator[Finding]:
    """Splits of `prep.json` without cuts."""
    for name in summaries.keys() - set(splits):
        yield Finding("manifest", name, "", str(data / cuts_name(name)), f"no such file, but {PREP} has this split")


def disagreements(
    data: Path, split: str, utterances: Sequence[Utterance], summary: SplitEntry | None
) -> Iterator[Finding]:
    """What `prep.json` and the transcripts say otherwise than the cuts.

    Args:
        data: the prepared corpus.
        split: one of its splits.
        utterances: its cuts.
        summary: its account in `prep.json`; None when there is none.
    """
    cuts = data / cuts_name(split)
    if summary is None:
        yield Finding("manifest", split, "", str(cuts), f"not in {PREP}: half-done, or not written by sew prep")
    else:
        yield from _changed(data, split, summary)
        for name, found in _counts(utterances).items():
            said = summary.get(name)
            if isinstance(said, int | float) and abs(found - said) > (1e-4 if name == "hours" else 0):
                detail = f"{found:,} {name.replace('_', ' ')}, {PREP} says {said:,}"
                yield Finding("manifest", split, "", str(cuts), detail)
        yield from _rejected(data, split, summary)
    yield from _texts(data, split, utterances)


def _changed(data: Path, split: str, summary: SplitEntry) -> Iterator[Finding]:
    """Files that have not the digest they were written with."""
    outputs = summary.get("outputs")
    if not isinstance(outputs, dict):
        yield Finding("manifest", split, "", str(data / PREP), "the digests of the split's files are missing")
        return
    for name, digest in outputs.items():
        try:
            if sha256(data / name) != digest:
                yield Finding("manifest", split, "", str(data / name), f"changed since sew prep: {PREP} has its digest")
        except OSError as error:
            yield Finding("manifest", split, "", str(data / name), f"cannot be read ({error.strerror or error})")


def _counts(utterances: Sequence[Utterance]) -> dict[str, float]:
    return {
        "utterances": len(utterances),
        "hours": round(sum(u.seconds for u in utterances) / 3600, 4),
        "speakers": len({u.speaker for u in utterances} - {""}),
        "words": sum(len(u.text.split()) for u in utterances),
    }


def _rejected(data: Path, split: str, summary: SplitEntry) -> Iterator[Finding]:
    """Whether the list of what was set aside is as long as the account says."""
    path = data / REJECTED
    try:
        listed = sum(row.get("split") == split for row in read_jsonl(path))
    except (DataError, OSError) as error:
        yield Finding("manifest", split, "", str(path), getattr(error, "what", None) or str(error))
        return
    if listed != summary.get("rejected"):
        yield Finding("manifest", split, "", str(path), f"{listed} set aside, {PREP} says {summary.get('rejected')}")


def _texts(data: Path, split: str, utterances: Sequence[Utterance]) -> Iterator[Finding]:
    """The first line of the transcripts that is not that of its cut."""
    path = data / text_name(split)
    try:
        for number, (line, utterance) in enumerate(zip_longest(read_text(data, split), utterances), start=1):
            if utterance is None:
                yield Finding("text", split, "", str(path), f"line {number}: there are no more cuts ({line!r:.80})")
            elif line is None:
                yield Finding(
                    "text", split, utterance.id, str(path), f"ends before line {number}, the text of this cut"
                )
            elif line != utterance.text:
                detail = f"line {number}: {line!r:.80}, the cut has {utterance.text!r:.80}"
                yield Finding("text", split, utterance.id, str(path), detail)
            else:
                continue
            return
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({error.strerror})"
        yield Finding("text", split, "", str(path), reason)
