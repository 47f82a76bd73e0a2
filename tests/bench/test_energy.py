"""Energy: counters are read and never invented; CO2 is the country's; a counter that goes round still adds up."""

from pathlib import Path

import pytest
from support.refusals import refused

from sewcli.base.errors import UsageError
from sewcli.bench.energy import Counters, account, country


def rapl(folder: Path, *, joules: float) -> Path:
    package = folder / "intel-rapl:0"
    package.mkdir(exist_ok=True)
    (package / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    (package / "max_energy_range_uj").write_text(f"{round(1000 * 1e6)}\n")
    return package


def test_what_is_spent_between_two_readings(tmp_path: Path) -> None:
    rapl(tmp_path, joules=100.0)
    counters = Counters(tmp_path)
    assert "processor (RAPL)" in counters.names
    before = {name: value for name, value in counters.read().items() if not name.startswith("gpu")}
    rapl(tmp_path, joules=142.5)
    only = Counters(tmp_path)
    only._gpus = []
    assert only.since(before) == pytest.approx(42.5)


def test_a_counter_that_has_gone_round(tmp_path: Path) -> None:
    rapl(tmp_path, joules=990.0)
    counters = Counters(tmp_path)
    counters._gpus = []
    before = counters.read()
    rapl(tmp_path, joules=5.0)
    assert counters.since(before) == pytest.approx(15.0)


def test_no_counter_no_number(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "nothing")
    counters._gpus = []
    assert counters.names == [] and counters.read() == {}
    assert "no energy is shown" in counters.missing


def test_an_unreadable_counter_says_so(tmp_path: Path) -> None:
    (rapl(tmp_path, joules=1.0) / "energy_uj").write_text("not a number")
    counters = Counters(tmp_path)
    assert "processor (RAPL)" not in counters.names and "invalid literal" in counters.missing


def test_countries_differ_and_unknown_ones_are_refused() -> None:
    assert country("POL").grams > 5 * country("swe").grams > 0
    with refused(UsageError, "no-such-country"):
        country("XYZ")


def test_the_account_of_a_trial() -> None:
    found = account(3.6e6, 3600.0, country("DEU"), ["processor (RAPL)"])  # 1 kWh for an hour of speech
    assert found["kwh"] == 1.0 and found["kwh_per_million_hours"] == pytest.approx(1e6)
    assert found["kg_co2"] == pytest.approx(country("DEU").grams / 1000)
