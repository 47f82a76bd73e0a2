"""The paper's tables beside ours: every row agrees or says why not, and docs/models.md is what the command writes."""

from pathlib import Path

import pytest

from sewcli.models.flops import anatomy, folded, paper_flops
from sewcli.models.models_page import counted, page
from sewcli.models.paper import COSTS, ROWS, TITLES, agrees
from sewcli.models.sizes import extractor_macs, sizes
from sewcli.models.zoo import lookup

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"table {row.table} {row.row}")
def test_a_row_agrees_or_says_why_not(row) -> None:
    ours, extractor = counted(row)
    assert agrees(ours, row.parameters) != bool(row.why), (ours, row.parameters, row.why)
    assert row.extractor is None or agrees(extractor, row.extractor)


def test_a_reason_names_the_model_that_the_printed_count_is() -> None:
    reasons = [row for row in ROWS if row.why.endswith("-k127")]
    assert len(reasons) == 4
    for row in reasons:
        assert agrees(sizes(row.why.rpartition(" ")[2])["parameters"], row.parameters)


def test_rounding_is_to_the_printed_decimals() -> None:
    assert agrees(44_654_751, "44.65") and agrees(45_601_951, "45.60") and agrees(94_396_320, "94.4")
    assert not agrees(44_670_000, "44.65") and not agrees(24_851_872, "24.8")


def test_all_tables_are_there() -> None:
    assert {row.table for row in ROWS} == set(TITLES) == {1, 3, 4, 5, 6, 10, 13}


def test_the_page_is_up_to_date() -> None:
    written = page()
    assert "UNEXPLAINED" not in written
    assert PAGE.read_text(encoding="utf-8") == written, "run: sew models --tables > docs/models.md"


MACS = {  # billions for 10 s, from the formulas of convolutions, linear layers and attention
    "w2v2-tiny": 12.7,
    "w2v2-base": 74.1,
    "w2v2-large": 191.9,
    "sew-tiny": 13.7,
    "sew-mid": 48.7,
    "sew-d-tiny": 10.5,
    "sew-d-mid": 26.9,
    "sew-d-base-plus": 57.1,
}


@pytest.mark.parametrize("name", MACS)
def test_multiply_accumulates(name: str) -> None:
    parts = anatomy(lookup(name), 32)
    assert f"{sum(part.macs for part in parts) / 1e9:.1f}" == str(MACS[name])
    assert sum(part.parameters for part in parts) == sizes(name)["parameters"]
    assert parts[-1].name == "other" and parts[-1].macs == 0 and parts[-1].parameters == lookup(name).width


def test_a_layer_is_counted_as_by_hand() -> None:
    parts = {part.name: part for part in anatomy(lookup("w2v2-tiny"), 32)}
    frames, width = 499, 256
    linear = 4 * width * width + 2 * width * 4 * width
    layer = parts["encoder.context.layers.0"]
    assert layer.macs == frames * linear + 2 * frames * frames * width
    assert layer.shape == (frames, width)
    first = parts["encoder.extractor.convolutions.0"]
    assert (first.shape, first.parameters, first.macs) == ((256, 31999), 2560, 31999 * 2560)
    assert parts["head"].macs == frames * width * 32


@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: cost.extractor)
def test_cost_of_extractors_as_table_2_counts_it(cost) -> None:
    assert f"{paper_flops(lookup(cost.model)) / 1e9:.1f}" == cost.flops
    assert extractor_macs(cost.model) / paper_flops(lookup(cost.model)) == pytest.approx(1.96, abs=0.02)


def test_equal_layers_are_folded() -> None:
    runs = folded(anatomy(lookup("sew-d-mid"), 32))
    assert [number for part, number in runs if ".layers." in part.name] == [24]
    assert sum(number for _, number in runs) == len(anatomy(lookup("sew-d-mid"), 32))
