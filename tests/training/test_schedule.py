"""Schedules against the facts of the authors' configs."""

import math

import pytest

from sewcli.training.config import LinearSchedule, PolynomialSchedule, TemperatureConfig, TriStageSchedule
from sewcli.training.schedule import linear, polynomial, temperature, tri_stage


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


def test_linear() -> None:
    """Up in a thirtieth of the run, as in two epochs of sixty, and down to zero in the rest."""
    schedule = LinearSchedule(warmup=1 / 30)
    assert [linear(n, 5e-5, schedule, 60) for n in (1, 2, 31, 60)] == pytest.approx([2.5e-5, 5e-5, 2.5e-5, 0.0])
    assert linear(0, 5e-5, schedule, 60) == linear(1, 5e-5, schedule, 60)
    assert linear(0, 1.0, LinearSchedule(warmup=0.0), 4) == 1.0
    assert [linear(n, 1.0, LinearSchedule(warmup=1.0), 4) for n in range(5)] == [0.25, 0.25, 0.5, 0.75, 0.0]


def test_temperature() -> None:
    assert temperature(0, TemperatureConfig()) == 2.0
    assert temperature(100_000, TemperatureConfig()) == pytest.approx(1.21, abs=0.005)
    assert temperature(277_258, TemperatureConfig()) > 0.5 - 1e-9 and temperature(277_260, TemperatureConfig()) == 0.5


def test_both_schedules_are_their_formulas_at_every_update() -> None:
    """fairseq's polynomial_decay with power 1, and tri_stage, written out; the shares of a run are whole updates."""
    warm, end = PolynomialSchedule(warmup_updates=30, decay_updates=410), TriStageSchedule()
    for n in range(500):
        linear = 7e-4 * max(n, 1) / 30 if n <= 30 else max(0.0, 7e-4 * (1 - (n - 30) / (410 - 30)))
        assert polynomial(n, 7e-4, warm) == pytest.approx(linear, rel=1e-12, abs=1e-19)
    for updates in (7, 130, 13_000):
        up, flat = int(0.1 * updates), int(0.4 * updates)
        down = updates - up - flat
        for n in range(0, updates + 2, max(1, updates // 97)):
            if n < up:
                rate = 0.01 * 3e-5 + (3e-5 - 0.01 * 3e-5) * n / up
            elif n < up + flat:
                rate = 3e-5
            else:
                rate = 3e-5 * math.exp(math.log(0.05) / down * min(n - up - flat, down))
            assert tri_stage(n, 3e-5, end, updates) == pytest.approx(rate, rel=1e-12)


def test_the_temperature_is_its_formula() -> None:
    config = TemperatureConfig(start=2.0, end=0.1, decay=0.99)
    value = 2.0
    for n in range(400):
        assert temperature(n, config) == pytest.approx(max(value, 0.1), rel=1e-12)
        value *= 0.99
