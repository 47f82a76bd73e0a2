"""One row per experiment, split and language model, from the files that training, decoding and scoring left.

`results.json` and the table of `sew report` in a terminal. Rates are fractions of the reference's words; intervals are those
of `sew score`, 95 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sewcli.report.experiments import Decoding, Experiment


def result_rows(experiments: Sequence[Experiment]) -> list[dict[str, Any]]:
    """Rows of what was decoded and scored. A greedy text stands in the row of each language model of its split."""
    return [row for experiment in experiments for row in _rows_of(experiment)]


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
