"""k2 for real, in its own interpreter: alignments against ours and torchaudio's, graphs against enumeration, failures."""

import ast
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.alignment_cases import log_softmax, random_case
from support.k2_environment import NEEDS_K2, is_there, make_k2, wrong_python

from sewcli.alignment.alignment import compare, differences, forced_path
from sewcli.alignment.k2 import worker
from sewcli.alignment.k2.worker import K2, Grammar, Lexicon, find_python
from sewcli.base.errors import DataError, UsageError
from sewcli.decoding.greedy import collapse
from sewcli.decoding.viterbi import align, path_score

needs_k2 = [*NEEDS_K2, pytest.mark.xdist_group("k2")]


def needing_k2(test):
    for mark in needs_k2:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def k2() -> Iterator[K2]:
    make_k2()
    with K2() as found:
        yield found


def test_it_is_told_when_k2_is_not_here() -> None:
    if not is_there():
        warnings.warn("no k2 here: its tests are among the long ones, which make it (make setup-k2)", stacklevel=1)


@needing_k2
def test_three_aligners_agree_in_200_cases(k2: K2) -> None:
    kinds = {"repeats": 0, "shortest": 0, "empty": 0}
    for seed in range(200):
        case = random_case(seed)
        ours = align([case.name], [case.emission], [case.labels], blank=0)[0]
        theirs = k2.align(case.name, case.emission, case.labels)
        torchaudio = forced_path(case.name, case.emission, case.labels, blank=0)
        for other in (theirs.best, torchaudio):
            assert other.score == pytest.approx(ours.score, abs=1e-4)
            assert np.array_equal(other.labels, ours.labels)  # random numbers leave one best path
        assert differences(case.name, case.emission, case.labels, torchaudio, k2, blank=0) == []
        expected = -torch.nn.functional.ctc_loss(
            torch.from_numpy(case.emission).double()[:, None],
            torch.tensor([case.labels], dtype=torch.long),
            torch.tensor([len(case.emission)]),
            torch.tensor([len(case.labels)]),
            reduction="sum",
        )
        assert theirs.total == pytest.approx(expected.item(), abs=1e-6)
        kinds["repeats"] += any(a == b for a, b in itertools.pairwise(case.labels))
        kinds["shortest"] += seed % 5 == 0
        kinds["empty"] += not case.labels
    assert min(kinds.values()) >= 20


@needing_k2
def test_equally_good_paths_are_no_difference(k2: K2) -> None:
    flat = log_softmax(np.zeros((6, 4)))
    theirs = k2.align("flat", flat, [1, 2]).best
    torchaudio = forced_path("flat", flat, [1, 2], blank=0)
    assert not np.array_equal(theirs.labels, torchaudio.labels)
    assert differences("flat", flat, [1, 2], torchaudio, k2, blank=0) == []


@needing_k2
def test_too_long_empty_and_no_frames(k2: K2) -> None:
    values = log_softmax(np.random.default_rng(0).normal(0, 1, (3, 5)))
    with pytest.raises(DataError, match="no path: the transcript is too long"):
        k2.align("u", values, [1, 1, 2])
    with pytest.raises(DataError, match="no frames"):
        k2.align("u", values[:0], [1])
    assert k2.align("u", values, []).best.labels.tolist() == [0, 0, 0]
    assert k2.align("u", values[:0], []).best.score == 0.0


def said_by(path: tuple[int, ...], labels: list[int]) -> bool:
    """Whether the modified topology reads `labels` from a path: a run of n equal labels is any number of them up to n."""
    runs = [(label, len(list(group))) for label, group in itertools.groupby(path) if label]
    readings: set[tuple[int, ...]] = {()}
    for label, length in runs:
        readings = {reading + (label,) * times for reading in readings for times in range(1, length + 1)}
    return tuple(labels) in readings


