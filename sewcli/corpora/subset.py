"""Random subsets of the training cuts by seed and hours, balanced over speakers: 10 hours each in SEW (section 6, B.2-4).

Speakers take turns, the one with the least speech so far first, and each gives its next utterance by a shuffle of its
own. Which utterances are drawn is a function of the seed and of the set of cuts alone, not of their order in a file.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewcli.artifacts.data_folder import (
    SplitEntry,
    Splits,
    SubsetRequest,
    corpus_of,
    cuts_name,
    is_done,
    read_splits,
    remove_split,
    write_split,
    write_splits,
)
from sewcli.artifacts.digest import settings_digest
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_jsonl, remove_leftovers
from sewcli.base.lock import hold
from sewcli.base.log import info
from sewcli.base.rng import key
from sewcli.corpora.vocabulary import write_report

TRAIN = "train"
RESERVED = {  # what other commands take splits of these names for
    TRAIN: "fine-tuning takes every train split by default, and would see the subset's utterances twice",
    "dev": "validation takes every dev split by default, and would be on training utterances",
    "test": "decoding takes every test split by default, and would be of training utterances",
}


@dataclass(frozen=True, slots=True)
class Drawable:
    """A cut, as far as the draw looks at it."""

    id: str
    speaker: str
    seconds: float


def draw(out: Path, name: str, hours: float, seed: int) -> SplitEntry:
    """Draw a subset of the transcribed cuts of all train splits in `out`, and write it beside them as a split.

    Args:
        out: a prepared corpus.
        name: of the new split; not train*, dev* or test*.
        hours: of speech, to within half an utterance.
        seed: of the draw.

    Returns:
        Its entry in `prep.json`: utterances, hours, speakers, words and so on, and under `subset` the seed, the hours
        asked for, and the sha256 of the cuts of each source split.

    Raises:
        UsageError: the name is taken or reserved, no train splits, or not as many hours in them.
    """
    hold(out, busy="a sew prep is at work in this folder", hint="wait for it, and run the same command again")
    remove_leftovers(out)
    splits = _splits(out)
    _check_name(out, name, splits)
    sources = {split: entry for split, entry in splits.items() if split.startswith(TRAIN)}
    _require_train(out, sources)
    roots = {entry.get("root") for entry in sources.values()}
    if len(roots) > 1:
        raise UsageError(
            "roots-differ",
            "its train splits have different roots",
            where=out,
            hint="prepare all of them with one --root",
        )
    of_sources = {split: entry["outputs"][cuts_name(split)] for split, entry in sources.items()}
    request = SubsetRequest(hours=hours, seed=seed, sources=of_sources)
    inputs = settings_digest(request)
    if done := is_done(out, name, inputs):
        info(f"{name}: drawn already")
        return done
    corpus = str(corpus_of(out))
    write_splits(out, corpus, {other: entry for other, entry in splits.items() if other != name})
    remove_split(out, name)
    chosen = choose((_drawable(row) for row in _rows(out, sources)), 3600 * hours, seed)
    wanted = {cut.id for cut in chosen}
    rows = sorted((row for row in _rows(out, sources) if row["id"] in wanted), key=lambda row: str(row["id"]))
    texts = [str(row["supervisions"][0]["text"]) for row in rows]
    outputs = write_split(out, name, rows, texts)
    entry: SplitEntry = {
        "utterances": len(chosen),
        "hours": round(sum(cut.seconds for cut in chosen) / 3600, 4),
        "speakers": len({row["supervisions"][0].get("speaker") for row in rows} - {None}),
        "words": sum(len(text.split()) for text in texts),
        "rejected": 0,
        "published": None,
        "differences": [],
        "folder": next(iter(sources.values()))["folder"],
        "root": roots.pop(),
        "inputs": inputs,
        "outputs": outputs,
        "subset": request,
    }
    splits = {**splits, name: entry}
    write_splits(out, corpus, splits)
    write_report(out, splits)
    return entry


def require_drawable(out: Path, coming: Sequence[str], names: Sequence[str]) -> None:
    """Refuse, before hours of preparation, subsets that could not be drawn after it.

    Args:
        out: the prepared corpus, which need not be there yet.
        coming: the splits that are about to be prepared.
        names: of the subsets.

    Raises:
        UsageError: a name that is none, reserved or taken, or no train splits.
    """
    if not names:
        return
    try:
        there = _splits(out)
    except UsageError:  # nothing is prepared yet, or what is there is damaged and will be made again
        there = {}
    splits = {**there, **{split: SplitEntry() for split in coming}}
    for name in names:
        _check_name(out, name, splits)
        _require_train(out, splits)


def refresh(out: Path) -> Splits:
    """Draw again, with their own hours and seeds, the subsets whose source splits were prepared again.

    Returns:
        The entries of all subsets, by name.

    Raises:
        UsageError: as `draw`.
    """
    asked = {name: entry["subset"] for name, entry in _splits(out).items() if "subset" in entry}
    return {name: draw(out, name, request["hours"], request["seed"]) for name, request in asked.items()}


def choose(cuts: Iterable[Drawable], seconds: float, seed: int) -> list[Drawable]:
    """The cuts to take, about `seconds` of them.

    Raises:
        UsageError: not a positive length, or not as much speech.
    """
    if not seconds > 0:
        raise UsageError("invalid-subset", f"a subset of {seconds / 3600:g} hours", hint="ask for more than 0 hours")
    by_speaker: dict[str, list[Drawable]] = {}
    for cut in cuts:
        by_speaker.setdefault(cut.speaker, []).append(cut)
    there = math.fsum(cut.seconds for own in by_speaker.values() for cut in own)  # exact: the order plays no part
    if there < seconds:
        raise UsageError(
            "subset-too-large",
            f"{seconds / 3600:g} hours are wanted, the train splits hold {there / 3600:.4g} with transcripts",
            hint="ask for fewer hours",
        )
    for own in by_speaker.values():  # the last is the next to be taken
        own.sort(key=lambda cut: (key(seed, "subset", cut.id), cut.id))
    turns = [(0.0, key(seed, "subset speaker", speaker), speaker) for speaker in by_speaker]
    heapq.heapify(turns)
    chosen: list[Drawable] = []
    total = 0.0
    while turns:
        given, order, speaker = heapq.heappop(turns)
        cut = by_speaker[speaker].pop()
        if total + cut.seconds > seconds:
            if total + cut.seconds - seconds < seconds - total:
                chosen.append(cut)
            break
        chosen.append(cut)
        total += cut.seconds
        if by_speaker[speaker]:
            heapq.heappush(turns, (given + cut.seconds, order, speaker))
    if not chosen:
        raise UsageError(
            "subset-too-small", f"{seconds:g} s are less than half of one utterance", hint="ask for more hours"
        )
    return chosen


def _rows(out: Path, sources: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The cuts of the source splits that have a transcript."""
    for split in sources:
        yield from (row for row in read_jsonl(out / cuts_name(split)) if row["supervisions"][0].get("text"))


