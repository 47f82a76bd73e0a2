"""Word errors on cases counted by hand, and the files of a scored folder."""

from pathlib import Path

import pytest

from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json, read_jsonl, write_json, write_jsonl
from sewcli.scoring.score import find_folders, print_scores, score_folder
from sewcli.scoring.wer import Counts, character_errors, word_errors


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts"),
    [
        ("A B C", "A B C", (3, 3, 0, 0, 0)),
        ("A B C", "A X C", (3, 2, 1, 0, 0)),
        ("A B C", "A C", (3, 2, 0, 1, 0)),
        ("A B C", "A B X C", (3, 3, 0, 0, 1)),
        ("A B C", "", (3, 0, 0, 3, 0)),
        ("", "A B", (0, 0, 0, 0, 2)),
        ("", "", (0, 0, 0, 0, 0)),
        ("A B C D", "B C D E", (4, 3, 0, 1, 1)),
        ("IT'S TEN", "ITS TEN", (2, 1, 1, 0, 0)),
        ("  A   B ", "A B", (2, 2, 0, 0, 0)),
        ("a", "A", (1, 0, 1, 0, 0)),
    ],
)
def test_hand_counted_cases(reference: str, hypothesis: str, counts: tuple[int, ...]) -> None:
    errors = word_errors([reference], [hypothesis])
    assert errors.utterances == (Counts(*counts),)
    assert errors.total == Counts(*counts)


def test_a_corpus_is_its_words_not_its_utterances() -> None:
    errors = word_errors(["A B C D E F G H", "A B"], ["A B C D E F G H", "X Y Z"])
    assert errors.wer == 3 / 10
    assert errors.sentence_error_rate == 0.5
    assert [c.errors for c in errors.utterances] == [0, 3]
    assert errors.total == Counts(words=10, hits=8, substitutions=2, deletions=0, insertions=1)


def test_rates_of_empty_references_are_jiwers() -> None:
    assert word_errors([""], [""]).wer == 0
    assert word_errors([""], ["A"]).wer == 1


def test_character_errors_are_counted_over_blanks_too() -> None:
    assert character_errors(["A  BC", "D"], ["A BD", "D E"]) == Counts(5, 4, 1, 0, 2)
    assert word_errors(["A B C"], ["A X"]).alignments[0][0] == ("A", "A")
    with pytest.raises(DataError):
        character_errors(["A"], [])


@pytest.mark.parametrize(("references", "hypotheses"), [([], []), (["A"], []), (["A"], ["A", "B"])])
def test_lists_that_do_not_pair_are_refused(references: list[str], hypotheses: list[str]) -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        word_errors(references, hypotheses)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "exp" / "m" / "decode" / "test-greedy"
    rows = [
        {"id": "1", "text": "A B", "score": -1.0, "reference": "A B"},
        {"id": "2", "text": "A", "score": -1.0, "reference": "A B"},
        {"id": "3", "text": "WITHOUT A REFERENCE", "score": -1.0},
    ]
    write_jsonl(path / "hyps.jsonl", rows)
    write_json(path / "decode.json", {"split": "test", "decoder": "greedy", "failed": 0})
    return path


def test_a_scored_folder_has_the_rate_and_its_worst_utterances_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score = score_folder(folder)
    assert read_json(folder / "score.json")["wer"] == score["wer"] == 0.25
    assert score["utterances"] == 2 and score["deletions"] == 1
    assert [row["id"] for row in read_jsonl(folder / "utterances.jsonl")] == ["2", "1"]
    assert find_folders(folder.parents[2]) == find_folders(folder) == [folder]
    print_scores([score], as_json=False)
    assert "25.00 %" in capsys.readouterr().out


def test_what_cannot_be_scored_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no hypotheses here") as caught:
        find_folders(tmp_path / "nowhere")
    assert "sew decode" in str(caught.value)
    write_jsonl(folder / "hyps.jsonl", [{"id": "3", "text": "WITHOUT"}])
    with pytest.raises(DataError, match="reference"):
        score_folder(folder)
    write_jsonl(folder / "hyps.jsonl", [{"text": "A", "reference": "A"}])
    with pytest.raises(DataError, match="without id or text"):
        score_folder(folder)
    (folder / "hyps.jsonl").write_text('{"id": ')
    with pytest.raises(DataError, match="line 1"):
        score_folder(folder)
