"""One row per experiment and split, from the files that training, decoding and scoring left: nothing is typed in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sewcli.base import log
from sewcli.base.config import read_yaml
from sewcli.base.errors import UsageError
from sewcli.base.files import read_json


def result_rows(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Rows of all experiments below `folders` that have a `decode/*/score.json`; rates are fractions.

    Raises:
        UsageError: nothing was scored.
    """
    rows = []
    for folder in folders:
        for exp in sorted({score.parents[2] for score in folder.glob("**/decode/*/score.json")}):
            rows.extend(_rows_of(exp))
    if not rows:
        raise UsageError(
            "nothing was scored here yet", where=folders[0], mend="first run: sew decode (which also scores)"
        )
    return rows


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """The table on stdout, or a JSON object a line."""
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in (
        "experiment",
        "model",
        "parameters",
        "pre-trained",
        "hours",
        "updates",
        "split",
        "WER greedy",
        "WER LM",
    ):
        table.add_column(name, justify="left" if name in ("experiment", "model", "split") else "right")
    table.add_column("real-time factor greedy / LM", justify="right")
    for row in rows:
        table.add_row(
            row["name"],
            row["model"],
            f"{row['parameters']:,}",
            f"{row['pretrain_updates']:,} updates" if row["pretrained"] else "no",
            f"{row['hours']:.2f}" if row["hours"] is not None else "?",
            f"{row['updates']:,}" if row["updates"] is not None else "?",
            row["split"],
            _percent(row["wer_greedy"]),
            f"{_percent(row['wer_lm'])} ({row['lm']})" if row["lm"] else "-",
            f"{_factor(row['rtf_greedy'])} / {_factor(row['rtf_lm'])}",
        )
    log.stdout.print(table)


def _rows_of(exp: Path) -> list[dict[str, Any]]:
    config = read_yaml(exp / "config.yaml") if (exp / "config.yaml").exists() else {}
    data = read_json(exp / "data.json") if (exp / "data.json").exists() else {}
    card = read_json(exp / "model" / "config.json")
    source = Path(str(config.get("model", "")))
    ancestor = source.parent / "config.yaml"
    pretrained = source.is_dir()
    base: dict[str, Any] = {
        "name": exp.name,
        "model": card.get("sew", {}).get("name") or card.get("model_type"),
        "parameters": _parameters(exp / "model"),
        "pretrained": pretrained,
        "pretrain_updates": read_yaml(ancestor).get("updates") if pretrained and ancestor.exists() else 0,
        "hours": data.get("train", {}).get("hours"),
        "updates": config.get("updates"),
    }
    by_split: dict[str, dict[str, Any]] = {}
    for path in sorted(exp.glob("decode/*/score.json")):
        score, decoded = read_json(path), read_json(path.parent / "decode.json")
        row = by_split.setdefault(
            decoded["split"],
            {
                "split": decoded["split"],
                "wer_greedy": None,
                "wer_lm": None,
                "lm": None,
                "rtf_greedy": None,
                "rtf_lm": None,
            },
        )
        greedy = decoded["lm"] in (None, "none")
        row["wer_greedy" if greedy else "wer_lm"] = score["wer"]
        row["rtf_greedy" if greedy else "rtf_lm"] = decoded["real_time_factor"]
        if not greedy:
            row["lm"] = f"{Path(decoded['lm']).name.split('.')[0]}, beam {decoded['beam']}"
    return [base | row for row in by_split.values()]


def _parameters(folder: Path) -> int:
    """Parameters of a recogniser, counted from its config without reading its weights."""
    import torch

    from sewcli.models.ctc import CTCModel
    from sewcli.models.folder import count, read_config
    from sewcli.text.tokens import Vocabulary

    with torch.device("meta"):
        return count(CTCModel(read_config(folder), len(Vocabulary.load(folder))))


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"


def _factor(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
