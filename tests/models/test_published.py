"""The table of the papers' figures: it holds what the papers print, typed apart in printed_figures.md, and nothing twice."""

import re
from collections import Counter
from pathlib import Path

import pytest

from sewcli.models.paper import ROWS, printed_time
from sewcli.models.published import DEV_AND_TEST, Figure, figures, pair, published
from sewcli.models.published_page import page
from sewcli.models.zoo import lookup, names

PRINTED = Path(__file__).with_name("printed_figures.md")
PAGE = Path(__file__).parents[2] / "docs" / "published.md"
SIZES = ("parameters", "extractor parameters")
NUMBER = r"-?\d*\.?\d+"


def sections() -> dict[str, list[tuple[str, list[float]]]]:
    """Rows of each section: what it is called, and its numbers."""
    found: dict[str, list[tuple[str, list[float]]]] = {}
    for line in PRINTED.read_text(encoding="utf-8").replace("−", "-").splitlines():
        if line.startswith("## "):
            title = line[3:].partition(":")[0]
            found[title] = []
        elif ": " in line:
            name, _, numbers = line.partition(": ")
            found[title].append((name, [float(number) for number in re.findall(NUMBER, numbers)]))
    return found


def tables_of(title: str) -> tuple[str, set[str]]:
    first, _, second = title.partition(" and ")
    paper, _, number = first.rpartition(" ")
    return paper, {number, second} - {""}


@pytest.mark.parametrize("title", sections())
def test_the_table_holds_what_the_papers_print(title: str) -> None:
    paper, tables = tables_of(title)
    rows = sections()[title]
    found = [f for f in figures(paper=paper, followed=None) if f.table in tables]
    if paper == "SEW":
        left_out = {SIZES[0]} if tables == {"4"} else {*SIZES, "parameters with heads"}
        found = [f for f in found if f.quantity not in left_out]
    if title == "wav2vec 2.0 7":
        found = [f for f in found if f.lm == "transformer"]  # the others stand in decoding/weights.py
    if title == "SEW 9 and 16":
        found.sort(key=lambda f: f.quantity != "seconds")
    if title == "SEW 12":
        found.sort(key=lambda f: (f.row.startswith("W2V2-base"), f.quantity != "seconds"))
    values = [float(number) for f in found for number in (f.value, f.deviation) if number]
    assert values == [number for _, numbers in rows for number in numbers]
    assert len(values) > 3


def test_all_of_the_printed_figures_are_compared() -> None:
    assert sum(len(numbers) for rows in sections().values() for _, numbers in rows) == 784


def test_no_figure_stands_twice() -> None:
    keys = Counter(
        tuple(getattr(f, name) for name in Figure.__slots__ if name not in ("value", "deviation", "note"))
        for f in published()
    )
    assert max(keys.values()) == 1


def test_every_figure_has_its_place_and_a_number() -> None:
    for figure in published():
        assert re.fullmatch(NUMBER, figure.value) and re.fullmatch(rf"({NUMBER})?", figure.deviation), figure
        assert figure.paper and figure.quantity and figure.row, figure
        assert figure.followed or figure.note, f"what is followed in place of it? {figure}"
        if figure.quantity in ("wer", "per"):
            assert figure.corpus and (figure.split or not figure.followed) and 0 < figure.number < 100, figure
        if figure.model:
            lookup(figure.model)


@pytest.mark.fault("W3")
def test_both_values_of_sew_d_base_plus_and_the_one_that_is_followed() -> None:
    long = {"model": "sew-d-base-plus", "updates": 400_000, "labels": "100h", "quantity": "wer", "lm": "none"}
    assert pair(figures(**long, corpus="LibriSpeech"), ("test-clean", "test-other")) == "4.4 / 9.2"
    card = figures(**long, corpus="LibriSpeech", followed=False)
    assert [f.value for f in card] == ["4.34", "9.45"] and all("model card" in f.source for f in card)


@pytest.mark.fault("W12")
def test_models_with_long_kernels_have_the_seconds_that_the_paper_prints() -> None:
    printed = {name: printed_time(name).seconds for name in names() if name.endswith("-k127")}
    assert printed == {
        "sew-small-k127": "12.9",
        "sew-mid-k127": "21.0",
        "sew-d-tiny-k127": "8.5",
        "sew-d-small-k127": "10.9",
        "sew-d-mid-k127": "17.9",
    }
    assert (printed_time("sew-small").seconds, printed_time("sew-d-tiny").seconds) == ("11.0", "7.5")


@pytest.mark.fault("W1")
def test_squeezed_rows_of_the_ablations_have_linear_heads() -> None:
    """SEW adds MLP heads in row 7 of table 4; tables 1 and 3 and the rows before have linear ones."""
    heads = {(row.table, row.row): lookup(row.model).predictor for row in ROWS if row.table in (1, 3, 4)}
    with_mlp = {key for key, predictor in heads.items() if predictor != "linear"}
    assert with_mlp == {(4, "7 SEW-tiny (with MLP heads)"), (4, "8 SEW-tiny with FBFE")}
    assert len(heads) == 5 + 4 + 8
    models = {(row.table, row.row[:1]): row.model for row in ROWS if row.table == 4}
    assert models[4, "6"] == "sew-tiny+heads-linear" and models[4, "7"] == "sew-tiny"
    assert next(row for row in ROWS if row.table == 1).model == "w2v2-tiny+k127"


@pytest.mark.fault("W9")
def test_rows_stand_in_the_tables_that_print_them() -> None:
    found = {(row.table, row.model) for row in ROWS}
    assert {table for table, model in found if model == "w2v2-large"} == {5}
    assert {table for table, model in found if model.endswith("-d-mid-k127")} == {13}
    assert (
        printed_time("w2v2-large").source == "SEW table 8" and printed_time("sew-d-mid-k127").source == "SEW table 13"
    )


def test_main_models_have_all_their_rates() -> None:
    rows = figures(paper="SEW", table="6", quantity="wer")
    assert Counter(f.model for f in rows) == dict.fromkeys({f.model for f in rows}, 8)
    assert {f.split for f in rows} == set(DEV_AND_TEST) and {f.lm for f in rows} == {"none", "4-gram"}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: sew models --figures > docs/published.md"
