"""The table of self-training: word error rates before and after each round, and how good the labels of each were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sewcli.base import log

RESULTS, TABLE = "selftrain.json", "selftrain.md"


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table as Markdown."""
    titles, lines = _titles(rows), [_cells(row, _splits(rows)) for row in rows]
    ruler = ["---", *("---:" for _ in titles[1:])]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (titles, ruler, *lines))


def print_rounds(rows: Sequence[Mapping[str, Any]]) -> None:
    """The table on stdout."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number, title in enumerate(_titles(rows)):
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, _splits(rows)))
    log.stdout.print(table)


def _splits(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(split for row in rows for split in row["wer"]))


def _titles(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    searches = [f"{split} {search}" for split in _splits(rows) for search in ("greedy", "with LM")]
    return ["round", "labelled", "share kept", "WER of the labels", *(f"WER {title}" for title in searches)]


def _cells(row: Mapping[str, Any], splits: Sequence[str]) -> list[str]:
    return [str(row["round"]), *_label_cells(row["labels"]), *_rate_cells(row["wer"], splits)]


def _label_cells(labels: Sequence[Mapping[str, Any]]) -> list[str]:
    """Cuts with a label, their share, and their error rate where the truth is known, over all splits."""
    if not labels:
        return ["-", "-", "-"]
    kept, lost = (sum(of_split[key] for of_split in labels) for key in ("utterances", "rejected"))
    errors = [of_split["label_errors"]["kept"] for of_split in labels if of_split["label_errors"]]
    words = sum(of_it["words"] for of_it in errors)
    rate = _percent(sum(of_it["errors"] for of_it in errors) / words) if words else "not known"
    return [f"{kept:,}", _percent(kept / (kept + lost)), rate]


def _rate_cells(rates: Mapping[str, Mapping[str, float]], splits: Sequence[str]) -> Iterator[str]:
    for split in splits:
        for search in ("greedy", "lm"):
            rate = rates.get(split, {}).get(search)
            yield "-" if rate is None else _percent(rate)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
