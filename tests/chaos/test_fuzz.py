"""A fixed share of `make fuzz`: damaged files of every kind, each answered by a right result or one clear refusal."""

import os
from pathlib import Path

import fuzz
import pytest
from mutations import BYTES, damaged_bytes, damaged_json, damaged_lines, damaged_text

SHARE = 120  # of the 10,000 of `make fuzz`, from the first


@pytest.mark.xdist_group("fuzz")
def test_no_damaged_file_is_answered_by_a_traceback_a_crash_a_hang_or_as_if_it_were_whole(tmp_path: Path):
    outcomes = fuzz.fuzz(list(range(SHARE)), 1, jobs=1, limit=120, base=tmp_path / "specimens", keep=tmp_path / "kept")
    faults = [
        (one.number, one.fault, one.kind, one.damage, one.command, one.said[-400:]) for one in outcomes if one.fault
    ]
    assert not faults
    assert len(outcomes) == SHARE
    refused = sum(one.code != 0 for one in outcomes)
    assert SHARE // 4 < refused < SHARE  # the damage is seen, and not every command fails for want of something else


def test_a_damage_is_the_same_each_time():
    for damage in (damaged_bytes, damaged_json, damaged_lines, damaged_text):
        content = b'{"a": [1, {"b": "c d"}]}\n' * (1 if damage is damaged_json else 9)
        first, second = (damage(content, fuzz.random.Random("1-7")) for _ in range(2))
        assert first == second


@pytest.mark.parametrize("way", BYTES, ids=lambda way: way.__name__)
def test_a_damage_changes_the_file(way):
    content = os.urandom(4000)
    changed = [way(content, fuzz.random.Random(seed)) != content for seed in range(20)]
    assert sum(changed) > 10
