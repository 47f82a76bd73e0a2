"""Intervals against their formula, paired tests against cases counted by hand, MAPSSWE against NIST's sc_stats."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from nist_tools import needs_sctk, random_pairs, run, write_trn

from sewcli.base.errors import DataError
from sewcli.scoring.network import Step, align, network_of
from sewcli.scoring.significance import compare, interval, matched_pairs

C: Step = ("C", "a", "a")
S: Step = ("S", "a", "b")
D: Step = ("D", "a", None)
INSERTION: Step = ("I", None, "b")


def test_an_interval_is_that_of_the_normal_approximation() -> None:
    """2,000 utterances of one word: the error rate is a binomial share."""
    errors = [1] * 300 + [0] * 1700
    low, high = interval(errors, [1] * 2000)
    half = 1.96 * math.sqrt(0.15 * 0.85 / 2000)
    assert low == pytest.approx(0.15 - half, abs=0.0015) and high == pytest.approx(0.15 + half, abs=0.0015)
    assert interval(errors, [1] * 2000) == (low, high)  # the seed is fixed


def test_an_interval_over_speakers_is_wider_where_they_differ() -> None:
    errors, words = [5] * 50 + [0] * 50, [10] * 100
    speakers = [f"s{n // 10}" for n in range(100)]
    by_utterance, by_speaker = interval(errors, words), interval(errors, words, speakers)
    assert by_speaker[1] - by_speaker[0] > 2 * (by_utterance[1] - by_utterance[0])
    assert interval(errors, words, [str(n) for n in range(100)]) == pytest.approx(by_utterance, abs=0.02)
    one = interval(errors, words, ["s"] * 100)
    assert one == (0.25, 0.25)


def test_systems_that_are_the_same_do_not_differ() -> None:
    found = compare([1, 0, 2], [1, 0, 2], [5, 5, 5])
    assert found.difference == 0 and found.p_bootstrap == 1 and found.interval == (0, 0) and found.better == 0
    pairs = matched_pairs([[C, S, C, C]], [[C, S, C, C]])
    assert pairs.segments == 1 and pairs.z == 0 and pairs.p == 1


def test_a_paired_difference_is_found_where_intervals_overlap() -> None:
    rng = np.random.default_rng(0)
    common = rng.poisson(3, 400)
    worse = common + (rng.random(400) < 0.1)
    words = [20] * 400
    a, b = common.tolist(), worse.tolist()
    assert interval(a, words)[1] > interval(b, words)[0]
    found = compare(a, b, words)
    assert found.difference < 0 and found.p_bootstrap < 0.001 and found.better == 1 and found.interval[1] < 0
    turned = compare(b, a, words)
    assert turned.difference == -found.difference and turned.p_bootstrap == found.p_bootstrap and turned.better == 0


def test_noise_is_rarely_significant() -> None:
    rng = np.random.default_rng(1)
    words = [10] * 100
    p = [compare(*(rng.poisson(1, 100).tolist() for _ in "ab"), words).p_bootstrap for _ in range(100)]
    assert 0 < sum(value < 0.1 for value in p) < 25


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="same utterances"):
        compare([1], [1, 2], [3])
    with pytest.raises(DataError, match="two different references"):
        matched_pairs([[C]], [[C, C]])


@pytest.mark.parametrize(
    ("a", "b", "segments", "mean"),
    [
        ([C, C, C], [C, C, C], 0, 0.0),
        ([S, C, C, S], [C, C, C, C], 2, 1.0),  # two words right in both end a segment
        ([S, C, S, C], [C, C, C, D], 1, 1.0),  # one does not
        ([C, C, INSERTION, INSERTION, C, C], [C, C, C, C], 1, 2.0),
        ([C, C, C, C], [C, C, C, C, INSERTION], 1, -1.0),
        ([C, S, C, C, C], [C, C, C, S, C], 1, 0.0),
    ],
)
def test_segments_counted_by_hand(a: list[Step], b: list[Step], segments: int, mean: float) -> None:
    found = matched_pairs([a], [b])
    assert (found.segments, found.mean) == (segments, mean)


@needs_sctk
def test_matched_pairs_are_those_of_sc_stats(tmp_path: Path) -> None:
    references, a, b = random_pairs(600, 0.15, 0.18)
    for name, texts in (("r", references), ("a", a), ("b", b)):
        write_trn(tmp_path / f"{name}.trn", texts)
    piped = ""
    for name in "ab":
        given = ("-r", "r.trn", "trn", "-h", f"{name}.trn", "trn", name, "-i", "spu_id", "-o", "sgml", "stdout")
        piped += run("sclite", *given, cwd=tmp_path)
    run("sc_stats", "-p", "-t", "mapsswe", "-v", "-n", "out", cwd=tmp_path, given=piped)
    line = next(tmp_path.glob("out*mapsswe")).read_text().split("MTCH_PR_RESULTS")[1]
    their = re.search(r"# segs: (\d+).*mean: (\S+)\).*Z Stat: (\S+)\)", line)
    assert their
    aligned = ([align(network_of(r), network_of(h)) for r, h in zip(references, x, strict=True)] for x in (a, b))
    ours = matched_pairs(*aligned)
    assert ours.segments == int(their[1]) > 500
    assert ours.mean == pytest.approx(float(their[2]), abs=6e-4)
    assert ours.z == pytest.approx(float(their[3]), abs=6e-4)
