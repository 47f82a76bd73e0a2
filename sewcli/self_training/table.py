"""The table of self-training: word error rates before and after each round, and how good the labels of each were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RESULTS, TABLE = "selftrain.json", "selftrain.md"
SEARCHES = {"greedy": "greedy", "lm": "with LM"}


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table as Markdown."""
    titles, lines = cells(rows)
    ruler = ["---", *("---:" for _ in titles[1:])]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (titles, ruler, *lines))


def cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """The titles of the columns, and the cells of each row."""
    return _titles(rows), [_cells(row, _columns(rows)) for row in rows]


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(split, search) of every error rate that some round has."""
    return list(
        dict.fromkeys((split, search) for row in rows for split, of_it in row["wer"].items() for search in of_it)
    )


def _titles(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    rates = (f"WER {split} {SEARCHES[search]}" for split, search in _columns(rows))
    return ["round", "labelled", "share kept", "WER of the labels", *rates]


def _cells(row: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> list[str]:
    rates = (row["wer"].get(split, {}).get(search) for split, search in columns)
    return [str(row["round"]), *_label_cells(row["labels"]), *("-" if r is None else _percent(r) for r in rates)]


def _label_cells(labels: Sequence[Mapping[str, Any]]) -> list[str]:
    """Cuts with a label, their share, and their error rate where the truth is known, over all splits."""
    if not labels:
        return ["-", "-", "-"]
    kept, lost = (sum(of_split[key] for of_split in labels) for key in ("utterances", "rejected"))
    errors = [of_split["label_errors"]["kept"] for of_split in labels if of_split["label_errors"]]
    words = sum(of_it["words"] for of_it in errors)
    rate = _percent(sum(of_it["errors"] for of_it in errors) / words) if words else "not known"
    return [f"{kept:,}", _percent(kept / (kept + lost)), rate]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
