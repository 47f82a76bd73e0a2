"""A minimum of errors over a few numbers: a coarse grid over the box, then ever finer steps around the best point.

Deterministic: what is tried next follows from the errors so far, so a search that was stopped goes on from a table of them.
wav2vec 2.0 (appendix, table 7) tries 128 points of the box [0, 5] x [-5, 5]; a coarse grid also shows the surface.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Point = tuple[float, ...]
Count = Callable[[Sequence[Point]], Sequence[int]]
DIGITS = 6  # of a coordinate: steps that are halved stay the same number on every way to a point


@dataclass(frozen=True)
class Axis:
    """A number to be found between `low` and `high`: `coarse` is the step of the grid, `fine` the smallest."""

    name: str
    low: float
    high: float
    coarse: float
    fine: float

    def grid(self) -> list[float]:
        """From low to high."""
        return [round(self.low + n * self.coarse, DIGITS) for n in range(int((self.high - self.low) / self.coarse) + 1)]

    def around(self, value: float, step: float) -> list[float]:
        """A step below, itself, a step above, as far as the box goes."""
        return sorted({round(min(max(value + step * way, self.low), self.high), DIGITS) for way in (-1, 0, 1)})


def grid_search(axes: Sequence[Axis], first: Sequence[Point], count: Count, limit: int) -> dict[Point, int]:
    """Try points until the best has no better neighbour at the finest step.

    Args:
        axes: the box.
        first: points to try before the grid.
        count: errors of points, which are new each time.
        limit: how many points to try at most.

    Returns:
        The errors of each point, in the order in which they were tried.
    """
    tried: dict[Point, int] = {}

    def attempt(points: Sequence[Point]) -> bool:
        new = [point for point in dict.fromkeys(points) if point not in tried][: limit - len(tried)]
        tried.update(zip(new, count(new), strict=True) if new else ())
        return bool(new)

    attempt([*first, *itertools.product(*(axis.grid() for axis in axes))])
    steps = [axis.coarse for axis in axes]
    while any(step > axis.fine for step, axis in zip(steps, axes, strict=True)):
        steps = [max(step / 2, axis.fine) for step, axis in zip(steps, axes, strict=True)]
        centre = None
        while centre != (centre := best_point(axes, tried)):
            sides = [axis.around(value, step) for axis, value, step in zip(axes, centre, steps, strict=True)]
            if not attempt(list(itertools.product(*sides))):
                break
    return tried


def best_point(axes: Sequence[Axis], tried: Mapping[Point, int]) -> Point:
    """The point of fewest errors; of several the one nearest to their middle, which is least likely to be a chance."""
    fewest = min(tried.values())
    tied = np.array([point for point, errors in tried.items() if errors == fewest])
    scaled = tied / np.array([axis.coarse for axis in axes])
    distances = np.square(scaled - scaled.mean(axis=0)).sum(axis=1)
    return tuple(tied[int(distances.round(9).argmin())].tolist())
