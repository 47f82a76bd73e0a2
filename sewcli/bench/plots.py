"""What `sew bench --out` writes: bench.json, and plots of time against size and errors."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sewcli import __version__
from sewcli.base import log
from sewcli.base.files import write_json, write_text
from sewcli.base.machine import instructions, processor
from sewcli.report.page import figure_page
from sewcli.report.plots import Mark, scatter_figure

ACROSS = "seconds of inference for an hour of audio"
HOUR = 3600


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
