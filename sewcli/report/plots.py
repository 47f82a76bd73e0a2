"""Figures as inline SVG: curves over updates, and error rate against time. Colours and fonts come from the page's style.

Every mark has its value as a title, so that figures can be read without the page's script; the script shows the same values
beside the pointer, from the `data-points` that each curve carries: x y "step" "value" in the figure's own units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup

from sewcli.report.curves import Point

WIDTH, HEIGHT = 420.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 12.0, 36.0
LETTER = 7.6  # width of one in a label, in the widest of the page's fonts
STYLES = 8  # colours and dashes that the page's style has

Unit = Literal["", "%"]


@dataclass(frozen=True)
class Curve:
    """A run's line, and its validations as dots. `style`: number of its colour."""

    name: str
    style: int
    line: Sequence[Point] = ()
    dots: Sequence[Point] = ()


@dataclass(frozen=True)
class Mark:
    """A point of a scatter plot. `low`, `high`: its interval; `hollow`: of a paper; `brief`: its name where room is scarce.

    A line joins the marks of a `group`, in the order of x.
    """

    x: float
    y: float
    label: str
    title: str
    style: int = 0
    low: float | None = None
    high: float | None = None
    hollow: bool = False
    brief: str = ""
    group: str = ""


@dataclass
class Axis:
    """From values to places between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    ticks: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.log:
            self.ticks = [t for t in _log_ticks(self.low, self.high) if self.low <= t <= self.high]
        if len(self.ticks) < 3:  # a short logarithmic axis has those of a linear one
            self.ticks = [t for t in _ticks(self.low, self.high) if t > 0 or not self.log]

    def place(self, value: float) -> float:
        """Where a value is drawn."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        at = math.log(max(value, self.low)) if self.log else value
        return round(self.start + (at - low) / ((high - low) or 1.0) * (self.end - self.start), 1)


def curves_figure(title: str, curves: Sequence[Curve], *, unit: Unit = "", log: bool = False) -> Markup:
    """Curves over updates. Values of `%` are fractions."""
    points = [p for curve in curves for p in (*curve.line, *curve.dots)]
    log = log and min(p.low for p in points) > 0
    low, high = min(p.low for p in points), max(p.high for p in points)
    pad = 0.0 if log else (high - low or abs(high) or 1.0) * 0.05
    floor = 0.0 if 0 <= low < 0.4 * high and not log else low - pad
    up = Axis(floor * (0.9 if log else 1), (high + pad) * (1.1 if log else 1), HEIGHT - BOTTOM, TOP, log)
    along = Axis(0.0, max(p.step for p in points) or 1.0, LEFT, WIDTH - RIGHT)
    drawn = [*_frame(along, up, WIDTH, HEIGHT, "updates", unit), *(_curve(c, along, up, unit) for c in curves)]
    return _svg(WIDTH, HEIGHT, title, drawn, kind="curves")


def scatter_figure(title: str, marks: Sequence[Mark], *, across: str, upward: str) -> Markup:
    """Points on two logarithmic axes, each with its name where there is room for it."""
    width, height = 860.0, 440.0
    xs = [m.x for m in marks]
    ys = [v for m in marks for v in (m.y, m.low, m.high) if v]
    along = Axis(min(xs) * 0.8, max(xs) * 1.35, LEFT + 8, width - RIGHT, log=True)
    up = Axis(min(ys) * 0.85, max(ys) * 1.15, height - BOTTOM - 8, TOP, log=True)
    drawn = list(_frame(along, up, width, height, across, "", upward))
    taken = [(along.place(m.x) - 6, up.place(m.y) - 6, along.place(m.x) + 6, up.place(m.y) + 6) for m in marks]
    for group in dict.fromkeys(m.group for m in marks if m.group):
        places = sorted((along.place(m.x), up.place(m.y)) for m in marks if m.group == group)
        drawn.append(
            Markup('<g class="group" data-group="{}"><title>{}</title><polyline points="{}"/></g>').format(
                group, group, " ".join(f"{x:g},{y:g}" for x, y in places)
            )
        )
    for mark in marks:
        drawn.append(_mark(mark, along, up))
    for mark in marks:
        drawn.append(_label(mark, along.place(mark.x), up.place(mark.y), taken, width))
    return _svg(width, height, title, drawn, kind="scatter")


