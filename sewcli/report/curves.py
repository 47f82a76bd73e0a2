"""`metrics.jsonl` as curves: every quantity thinned to a few hundred points, so that 400,000 updates draw as fast as 400.

A point is a stretch of updates: its middle, the mean, the least and the largest value. Lines that are damaged are passed over
and counted; the half line that a run at work may have at the end is not taken for damage.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sewcli.base.parsing import parse_json

BINS = 100
LARGEST = 1e300  # of a number that is taken for one: no infinity, no NaN, no integer of a thousand digits
TRAIN = ("loss_bits", "accuracy", "code_perplexity", "loss", "lr")
VALID = ("loss_bits", "accuracy", "wer", "per", "perplexity")


@dataclass(frozen=True)
class Point:
    """A stretch of updates."""

    step: float
    mean: float
    low: float
    high: float


@dataclass
class Curves:
    """What one run measured: of its updates and of its validations, by the names of `metrics.jsonl`."""

    train: dict[str, list[Point]] = field(default_factory=dict)
    valid: dict[str, list[Point]] = field(default_factory=dict)
    last: int = 0
    speed: float | None = None
    """Seconds of audio a second, the median."""
    damaged: int = 0


def read_curves(path: Path) -> Curves:
    """Read a file that may be damaged, or not there."""
    curves = Curves()
    steps: dict[tuple[str, str], array[float]] = defaultdict(lambda: array("d"))
    values: dict[tuple[str, str], array[float]] = defaultdict(lambda: array("d"))
    speeds: list[float] = []
    whole = True
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                row, whole = _row(line), line.endswith("\n")
                if row is None:
                    curves.damaged += bool(line.strip())
                    continue
                curves.last = max(curves.last, int(row["step"]))
                kind = str(row.get("kind", "train"))
                if kind == "speed" and _is_number(row.get("audio_per_second")):
                    speeds.append(row["audio_per_second"])
                for name in TRAIN if kind == "train" else VALID if kind == "valid" else ():
                    if (value := row.get(name)) is not None and _is_number(value):
                        steps[kind, name].append(row["step"])
                        values[kind, name].append(value)
        if not whole and _row(line) is None:
            curves.damaged -= 1
    except OSError:
        return curves
    curves.speed = sorted(speeds)[len(speeds) // 2] if speeds else None
    for (kind, name), taken in steps.items():
        (curves.train if kind == "train" else curves.valid)[name] = thinned(taken, values[kind, name])
    return curves


def thinned(steps: array[float], values: array[float], bins: int = BINS) -> list[Point]:
    """At most so many points, none of which hides a peak: each keeps the extremes of its stretch."""
    size = max(1, math.ceil(len(steps) / bins))
    points = []
    for start in range(0, len(steps), size):
        of_it = values[start : start + size]
        middle = (steps[start] + steps[start + len(of_it) - 1]) / 2
        points.append(Point(middle, math.fsum(of_it) / len(of_it), min(of_it), max(of_it)))
    return points


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = parse_json(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and _is_number(row.get("step")) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST
