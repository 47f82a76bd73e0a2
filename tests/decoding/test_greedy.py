import numpy as np
import pytest
from support.speech_like import LETTERS, emission, frames

from sewcli.decoding.greedy import collapse, greedy, greedy_score


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ([], []),
        ([0, 0, 0], []),
        ([5, 5, 5], [5]),
        ([5, 0, 5], [5, 5]),
        ([0, 5, 5, 0, 6, 6, 5, 0], [5, 6, 5]),
        ([5, 6, 5, 6], [5, 6, 5, 6]),
    ],
)
def test_repeats_collapse_before_blanks_go(path: list[int], labels: list[int]) -> None:
    assert collapse(np.array(path, dtype=np.int64), blank=0) == labels


def test_texts_come_back_from_emissions(sentences: list[str]) -> None:
    for seed, text in enumerate(sentences[:40]):
        assert LETTERS.text(greedy(emission(text, seed=seed), blank=0)) == text


def test_no_frames_and_the_score_of_the_best_path() -> None:
    assert greedy(np.zeros((0, 32), dtype=np.float32), blank=0) == []
    assert greedy_score(np.zeros((0, 32), dtype=np.float32)) == 0.0
    assert greedy_score(frames("A_B")) == pytest.approx(3 * np.log(0.9), rel=1e-6)
