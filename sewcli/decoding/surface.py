"""What `sew tune` found, as tables: the word error rate over the coarse grid, and the best trials of all."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sewcli.base import log
from sewcli.decoding.tune import Trial, Tuned
from sewcli.decoding.weights import DEFAULT, FILE

SHOWN = 10  # trials of the second table


def print_tuned(tuned: Tuned, *, as_json: bool) -> None:
    """Tables on stdout, or one JSON object."""
    if as_json:
        trials = [{**asdict(trial), "wer": trial.wer} for trial in tuned.trials]
        best = {**asdict(tuned.best), "wer": tuned.best.wer}
        print(json.dumps({"weights": str(tuned.folder / FILE), "best": best, "trials": trials}))
        return
    log.stdout.print(_surface(tuned))
    log.stdout.print(_best(tuned))


def _surface(tuned: Tuned) -> Table:
    """Rows are weights of the language model, columns word scores; `*` is the lowest."""
    rates = {(trial.lm_weight, trial.word_score): trial.wer for trial in tuned.trials}
    rows = tuned.axes[0].grid()
    columns = tuned.axes[1].grid() if len(tuned.axes) > 1 else [0.0]
    lowest = min((rates[point] for row in rows for column in columns if (point := (row, column)) in rates), default=0)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title="WER %", title_justify="left")
    table.add_column("lm weight", justify="right")
    for column in columns:
        table.add_column(f"word score {column:g}" if len(columns) > 1 else "", justify="right")
    for row in rows:
        found = [rates.get((row, column)) for column in columns]
        table.add_row(f"{row:g}", *("" if r is None else f"{100 * r:.2f}{'*' * (r == lowest)}" for r in found))
    return table


def _best(tuned: Tuned) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.title = f"the best of {len(tuned.trials)} trials, over {tuned.best.words:,} words"
    for name in ("lm weight", "word score", "errors", "WER %", ""):
        table.add_column(name, justify="left" if not name else "right")
    ordered = sorted(tuned.trials, key=lambda trial: (trial is not tuned.best, trial.errors))
    for trial in ordered[:SHOWN]:
        table.add_row(*_cells(trial), "chosen" if trial is tuned.best else "")
    table.add_row(*_cells(tuned.start), DEFAULT)
    return table


def _cells(trial: Trial) -> list[str]:
    return [f"{trial.lm_weight:g}", f"{trial.word_score:g}", f"{trial.errors:,}", f"{100 * trial.wer:.2f}"]