def short(value: float) -> str:
    """A number as an axis says it: 400k, 0.25, 2e-05."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.4g}M"
    if size >= 1e4:
        return f"{value / 1e3:.4g}k"
    if 0 < size < 0.01:
        digits, _, power = f"{value:.1e}".partition("e")
        return f"{digits.removesuffix('.0')}e{int(power)}"
    return f"{value:.4g}"


def figure_text(value: float, unit: Unit) -> str:
    """A value as a reader is told: fractions of `%` as percent."""
    return f"{100 * value:.4g} %" if unit == "%" else short(value)


def _svg(width: float, height: float, title: str, drawn: Sequence[Markup], *, kind: str) -> Markup:
    return Markup(
        '<svg class="plot {}" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}" tabindex="0">{}</svg>'
    ).format(kind, width, height, title, Markup("").join(drawn))


def _frame(
    along: Axis, up: Axis, width: float, height: float, across: str, unit: Unit, upward: str = ""
) -> Iterator[Markup]:
    """Grid lines, numbers and what the axes are."""
    bottom = up.start
    for tick in up.ticks:
        y = up.place(tick)
        yield Markup('<path class="grid" d="M{:g} {:g}H{:g}"/>').format(along.start, y, along.end)
        name = figure_text(tick, unit).replace(" ", "")
        yield Markup('<text class="tick" x="{:g}" y="{:g}" text-anchor="end">{}</text>').format(
            along.start - 6, y + 4, name
        )
    for tick in along.ticks:
        x = along.place(tick)
        yield Markup('<path class="grid" d="M{:g} {:g}v4"/>').format(x, bottom)
        yield Markup('<text class="tick" x="{:g}" y="{:g}" text-anchor="middle">{}</text>').format(
            x, bottom + 17, short(tick)
        )
    yield Markup('<path class="axis" d="M{:g} {:g}H{:g}"/>').format(along.start, bottom, along.end)
    yield Markup('<text class="name" x="{:g}" y="{:g}" text-anchor="end">{}</text>').format(
        width - RIGHT, height - 4, across
    )
    if upward:
        yield Markup('<text class="name" x="{:g}" y="{:g}">{}</text>').format(along.start + 6, TOP + 10, upward)


def _curve(curve: Curve, along: Axis, up: Axis, unit: Unit) -> Markup:
    places = [(along.place(p.step), up.place(p.mean), p) for p in curve.line]
    inner = Markup("")
    if any(p.low < p.high for p in curve.line):
        upper = " ".join(f"{along.place(p.step):g},{up.place(p.high):g}" for p in curve.line)
        lower = " ".join(f"{along.place(p.step):g},{up.place(p.low):g}" for p in reversed(curve.line))
        inner += Markup('<polygon class="band" points="{} {}"/>').format(upper, lower)
    if places:
        inner += Markup('<polyline class="line" points="{}"/>').format(" ".join(f"{x:g},{y:g}" for x, y, _ in places))
    for p in curve.dots:
        inner += Markup('<circle class="dot" cx="{:g}" cy="{:g}" r="3"><title>{}</title></circle>').format(
            along.place(p.step),
            up.place(p.mean),
            f"{curve.name}, validation after {p.step:,.0f} updates: {figure_text(p.mean, unit)}",
        )
    told = curve.line or curve.dots
    read = " ".join(
        f"{along.place(p.step):g} {up.place(p.mean):g} {p.step:.0f} {figure_text(p.mean, unit).replace(' ', '')}"
        for p in told
    )
    last = told[-1]
    return Markup('<g class="curve s{}" data-name="{}" data-points="{}"><title>{}</title>{}</g>').format(
        curve.style % STYLES,
        curve.name,
        read,
        f"{curve.name}: {figure_text(last.mean, unit)} after {last.step:,.0f} updates",
        inner,
    )


def _mark(mark: Mark, along: Axis, up: Axis) -> Markup:
    x, y = along.place(mark.x), up.place(mark.y)
    bar = Markup("")
    if mark.low and mark.high:
        bar = Markup('<path class="bar" d="M{:g} {:g}V{:g}"/>').format(x, up.place(mark.low), up.place(mark.high))
    shape = Markup('<rect class="ours hollow" x="{:g}" y="{:g}" width="9" height="9"/>').format(x - 4.5, y - 4.5)
    if not mark.hollow:
        shape = Markup('<circle class="ours" cx="{:g}" cy="{:g}" r="5.5"/>').format(x, y)
    kind = "paper" if mark.hollow else f"s{mark.style % STYLES}"
    return Markup('<g class="mark {}" data-mark="{}"><title>{}</title>{}{}</g>').format(
        kind, mark.title, mark.title, bar, shape
    )


def _label(mark: Mark, x: float, y: float, taken: list[tuple[float, float, float, float]], width: float) -> Markup:
    """The name beside its point, where it covers no other point or name; else left out (the title has it)."""
    for name in (mark.label, mark.brief):
        size = LETTER * len(name)
        beside = (("start", 10.0, 0.0), ("end", -10.0, -size), ("middle", 0.0, -size / 2))
        for (anchor, right, begin), down in ((side, down) for down in (4, -11, 20, -24, 33) for side in beside):
            box = (x + right + begin, y + down - 11, x + right + begin + size, y + down + 3)
            inside = box[0] >= LEFT and box[2] <= width and box[1] >= 0
            if inside and not any(box[0] < b[2] and box[2] > b[0] and box[1] < b[3] and box[3] > b[1] for b in taken):
                taken.append(box)
                kind = "label paper" if mark.hollow else "label"
                return Markup('<text class="{}" text-anchor="{}" x="{:g}" y="{:g}">{}</text>').format(
                    kind, anchor, x + right, y + down, name
                )
    return Markup("")


def _ticks(low: float, high: float, about: int = 5) -> Iterator[float]:
    span = (high - low) or 1.0
    rough = span / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= rough)
    number = math.ceil(low / step - 1e-9)
    while number * step <= high + 1e-9 * span:
        yield number * step
        number += 1


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = math.log10(high / low)
    steps = (1, 2, 3, 5) if decades < 1 else (1, 2, 5) if decades < 3 else (1,)
    return [k * 10.0**power for power in range(first, last + 1) for k in steps]
