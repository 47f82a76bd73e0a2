"""What `sew bench` shows: the table, JSON lines, and a folder with bench.json and a plot of time against size and errors."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sewcli import __version__
from sewcli.base import log
from sewcli.base.files import write_json, write_text
from sewcli.base.machine import instructions, processor
from sewcli.bench.subject import PAPER_PRECISION
from sewcli.report.page import figure_page
from sewcli.report.plots import Mark, scatter_figure

HEAD = (
    "parameters, M",
    "MB on disk",
    "seconds",
    "± ",
    "CPU s",
    "x real time",
    "ratio",
    "paper",
    "MFU",
    "memory, MB",
    "WER",
)
ACROSS = "seconds of inference for an hour of audio"
HOUR = 3600


def print_rows(rows: Sequence[dict[str, Any]], title: str, *, as_json: bool) -> None:
    """The table on stdout, or a JSON object a line; how it was measured is in the log."""
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    first = rows[0]
    with_lm, with_energy = first["lm"] is not None, "energy" in first
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("model", "runtime", "precision"):
        table.add_column(name)
    extra = [*(["LM CPU s", "WER LM"] if with_lm else []), *(["kWh / 1e6 h", "kg CO2 / 1e6 h"] if with_energy else [])]
    for name in (*HEAD, *extra):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row["model"], row["runtime"], row["precision"], *_cells(row, with_lm, with_energy))
    log.stdout.print(table)
    log.info(
        f"{title}; mean of {len(first['seconds'])} trials in turn, {first['threads']} thread(s) on {first['device']}, forward "
        f"and greedy search without reading audio, batches of at most {first['batch_seconds']:g} s (the paper: 250 s)\n"
        f"ratio: of seconds, to {' and '.join(dict.fromkeys(r['ratio_to'] for r in rows))}; paper: SEW tables 6, "
        "13, 8 and 5, fp32 on a V100; MFU: operations of the unpadded audio over the best matrix product here; memory: "
        "above the loaded model"
    )
    if others := {row["precision"] for row in rows if row["paper_seconds"]} - {PAPER_PRECISION}:
        log.info(f"no ratio of the paper beside {', '.join(sorted(others))}: its times are fp32 (--precision fp32)")


def print_layers(found: dict[str, Any], *, as_json: bool) -> None:
    """An extractor layer by layer."""
    if as_json:
        print(json.dumps(found))
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("layer", "kind", "output"):
        table.add_column(name)
    for name in ("GMAC", "ms", "±", "share", "GMAC/s"):
        table.add_column(name, justify="right")
    rows = [*found["layers"], {"layer": "all", "kind": "", "shape": None, **{k: found[k] for k in ("macs", "seconds")}}]
    rows[-1]["deviation"] = found["deviation"]
    for row in rows:
        table.add_row(
            row["layer"],
            row["kind"],
            " x ".join(map(str, row["shape"] or ())),
            f"{row['macs'] / 1e9:.3f}",
            f"{1000 * row['seconds']:.2f}",
            f"{1000 * row['deviation']:.2f}",
            f"{row['seconds'] / found['seconds']:.1%}",
            f"{row['macs'] / row['seconds'] / 1e9:.1f}" if row["macs"] else "",
        )
    log.stdout.print(table)
    counted = f"; {found['flops_as_in_table_2'] / 1e9:.1f} G as table 2 counts" if found["flops_as_in_table_2"] else ""
    log.info(
        f"one utterance of {found['audio_seconds']} s in fp32, {found['threads']} thread(s), mean of {found['trials']}{counted}"
    )


def write_folder(folder: Path, rows: Sequence[dict[str, Any]], title: str) -> None:
    """bench.json, and bench.html: time against parameters, and against word error rates where they are known."""
    names = ("torch", "numpy")
    content = {
        "command": shlex.join(["sew", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "speech": title,
        "machine": processor(),
        "instructions": instructions(),
        "versions": {"sew": __version__, "python": platform.python_version()} | {name: version(name) for name in names},
        "rows": list(rows),
    }
    write_json(folder / "bench.json", content)
    figures = [_figure(rows, "parameters", "parameters, M", 1e-6)]
    if any(row["wer"] for row in rows):
        figures.append(_figure(rows, "wer", "word error rate, %", 100))
    write_text(folder / "bench.html", figure_page("Inference time", title, figures))
    log.info(f"{folder}: bench.json, bench.html")


def _figure(rows: Sequence[dict[str, Any]], key: str, upward: str, factor: float) -> Any:
    marks = []
    for number, row in enumerate(row for row in rows if row[key]):
        hourly = HOUR * row["mean"] / row["audio_seconds"]
        name = row["model"] if row["runtime"] == "torch" else f"{row['model']} ({row['runtime']} {row['precision']})"
        value = factor * row[key]
        marks.append(Mark(hourly, value, name, f"{name}: {hourly:.3g} s, {upward} {value:.4g}", number))
    return scatter_figure(
        f"{upward[0].upper()}{upward[1:]} against inference time", marks, across=ACROSS, upward=upward
    )


def _cells(row: dict[str, Any], with_lm: bool, with_energy: bool) -> list[str]:
    cells = [
        f"{row['parameters'] / 1e6:.2f}",
        f"{row['mb_on_disk']:.1f}",
        f"{row['mean']:.2f}",
        "-" if row["deviation"] is None else f"{row['deviation']:.2f}",
        f"{row['cpu_seconds']:.2f}",
        f"{row['audio_seconds_a_second']:.1f}",
        f"{row['ratio']:.2f}",
        "-" if row["paper_ratio"] is None else f"{row['paper_ratio']:.2f}",
        "-" if row["mfu"] is None else f"{row['mfu']:.0%}",
        f"{row['memory_mb']:.0f}",
        "-" if row["wer"] is None else f"{row['wer']:.2%} ({row['wer_of']})",
    ]
    if with_lm:
        cells += [f"{row['lm_cpu_seconds']:.2f}", "-" if row["wer_lm"] is None else f"{row['wer_lm']:.2%}"]
    if with_energy:
        cells += [f"{row['energy'][key]:.3g}" for key in ("kwh_per_million_hours", "kg_co2_per_million_hours")]
    return cells
