"""Which cuts a run takes: splits of its data folder, splits of other prepared folders beside them, and each how often.

Self-training mixes few true labels with many made by a model (Xu et al. 2021; Kahn et al. 2020), and those lie in folders of
their own. `10h*4,data/pseudo/train-960` is split 10h of the run's folder, four times an epoch, and train-960 of data/pseudo.
An utterance that stands n times is n entries of the batch plan, which stays a function of (seed, epoch).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sewcli.base.errors import UsageError
from sewcli.data.manifests import JSONL, split_of
from sewcli.data.utterances import Utterance, read_split, require_splits

MOST = 100_000_000  # utterances of a part that is taken several times
FORM = re.compile(r"(?P<place>[^*]+?)(?:\*(?P<times>[1-9]\d*))?")


@dataclass(frozen=True)
class Part:
    """A split of a prepared folder, so many times an epoch."""

    folder: Path
    split: str
    times: int = 1


def parts(data: str | Path, wanted: Sequence[str] | None, *, default_prefix: str) -> list[Part]:
    """What `wanted` names: SPLIT, FOLDER/SPLIT or a manifest of cuts, and each of them with *N behind it.

    Args:
        data: folder of the splits that are named without one.
        wanted: the names; None takes all of `data` that begin with `default_prefix`.
        default_prefix: a role (train, dev).

    Raises:
        UsageError: nothing is prepared in a folder, a split is not there, or a name of another form.
    """
    if not wanted:
        return [Part(Path(data), name) for name in require_splits(data, None, default_prefix=default_prefix)]
    found = [_part(Path(data), name) for name in wanted]
    for part in found:
        require_splits(part.folder, [part.split], default_prefix=default_prefix)
    return found


def read_parts(chosen: Sequence[Part]) -> list[Utterance]:
    """The utterances of all parts, one part after the other, each as often as it says.

    Raises:
        UsageError: a part is taken so often that no memory would hold it.
        DataError: a manifest is missing, broken, or without utterances.
    """
    read = [(part, read_split(part.folder, part.split)) for part in chosen]
    for part, utterances in read:
        if part.times > 1 and len(utterances) * part.times > MOST:
            raise UsageError(
                "too-many-utterances",
                f"{part.split}*{part.times} is {len(utterances) * part.times:,} utterances an epoch; {MOST:,} at most",
                where=part.folder,
                hint="take it fewer times: only the shares of the splits matter",
            )
    return [u for part, utterances in read for u in utterances * part.times]


def _part(data: Path, name: str) -> Part:
    form = FORM.fullmatch(name)
    place = Path(form["place"]) if form else Path()
    if form is None or not place.name:
        raise UsageError(
            "invalid-split-name",
            f"{name!r} names no split",
            hint="SPLIT, or FOLDER/SPLIT for one of another folder; *N behind it takes it N times, e.g. 10h*4",
        )
    times = int(form["times"] or 1)
    if place.name.endswith(JSONL) and place.is_file():
        return Part(place, split_of(place), times)
    return Part(place.parent if len(place.parts) > 1 else data, place.name, times)
