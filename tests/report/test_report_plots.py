"""Figures: every value where its axis says, every mark with its value in words."""

import re
import xml.etree.ElementTree as ET

import pytest

from sewcli.models.paper import TIMES
from sewcli.report.curves import Point
from sewcli.report.figures import FAMILIES, figure_1, paper_figure
from sewcli.report.plots import (
    HEIGHT,
    LEFT,
    WIDTH,
    Axis,
    Curve,
    Mark,
    curves_figure,
    figure_text,
    scatter_figure,
    short,
)

SVG = "{http://www.w3.org/2000/svg}"


def parsed(figure: str) -> ET.Element:
    return ET.fromstring(str(figure).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def points(*values: float) -> list[Point]:
    return [Point(n + 1, value, value * 0.9, value * 1.1) for n, value in enumerate(values)]


@pytest.mark.parametrize("log", [False, True])
def test_curves_lie_between_their_axes(log: bool) -> None:
    name = 'run "<1>" & co'
    figure = parsed(
        curves_figure("loss", [Curve(name, 0, points(200, 20, 2)), Curve("other", 1, (), points(3))], log=log)
    )
    lines = figure.findall(f".//{SVG}polyline")
    assert len(lines) == 1 and len(figure.findall(f".//{SVG}circle")) == 1
    places = [tuple(map(float, pair.split(","))) for pair in lines[0].attrib["points"].split()]
    assert all(LEFT <= x <= WIDTH and 0 < y < HEIGHT for x, y in places)
    (_, top), (_, middle), (_, low) = places
    assert top < middle < low, "larger values are higher"
    assert (middle - top == pytest.approx(low - middle, abs=0.5)) == log, "tenfold steps are equal on a log axis alone"
    groups = {group.attrib["data-name"]: group for group in figure.iter(f"{SVG}g")}
    assert set(groups) == {name, "other"}
    fields = groups[name].attrib["data-points"].split(" ")
    assert fields[2::4] == ["1", "2", "3"] and fields[3::4] == ["200", "20", "2"]
    assert [tuple(map(float, fields[n : n + 2])) for n in (0, 4, 8)] == places


def test_a_constant_and_a_zero() -> None:
    for values in ((0.0, 0.0), (5.0, 5.0), (-1.0, 0.0)):
        figure = parsed(
            curves_figure("x", [Curve("c", 0, [Point(n, v, v, v) for n, v in enumerate(values)])], log=True)
        )
        assert "nan" not in ET.tostring(figure, encoding="unicode")


def test_axes_and_numbers() -> None:
    axis = Axis(0, 10, 100, 0)
    assert axis.ticks == [0, 2, 4, 6, 8, 10] and axis.place(5) == 50
    assert Axis(1, 100, 0, 100, log=True).place(10) == 50 and Axis(2, 40, 0, 1, log=True).ticks == [2, 5, 10, 20]
    assert [short(v) for v in (0, 0.25, 12_345, 400_000, 2.5e6, 5e-4, 2.5e-5)] == [
        *("0", "0.25", "12.35k", "400k", "2.5M", "5e-4", "2.5e-5")
    ]
    assert figure_text(0.4219, "%") == "42.19 %"


def test_names_of_points_cover_nothing() -> None:
    marks = [
        Mark(10 + n / 100, 10, f"a system with a long name {n}", f"title {n}", n, 9, 11, brief="ABCD"[n])
        for n in range(4)
    ]
    marks.append(Mark(1, 2, "SEW <&>", "paper", hollow=True))
    figure = parsed(scatter_figure("t", marks, across="s", upward="%"))
    boxes = []
    for text in figure.iter(f"{SVG}text"):
        if "label" in text.attrib["class"]:
            size, x, y = 7.6 * len(text.text or ""), float(text.attrib["x"]), float(text.attrib["y"])
            left = x - {"start": 0, "middle": size / 2, "end": size}[text.attrib["text-anchor"]]
            boxes.append((left, y - 11, left + size, y + 3))
    assert len(boxes) >= 4
    for n, a in enumerate(boxes):
        assert a[0] >= 0 and a[2] <= 860
        assert not any(a[0] < b[2] and a[2] > b[0] and a[1] < b[3] and a[3] > b[1] for b in boxes[:n])
    titles = {group.findtext(f"{SVG}title") for group in figure.iter(f"{SVG}g")}
    assert titles == {"title 0", "title 1", "title 2", "title 3", "paper"}
    assert len(figure.findall(f".//{SVG}path[@class='bar']")) == 4


@pytest.mark.fault("W8")
def test_the_papers_points_are_figure_1() -> None:
    """Dev-other after 100K updates and 100 h of labels: three families, each faster model with more errors."""
    assert paper_figure([]) is None, "nothing of ours: nothing to compare"
    rows = figure_1()
    printed = {
        "W2V2": [("7.5", "40.7"), ("12.8", "26.6"), ("19.9", "21.9"), ("30.8", "16.6")],
        "SEW": [("6.7", "23.7"), ("11.0", "17.5"), ("19.1", "14.7")],
        "SEW-D": [("7.5", "22.3"), ("9.6", "17.9"), ("16.5", "14.0"), ("26.3", "12.6"), ("27.8", "12.4")],
    }
    assert {
        family: [(r.seconds, r.other) for r in rows if r.family == family] for family in FAMILIES
    } == printed and sum(map(len, printed.values())) == len(rows)
    assert next(row for row in rows if row.model == "sew-d-mid").hourly == pytest.approx(16.5 / 5.4)
    assert all(re.fullmatch(r"\d+\.\d+", row.seconds) for row in TIMES)


def test_a_group_of_points_is_joined_from_left_to_right() -> None:
    marks = [Mark(x, 30 / x, f"m{x}", f"t{x}", hollow=True, group="SEW") for x in (4, 1, 2)] + [Mark(3, 3, "ours", "o")]
    lines = parsed(scatter_figure("t", marks, across="s", upward="%")).findall(f".//{SVG}polyline")
    assert len(lines) == 1
    places = [tuple(map(float, pair.split(","))) for pair in lines[0].attrib["points"].split()]
    assert len(places) == 3 and [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted(y for _, y in places), "fewer errors lie lower"