@needing_k2
def test_the_modified_topology_needs_no_blank_between_neighbours(k2: K2) -> None:
    rng = np.random.default_rng(3)
    for labels in ([1, 1], [1, 1, 1, 2], [2, 1, 1], [1, 2]):
        values = log_softmax(rng.normal(0, 2, (5, 3)))
        paths = [p for p in itertools.product(range(3), repeat=5) if said_by(p, labels)]
        best = max(path_score(values, np.array(p)) for p in paths)
        found = k2.align("u", values, labels, "modified").best
        assert found.score == pytest.approx(best, abs=1e-6)
        assert said_by(tuple(found.labels.tolist()), labels)
        if labels != [1, 1, 1, 2]:  # the standard one has no path for it in five frames
            assert found.score >= k2.align("u", values, labels).best.score - 1e-9
    assert k2.align("u", values[:2], [1, 1], "modified").best.labels.tolist() == [1, 1]


SPELLINGS = {1: [[5], [5, 5]], 2: [[6, 7]], 3: [[7, 6, 6]]}
BOUNDARY = 4
GRAMMAR = Grammar(
    arcs=[(0, 1, 1, -0.3), (0, 1, 2, -1.2), (1, 2, 3, -0.1), (1, 1, 2, -2.0), (2, 2, 1, -0.7)],
    finals=[(1, -0.5), (2, 0.0)],
)


def sentences(most: int) -> Iterator[tuple[list[int], float]]:
    """Every sentence of the grammar of at most so many words, with its score."""
    reached = [(0, [], 0.0)]
    for _ in range(most):
        reached = [
            (target, [*words, word], total + score)
            for state, words, total in reached
            for source, target, word, score in GRAMMAR.arcs
            if source == state
        ]
        for state, words, total in reached:
            yield from ((words, total + score) for final, score in GRAMMAR.finals if final == state)


@needing_k2
@pytest.mark.parametrize("seed", range(6))
def test_lexicon_and_grammar_find_the_best_sentence(k2: K2, seed: int) -> None:
    values = log_softmax(np.random.default_rng(seed).normal(0, 2, (9, 8)))
    lexicon = Lexicon([(word, spelling) for word, all_of in SPELLINGS.items() for spelling in all_of], BOUNDARY)
    every = {}
    for words, score in sentences(5):  # five words need nine frames
        for spelled in itertools.product(*(SPELLINGS[word] for word in words)):
            joined = [symbol for word in spelled for symbol in (*word, BOUNDARY)]
            for labels in (joined[:-1], joined):
                try:
                    found = align(["u"], [values], [labels], blank=0)[0].score + score
                except DataError:
                    continue
                every[tuple(words)] = max(found, every.get(tuple(words), float("-inf")))
    words, score = k2.decode("u", values, lexicon, GRAMMAR)
    assert score == pytest.approx(max(every.values()), abs=1e-4)
    assert tuple(words) == max(every, key=every.__getitem__)
    with pytest.raises(DataError, match="no sentence"):
        k2.decode("u", values[:1], Lexicon([(1, [5, 6]), (2, [6, 7])], BOUNDARY), GRAMMAR)


@needing_k2
def test_an_aligner_that_is_wrong_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(worker.VARIABLE, str(wrong_python(tmp_path)))
    values = np.random.default_rng(4).normal(0, 3, (8, 6))
    values[:, 0] -= 9.0  # a blank costs much
    values = log_softmax(values)
    with K2() as wrong:
        path = forced_path("u", values, [1, 1, 2], blank=0)
        (found,) = differences("u", values, [1, 1, 2], path, wrong, blank=0)
        assert found.aligner == "k2" and found.frame is not None
        assert differences("u", values, [1, 3, 2], forced_path("u", values, [1, 3, 2], blank=0), wrong, blank=0) == []


