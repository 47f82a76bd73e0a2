"""Schedules against the facts of the authors' configs."""

import math

import pytest

from sewcli.training.config import PolynomialSchedule, TemperatureConfig, TriStageSchedule
from sewcli.training.schedule import polynomial, temperature, tri_stage


@pytest.mark.parametrize(
    ("done", "rate"), [(16_000, 2.5e-4), (32_000, 5e-4), (100_000, 4.0760869e-4), (400_000, 0.0), (500_000, 0.0)]
)
def test_polynomial(done: int, rate: float) -> None:
    assert polynomial(done, 5e-4, PolynomialSchedule()) == pytest.approx(rate, rel=1e-7)


def test_the_first_update_learns() -> None:
    assert polynomial(0, 5e-4, PolynomialSchedule()) == pytest.approx(5e-4 / 32_000)


def test_tri_stage() -> None:
    rates = [tri_stage(n, 1.0, TriStageSchedule(), 20_000) for n in range(20_001)]
    assert rates[0] == pytest.approx(0.01) and rates[1000] == pytest.approx(0.505)
    assert rates[2000] == rates[9999] == 1.0
    assert rates[15_000] == pytest.approx(math.sqrt(0.05)) and rates[20_000] == pytest.approx(0.05)


def test_temperature() -> None:
    assert temperature(0, TemperatureConfig()) == 2.0
    assert temperature(100_000, TemperatureConfig()) == pytest.approx(1.21, abs=0.005)
    assert temperature(277_258, TemperatureConfig()) > 0.5 - 1e-9 and temperature(277_260, TemperatureConfig()) == 0.5
