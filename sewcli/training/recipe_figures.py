"""What the papers measured with a recipe, from the table of published figures (`models/published.csv`)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sewcli.models.published import LIBRISPEECH, Figure, figures, pair

TEST = ("test-clean", "test-other")
TABLE = re.compile(r"(?P<paper>.+) table (?P<table>\d+)")


def measured(paper: str, row: str, labels: str | None, models: Sequence[str] | None) -> dict[str, str] | str:
    """Word error rates in percent: one text, or one of each model or row; empty when none is printed.

    Args:
        paper: paper and table, e.g. `SEW table 10`.
        row: of that table; its rates with the language models, or the mean and deviation. No such row: all rows.
        labels: amount of labels; then test-clean / test-other without a language model, of each model.
        models: of those that are fine-tuned with `labels`; all but `w2v2-large*` and variants when not given.
    """
    if labels:
        return _by_model(labels, models)
    if not (found := TABLE.fullmatch(paper)):
        return {}
    rates = figures(paper=found["paper"], table=found["table"], quantity="wer")
    if of_row := [figure for figure in rates if figure.row == row]:
        return " / ".join(map(_value, of_row))
    return {figure.row: f"{_value(figure)} ({figure.split})" for figure in rates}


def _by_model(labels: str, models: Sequence[str] | None) -> dict[str, str]:
    rates = figures(quantity="wer", labels=labels, corpus=LIBRISPEECH, lm="none")
    rates = [f for f in rates if f.split in TEST and f.table in ("6", "7", "8", "9", "10", "13", "14", "15")]
    found: dict[str, str] = {}
    for model, updates in dict.fromkeys((f.model, f.updates) for f in rates if f.updates):
        if model in models if models else not model.startswith("w2v2-large") and "+" not in model:
            of_it = [f for f in rates if (f.model, f.updates) == (model, updates)]
            found[f"{model} ({(updates or 0) // 1000}K)"] = pair(of_it[::-1], TEST)
    return found


def _value(figure: Figure) -> str:
    return f"{figure.value} ± {figure.deviation}" if figure.deviation else figure.value
