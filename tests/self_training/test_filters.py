"""Filters of labels: each on a text it is for and on one it is not for, and the share that is kept."""

import math
from dataclasses import replace

import pytest

from sewcli.base.config import build
from sewcli.base.errors import UsageError
from sewcli.self_training.filters import Candidate, fault, filter_labels, repeats
from sewcli.self_training.label_config import FilterConfig, LabelConfig

GOOD = Candidate(
    "a", "TURN LEFT IN FORTY MILES", 2.0, am=-2.4, score=-20.0, greedy="TURN LEF IN FORTY MILES", greedy_score=-1.2
)
PLAIN = FilterConfig()


def test_measures_are_by_letter() -> None:
    letters = len("TURN LEFT IN FORTY MILES")
    assert letters == 24
    assert GOOD.confidence == pytest.approx(math.exp(-2.4 / 24))
    assert GOOD.margin == pytest.approx(math.exp(-1.2 / 24))
    assert GOOD.agreement == pytest.approx(1 - 1 / 24)
    assert GOOD.measure("score") == pytest.approx(-20 / 24)
    assert replace(GOOD, text="").agreement == 0.0


def test_a_good_text_passes() -> None:
    assert fault(GOOD, PLAIN) is None


@pytest.mark.parametrize(("text", "seconds"), [("YEAH", 2.5), ("UH HUH", 3.0), ("OH", 2.5), ("I", 1.5)])
def test_a_short_answer_on_the_telephone_passes(text: str, seconds: float) -> None:
    assert fault(replace(GOOD, text=text, seconds=seconds, greedy=text), PLAIN) is None


@pytest.mark.parametrize(
    ("changes", "settings", "reason"),
    [
        ({"text": " "}, {}, "no text"),
        ({"text": " ".join(["GO LEFT AND RIGHT"] * 3), "seconds": 9.0}, {}, "repeated n-gram: 3 times"),
        ({"seconds": 50.0}, {}, "few letters a second: 0.40"),
        ({"seconds": 30.0}, {}, "few words a second: 0.17"),
        ({"seconds": 0.5}, {}, "many letters a second: 40.00"),
        ({"seconds": 2.0}, {"words_per_second": (3.0, 8.0)}, "few words a second: 2.50"),
        ({"text": "A B C D E F G H I", "seconds": 1.0}, {"letters_per_second": (2, 30)}, "many words a second: 9.00"),
        ({"am": -48.0}, {"min_confidence": 0.2}, "confidence below the least: 0.1353"),
        ({"greedy": "TURN"}, {"min_agreement": 0.5}, "greedy decoding disagrees: 0.1667"),
    ],
)
def test_what_each_filter_is_for(changes, settings, reason) -> None:
    config = FilterConfig(**settings)
    assert fault(replace(GOOD, **changes), config) == reason
    assert fault(GOOD, FilterConfig(**{**settings, "words_per_second": (0.3, 8.0)})) is None


def test_repeats_counts_the_most_frequent_ngram() -> None:
    assert repeats("A B A B A B", 2) == 3
    assert repeats("A B C", 4) == 0
    assert repeats("A A A A", 1) == 4


def test_the_share_is_of_those_that_pass_and_the_best_of_them() -> None:
    candidates = [replace(GOOD, id=str(n), am=-float(n)) for n in range(10)]
    candidates.append(replace(GOOD, id="empty", text="", am=0.0))
    kept, reasons = filter_labels(candidates, FilterConfig(keep=0.75))
    assert [c.id for c in kept] == [str(n) for n in range(8)]  # ceil(0.75 * 10), in their order
    assert reasons["empty"] == "no text"
    assert set(reasons) == {"8", "9", "empty"}
    assert reasons["9"].startswith("confidence below that of the share kept: ")


def test_ties_are_broken_by_id_whatever_the_order() -> None:
    candidates = [replace(GOOD, id=name) for name in "dbca"]
    kept = {c.id for c in filter_labels(candidates, FilterConfig(keep=0.5))[0]}
    assert kept == {c.id for c in filter_labels(candidates[::-1], FilterConfig(keep=0.5))[0]} == {"a", "b"}


@pytest.mark.parametrize("measure", ["confidence", "margin", "agreement", "score"])
def test_every_measure_ranks(measure: str) -> None:
    worse = replace(GOOD, id="b", am=-9.0, score=-60.0, greedy="LEFT")
    kept, reasons = filter_labels([worse, GOOD], FilterConfig(keep=0.5, rank=measure))
    assert [c.id for c in kept] == ["a"] and reasons["b"].startswith(f"{measure} below")


def test_settings_that_exclude_everything_are_refused() -> None:
    with pytest.raises(UsageError, match="letters_per_second: nothing lies between"):
        build(FilterConfig, {"letters_per_second": [9, 3]})
    with pytest.raises(UsageError, match="no cut is longer than"):
        build(FilterConfig, {"min_seconds": 50})
    with pytest.raises(UsageError, match="rescore has nothing to choose from"):
        build(LabelConfig, {"lm": "none", "rescore": "exp/lm"})
