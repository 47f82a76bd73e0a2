"""One row per experiment, split and language model, from the files that training, decoding and scoring left.

`results.json` and the table of `sew report` in a terminal. Rates are fractions of the reference's words; intervals are those
of `sew score`, 95 %.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sewcli.base import log
from sewcli.report.experiments import Decoding, Experiment


def result_rows(experiments: Sequence[Experiment]) -> list[dict[str, Any]]:
    """Rows of what was decoded and scored. A greedy text stands in the row of each language model of its split."""
    return [row for experiment in experiments for row in _rows_of(experiment)]


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """The table on stdout, or a JSON object a line."""
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    nist = any(row["nist_greedy"] is not None or row["nist_lm"] is not None for row in rows)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    names = ("experiment", "model", "parameters", "pre-trained", "hours", "updates", "split", "WER greedy", "WER LM")
    for name in (*names, *(["NIST greedy / LM"] if nist else []), "real-time factor greedy / LM"):
        table.add_column(name, justify="left" if name in ("experiment", "model", "split") else "right")
    for row in rows:
        table.add_row(
            row["name"],
            row["model"] or "?",
            f"{row['parameters']:,}" if row["parameters"] else "?",
            _pretraining(row),
            f"{row['hours']:.2f}" if row["hours"] is not None else "?",
            f"{row['updates']:,}" if row["updates"] is not None else "?",
            row["split"],
            _with_interval(row, "greedy"),
            f"{_with_interval(row, 'lm')} ({row['lm']})" if row["lm"] else "-",
            *([f"{_percent(row['nist_greedy'])} / {_percent(row['nist_lm'])}"] if nist else []),
            f"{_factor(row['rtf_greedy'])} / {_factor(row['rtf_lm'])}",
        )
    log.stdout.print(table)


def _rows_of(exp: Experiment) -> Iterator[dict[str, Any]]:
    base: dict[str, Any] = {
        "name": exp.name,
        "model": exp.model,
        "parameters": exp.parameters,
        "pretrained": exp.pretrained,
        "pretrain_updates": exp.pretrain_updates,
        "hours": exp.hours,
        "updates": exp.updates,
    }
    for split in dict.fromkeys(decoding.split for decoding in exp.decodings):
        of_it = [decoding for decoding in exp.decodings if decoding.split == split]
        greedy = min((d for d in of_it if d.plain), key=lambda d: d.decoder, default=None)  # before viterbi
        others: list[Decoding | None] = [d for d in of_it if not d.plain]
        for other in others or [None]:
            lm = {"lm": other.language_model if other else None}
            yield base | {"split": split} | lm | _figures(greedy, "greedy") | _figures(other, "lm")


def _figures(decoding: Decoding | None, kind: str) -> dict[str, Any]:
    score, decoded = (decoding.score, decoding.decoded) if decoding else ({}, {})
    nist = score.get("nist") or {}
    values = (score.get("wer"), score.get("wer_interval"), score.get("cer"), nist.get("wer"))
    names = ("wer", "interval", "cer", "nist")
    row = {f"{name}_{kind}": value for name, value in zip(names, values, strict=True)}
    return row | {f"rtf_{kind}": decoded.get("real_time_factor")}


def _pretraining(row: dict[str, Any]) -> str:
    if not row["pretrained"]:
        return "no"
    return f"{row['pretrain_updates']:,} updates" if row["pretrain_updates"] is not None else "yes"


def _with_interval(row: dict[str, Any], kind: str) -> str:
    bounds = row[f"interval_{kind}"]
    between = f" [{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]" if bounds else ""
    return _percent(row[f"wer_{kind}"]) + between


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"


def _factor(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