def _drawable(row: dict[str, Any]) -> Drawable:
    speaker = row["supervisions"][0].get("speaker") or row["recording"]["id"]  # at least one person during a recording
    return Drawable(str(row["id"]), str(speaker), float(row["duration"]))


def _check_name(out: Path, name: str, splits: Splits) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise UsageError(
            "invalid-split-name",
            f"{name!r} is no name for a split",
            hint="letters, digits, and . _ + -, for example 10h-a",
        )
    for prefix, reason in RESERVED.items():
        if name.startswith(prefix):
            raise UsageError(
                "invalid-split-name",
                f"a subset cannot be named {name!r}: {reason}",
                hint="give it another name, and train with --set data.train=NAME",
            )
    if name in splits and "subset" not in splits[name]:
        raise UsageError(
            "split-exists", f"{name} is a split of the corpus already", where=out, hint="give the subset another name"
        )


def _require_train(out: Path, splits: Iterable[str]) -> None:
    if not any(split.startswith(TRAIN) for split in splits):
        raise UsageError(
            "no-such-split",
            "no train splits to draw from",
            where=out,
            hint="first run sew prep with the corpus's train parts",
        )


def _splits(out: Path) -> Splits:
    try:
        return read_splits(out)
    except DataError:
        raise UsageError(
            "no-prepared-corpus", "no prepared corpus here", where=out, hint="first run: sew prep"
        ) from None
