"""Our own search against exhaustive search, torchaudio, and greedy decoding (k2: test_k2.py)."""

import itertools

import numpy as np
import pytest
import torch
import torchaudio.functional as audio
from support.alignment_cases import exhaustive, log_softmax, random_case
from support.refusals import refused
from support.speech_like import LETTERS, emission, frames

from sewcli.base.errors import DataError
from sewcli.decoding.greedy import collapse, greedy, greedy_score
from sewcli.decoding.viterbi import align, best_path, path_score


def test_exhaustive_search_finds_the_same() -> None:
    rng = np.random.default_rng(1)
    for number in range(60):
        labels = [int(label) for label in rng.integers(1, 3, int(rng.integers(0, 4)))]
        length = int(rng.integers(len(labels) + sum(a == b for a, b in itertools.pairwise(labels)), 7)) or 1
        values = log_softmax(rng.normal(0, 2, (length, 3)))
        score, paths = exhaustive(values, labels)
        found = align([str(number)], [values], [labels], blank=0)[0]
        assert found.score == pytest.approx(score, abs=1e-9)
        assert tuple(found.labels.tolist()) in paths


def test_torchaudio_finds_the_same_in_200_cases() -> None:
    for seed in range(200):
        case = random_case(seed)
        found = align([case.name], [case.emission], [case.labels], blank=0)[0]
        assert collapse(found.labels, blank=0) == case.labels
        assert found.score == pytest.approx(path_score(case.emission, found.labels), abs=1e-9)
        if case.labels:  # torchaudio takes no others
            target = torch.tensor([case.labels], dtype=torch.int32)
            path, scores = audio.forced_align(torch.from_numpy(case.emission).double()[None], target, blank=0)
            assert found.score == pytest.approx(scores.sum().item(), abs=1e-4)
            assert np.array_equal(found.labels, path[0].numpy())  # random numbers leave one best path


def test_a_batch_finds_what_each_utterance_finds_alone() -> None:
    cases = []
    for seed in range(40):
        case = random_case(seed)
        cases.append((case.name, case.emission[:, :5], [min(label, 4) for label in case.labels]))
    cases = [(n, e, y) for n, e, y in cases if len(y) + sum(a == b for a, b in itertools.pairwise(y)) <= len(e)]
    cases.append(("no frames", np.zeros((0, 5), dtype=np.float32), []))
    assert len(cases) > 30
    batched = align(*map(list, zip(*cases, strict=True)), blank=0)
    for (name, values, labels), found in zip(cases, batched, strict=True):
        alone = align([name], [values], [labels], blank=0)[0]
        assert np.array_equal(found.labels, alone.labels) and found.score == alone.score
    assert align([], [], [], blank=0) == []


def test_equal_neighbours_need_a_blank_between() -> None:
    letter = LETTERS.tokens.index("L")
    found = align(["a"], [frames("LLLL", peak=0.97)], [[letter, letter]], blank=0)[0]
    assert collapse(found.labels, blank=0) == [letter, letter] and (found.labels == 0).sum() == 1


def test_words_of_one_frame_and_an_empty_transcript() -> None:
    values = frames("A|I|A")
    found = align(["a"], [values], [LETTERS.encode("A I A")], blank=0)[0]
    assert found.labels.tolist() == LETTERS.encode("A I A")
    assert found.score == pytest.approx(5 * np.log(0.9), abs=1e-6)
    empty = align(["a"], [values], [[]], blank=0)[0]
    assert empty.labels.tolist() == [0] * 5
    assert empty.score == pytest.approx(values[:, 0].sum(dtype=np.float64), abs=1e-9)


@pytest.mark.parametrize(
    ("text", "length", "needed"), [("TOO LONG", 8, 9), ("LLAMA", 5, 6), ("A", 0, 1), ("AAA", 4, 5)]
)
def test_a_transcript_that_is_too_long_is_refused(text: str, length: int, needed: int) -> None:
    values = log_softmax(np.zeros((length, len(LETTERS)))) if length else np.zeros((0, len(LETTERS)), np.float32)
    with pytest.raises(DataError, match=rf"too long: its {len(text)} letters need {needed} frames.* has {length}") as e:
        align(["utterance-1"], [values], [LETTERS.encode(text)], blank=0)
    assert e.value.where == "utterance-1" and e.value.hint


def test_what_is_no_alignment_is_refused() -> None:
    values = frames("AB")
    for labels in ([0], [32], [-1]):
        with refused(DataError, "label-outside-vocabulary"):
            align(["a"], [values], [labels], blank=0)
    broken = values.copy()
    broken[1, 3] = np.nan
    with pytest.raises(DataError, match="NaN"):
        align(["a"], [broken], [[5]], blank=0)
    impossible = values.copy()
    impossible[:, 5] = -np.inf
    with refused(DataError, "impossible-alignment"):
        align(["a"], [impossible], [[5]], blank=0)


def test_the_best_path_of_all_texts_is_the_greedy_one(sentences: list[str]) -> None:
    for seed, text in enumerate(sentences[:40]):
        values = emission(text, noise=2.5, seed=seed)
        found = best_path(values)
        assert collapse(found.labels, blank=0) == greedy(values, blank=0)
        assert found.score == pytest.approx(greedy_score(values), abs=1e-9)
    nothing = best_path(np.zeros((0, 32), dtype=np.float32))
    assert nothing.labels.tolist() == [] and nothing.score == 0.0


def test_transitions_count() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        values, arcs = rng.normal(0, 1, (5, 4)), rng.normal(0, 1, (4, 4))
        every = {
            path: sum(values[t, s] for t, s in enumerate(path)) + sum(arcs[a, b] for a, b in itertools.pairwise(path))
            for path in itertools.product(range(4), repeat=5)
        }
        found = best_path(values, arcs)
        assert found.score == pytest.approx(max(every.values()), abs=1e-9)
        assert tuple(found.labels.tolist()) == max(every, key=every.__getitem__)
