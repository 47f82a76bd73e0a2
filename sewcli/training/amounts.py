"""The labels that a run takes, held against the amount that its recipe is named by: `10h` never means all labels there are."""

from __future__ import annotations

from collections.abc import Sequence

from sewcli.base import log
from sewcli.base.errors import UsageError
from sewcli.data.mixing import Part, parts
from sewcli.data.utterances import Utterance, splits
from sewcli.training.config import DataConfig

FACTOR = 2.0  # hours may differ so much from the recipe's
LIGHT = ("10min", "1h", "10h")


def training_splits(data: DataConfig) -> list[Part]:
    """The splits to train on.

    Raises:
        UsageError: a split is not there; of one that a recipe names, with the way to train on another.
    """
    there = splits(data.dir)
    missing = [name for name in data.train or () if data.hours and name not in there]
    if there and missing:
        prepared = "sew prep librilight prepares it; or labels" if missing[0] in LIGHT else "labels"
        example = next((name for name in there if name.startswith("train")), there[0])
        raise UsageError(
            "no-such-split",
            f"this recipe is for {hours_text(data.hours or 0)} of labels, the split {missing[0]}, which is not here "
            f"(there are: {', '.join(there)})",
            where=data.dir,
            hint=f"{prepared} of your own: --set data.train={example}; sew recipes lists those for other amounts",
        )
    return parts(data.dir, data.train, default_prefix="train")


def require_hours(data: DataConfig, train: Sequence[Utterance]) -> None:
    """Refuse labels that are not the amount which the recipe is named by (warn of them where the user named the splits).

    Raises:
        UsageError: less than half of the recipe's hours, or more than twice as many.
    """
    hours = sum(u.seconds for u in train) / 3600
    names = ", ".join(data.train) if data.train else "all train splits"
    if data.hours and not data.hours / FACTOR <= hours <= data.hours * FACTOR:
        raise UsageError(
            "hours-differ",
            f"{hours_text(hours)} of labels in {names}, where this recipe is for {hours_text(data.hours)}",
            where=data.dir,
            hint=f"to train on them all the same: --set data.train={','.join(data.train or ())}; "
            "or take the recipe for their amount (sew recipes)",
        )
    meant = data.other_hours
    if meant and not meant / FACTOR <= hours <= meant * FACTOR:
        log.warn(
            f"{hours_text(hours)} of labels in {names}; rate and updates of this recipe are for {hours_text(meant)}"
        )
    else:
        log.info(f"{hours_text(hours)} of labels: {names}")


def hours_text(hours: float) -> str:
    """`9.75 h`, `10 min`, `96 s`."""
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{60 * hours:.0f} min" if hours < 0.5 else f"{hours:.4g} h"