def test_each_kind_of_difference_has_its_words() -> None:
    values = log_softmax(np.random.default_rng(5).normal(0, 2, (6, 4)))
    ours = align(["u"], [values], [[1, 2]], blank=0)[0]
    assert compare("k2", values, [1, 2], ours, ours, blank=0) is None
    moved = type(ours)(ours.labels, ours.score + 2e-4)
    assert "score" in compare("k2", values, [1, 2], ours, moved, blank=0).what
    assert compare("k2", values, [1, 2], ours, type(ours)(ours.labels, ours.score + 5e-5), blank=0) is None
    worse = next(
        np.array(path)
        for path in itertools.product(range(4), repeat=6)
        if collapse(np.array(path), blank=0) == [1, 2] and path_score(values, np.array(path)) < ours.score - 1
    )
    found = compare("k2", values, [1, 2], ours, type(ours)(worse, ours.score), blank=0)
    assert "not as good" in found.what and found.frame == np.flatnonzero(worse != ours.labels)[0]
    other_text = type(ours)(np.array([1, 1, 1, 1, 1, 1]), ours.score)
    assert "not one of the transcript" in compare("k2", values, [1, 2], ours, other_text, blank=0).what
    assert (
        "not one of the transcript"
        in compare("k2", values, [1, 2], ours, type(ours)(ours.labels[:3], 0.0), blank=0).what
    )


@needing_k2
def test_a_failure_in_k2_is_told_and_the_next_request_is_served(k2: K2) -> None:
    values = log_softmax(np.zeros((4, 5)))
    with pytest.raises(UsageError, match="k2 failed: ValueError: words have numbers from 1"):
        k2.decode("u", values, Lexicon([(0, [1])], BOUNDARY), GRAMMAR)
    assert collapse(k2.align("u", values, [2]).best.labels, blank=0) == [2]


@needing_k2
def test_a_worker_that_dies_is_an_error_and_never_a_hang(tmp_path: Path) -> None:
    make_k2()
    values = log_softmax(np.zeros((4, 5)))
    with K2() as mortal:
        assert mortal._process is not None
        os.kill(mortal._process.pid, signal.SIGKILL)
        mortal._process.wait()
        with pytest.raises(UsageError, match="k2's process ended"):
            mortal.align("u", values, [2])


@needing_k2
def test_the_worker_ends_with_its_parent(tmp_path: Path) -> None:
    make_k2()
    code = """
        import time
        from sewcli.alignment.k2.worker import K2
        k2 = K2()
        print(k2._process.pid, flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until = time.monotonic() + 60
    while time.monotonic() < until and Path(f"/proc/{child}").exists() and _state(child) != "Z":
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists() or _state(child) == "Z"


def _state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "Z"


@pytest.mark.parametrize("named", ["", "nowhere/python", "not-a-program"])
def test_without_k2_the_error_tells_how_to_get_it(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "not-a-program").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worker, "CHECKOUT", tmp_path)
    monkeypatch.setenv(worker.VARIABLE, str(tmp_path / named) if named else "")
    with pytest.raises(UsageError) as error:
        K2()
    assert "make setup-k2" in str(error.value.hint)


def test_an_interpreter_without_k2_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(worker.VARIABLE, sys.executable)
    with pytest.raises(UsageError, match="No module named 'k2'"):
        K2()


@needing_k2
def test_a_k2_for_another_python_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "k2").mkdir()
    (tmp_path / "k2" / "__init__.py").write_text("import _k2_of_another_python\n")
    make_k2()
    monkeypatch.syspath_prepend(str(tmp_path))
    with K2() as found:
        assert found._process is not None


def test_it_is_found_in_the_working_directory_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / ".k2" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.delenv(worker.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_python() == python
    monkeypatch.setenv(worker.VARIABLE, sys.executable)
    assert find_python() == Path(sys.executable)


@pytest.mark.parametrize("name", ["graph.py", "serve.py"])
def test_what_the_worker_runs_is_python_39_and_knows_nothing_of_the_package(name: str) -> None:
    tree = ast.parse(worker.SERVE.with_name(name).read_text(), feature_version=(3, 9))
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.split(".")[0] for module in imported} - sys.stdlib_module_names <= {"torch", "k2"}
