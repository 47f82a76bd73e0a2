"""What the papers report, as one table of data (`published.csv`), from which every figure of theirs that is shown comes.

A row is a figure: which paper and table prints it, in which row, of which model of ours, after how many updates of pre-training
on what, with how many labels, on which split of which corpus, with which language model. Values are kept as printed, so that
they can be compared at the number of decimals that the paper has.

Papers: "SEW" is Wu et al. 2021, "wav2vec 2.0" Baevski et al. 2020 (tables from 6 on are in its appendix), "Shrinking Bigfoot"
Peng et al. 2021, "vq-wav2vec" Baevski et al. 2019; a model card, another project's results or our own count is named in full.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("published.csv")
LIBRISPEECH = "LibriSpeech"
DEV_AND_TEST = ("dev-clean", "dev-other", "test-clean", "test-other")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a paper; empty fields do not apply to it, or the paper does not say."""

    paper: str
    table: str
    """A number, or the place in the text."""
    row: str
    """What the paper calls it."""
    model: str
    """Name in our zoo."""
    updates: int | None
    """Of pre-training."""
    unlabelled: str
    """Audio of the pre-training."""
    labels: str
    """Amount of labels that it is fine-tuned on."""
    corpus: str
    split: str
    lm: str
    """Of the decoding: none, 4-gram (the corpus's official one, beam 50), transformer."""
    quantity: str
    """wer and per in percent, seconds of inference (on a V100, model and search), parameters in millions."""
    value: str
    """As printed."""
    deviation: str
    """Of several runs."""
    followed: bool
    """False: the paper or its code contradicts it elsewhere, and the project follows the other value (`note`)."""
    note: str

    @property
    def number(self) -> float:
        """The value."""
        return float(self.value)

    @property
    def source(self) -> str:
        """Where it is printed, e.g. `SEW table 6`."""
        place = f"table {self.table}" if self.table.isdigit() else self.table
        return f"{self.paper} {place}".rstrip()


@cache
def published() -> tuple[Figure, ...]:
    """All figures, in the order of the file."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(_figure(row) for row in csv.DictReader(file))


def figures(*, followed: bool | None = True, **where: str | int | None) -> list[Figure]:
    """The figures whose fields are those of `where`, e.g. `quantity="wer", model="sew-tiny"`.

    Args:
        followed: True leaves out what the project does not follow, False keeps only that, None takes both.
        where: fields of `Figure`.
    """
    asked = [(name, value) for name, value in where.items() if name != "quantity"]
    found = _of_quantity().get(str(where["quantity"]), ()) if "quantity" in where else published()
    return [
        each
        for each in found
        if followed in (None, each.followed) and all(getattr(each, name) == value for name, value in asked)
    ]


def pair(found: Sequence[Figure], splits: Sequence[str], lm: str = "none") -> str:
    """Values of several splits as the papers print them, e.g. `10.6 / 23.7`; empty when none is printed."""
    values = {figure.split: figure.value for figure in found if figure.lm == lm}
    return " / ".join(values.get(split, "–") for split in splits) if values.keys() & set(splits) else ""


def rows_of(found: Sequence[Figure]) -> Iterator[tuple[Figure, list[Figure]]]:
    """Figures gathered by row of their table: the first of each row with all of it."""
    gathered: dict[tuple[Any, ...], list[Figure]] = {}
    for each in found:
        gathered.setdefault((each.paper, each.table, each.row, each.model), []).append(each)
    for row in gathered.values():
        yield row[0], row


@cache
def _of_quantity() -> dict[str, list[Figure]]:
    found: dict[str, list[Figure]] = {}
    for each in published():
        found.setdefault(each.quantity, []).append(each)
    return found


def _figure(row: dict[str, str]) -> Figure:
    texts = {field.name: row[field.name] for field in fields(Figure) if field.name not in ("updates", "followed")}
    return Figure(**texts, updates=int(row["updates"]) if row["updates"] else None, followed=row["followed"] != "no")
