"""Utterances that cannot be read: listed once, passed over the same way every time, up to a share."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sewcli.base.errors import DataError
from sewcli.data.reader import REJECTED, Reader
from sewcli.data.utterances import Utterance, read_split


@pytest.fixture
def utterances(prepared: Path, tmp_path: Path) -> list[Utterance]:
    """Ten, of which number 3 is a truncated file and number 7 is missing."""
    plain = read_split(prepared, "train-clean-100")[:10]
    truncated = tmp_path / "truncated.flac"
    truncated.write_bytes(plain[3].path.read_bytes()[:2000])
    plain[3], plain[7] = replace(plain[3], path=truncated), replace(plain[7], path=tmp_path / "missing.flac")
    return plain


def listed(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / REJECTED).read_text().splitlines()]


def test_unreadable_utterances_are_listed_and_passed_over(utterances: list[Utterance], tmp_path: Path, capsys) -> None:
    reader = Reader(utterances, tmp_path, 0.2)
    for _ in range(3):
        read = reader.read([2, 3, 7, 5])
        assert [number for number, _ in read] == [2, 5]
        assert all((wave == utterances[number].wave()).all() for number, wave in read)
    rows = listed(tmp_path)
    assert [row["id"] for row in rows] == [utterances[3].id, utterances[7].id] and reader.rejected == 2
    assert all(row["reason"] for row in rows) and rows[1]["path"].endswith("missing.flac")
    said = capsys.readouterr().err
    assert said.count("passed over") == 2 and utterances[3].id in said


def test_beyond_the_share_it_is_an_error(utterances: list[Utterance], tmp_path: Path) -> None:
    reader = Reader(utterances, tmp_path, 0.1)
    assert [number for number, _ in reader.read([2, 3])] == [2]
    with pytest.raises(DataError, match="2 of 10 utterances cannot be read; 1 may be") as caught:
        reader.read([7])
    assert caught.value.where == tmp_path / REJECTED and "max_rejected" in str(caught.value)


def test_without_a_folder_the_first_is_an_error(utterances: list[Utterance]) -> None:
    with pytest.raises(DataError, match=r"truncated|unreadable"):
        Reader(utterances).read([3])


def test_something_is_read_even_when_a_whole_batch_is_broken(utterances: list[Utterance], tmp_path: Path) -> None:
    utterances[0] = replace(utterances[0], path=tmp_path / "missing.flac")
    reader = Reader(utterances, tmp_path, 0.5)
    for _ in range(2):
        (number, wave), *rest = reader.read([3, 7])
        assert (number, rest) == (1, []) and np.array_equal(wave, utterances[1].wave())


def test_a_resumed_run_and_another_rank_know_the_list(utterances: list[Utterance], tmp_path: Path) -> None:
    first, second = Reader(utterances, tmp_path, 0.1), Reader(utterances, tmp_path, 0.1)
    first.read([3])
    with pytest.raises(DataError, match="2 of 10"):
        second.read([7])
    assert len(listed(tmp_path)) == 2
    later = Reader(utterances, tmp_path, 0.5)
    utterances[3].path.unlink()
    assert later.read([3, 4])[0][0] == 4 and later.rejected == 2


def test_many_threads_list_it_once(utterances: list[Utterance], tmp_path: Path) -> None:
    reader = Reader(utterances, tmp_path, 0.5)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: [n for n, _ in reader.read([3, 7, 1])], range(40)))
    assert results == [[1]] * 40 and len(listed(tmp_path)) == 2
