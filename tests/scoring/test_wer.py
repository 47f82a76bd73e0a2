"""Word errors on cases counted by hand, and the files of a scored folder."""

from pathlib import Path

import pytest
from support.refusals import refused

from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json, read_jsonl, write_json, write_jsonl
from sewcli.cli.score import show_scores
from sewcli.scoring.score import find_folders, score_folder
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
    assert character_errors(["A  BC", "D"], ["A BD", "D E"]) == (Counts(4, 3, 1, 0, 0), Counts(1, 1, 0, 0, 2))
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
    assert score["without_reference"] == 1 and "1 hypotheses have no reference" in capsys.readouterr().err
    show_scores([score], as_json=False)
    assert "25.00 %" in capsys.readouterr().out


def test_what_is_heard_where_nothing_is_said_is_inserted(folder: Path) -> None:
    with open(folder / "hyps.jsonl", "a") as file:
        file.write('{"id": "4", "text": "UH HUH", "reference": ""}\n{"id": "5", "text": "", "reference": ""}\n')
    score = score_folder(folder)
    assert (score["insertions"], score["words"], score["utterances"]) == (2, 4, 4)
    assert score["wer"] == 0.75 and score["without_reference"] == 1


def test_the_character_error_rate_has_an_interval_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": str(n), "text": "ABCD" if n % 2 else "ABCX", "reference": "ABCD"} for n in range(100)]
    write_jsonl(tmp_path / "hyps.jsonl", rows)
    write_json(tmp_path / "decode.json", {"split": "test", "decoder": "greedy", "failed": 0})
    score = score_folder(tmp_path)
    low, high = score["cer_interval"]
    assert score["cer"] == 0.125 and 0.09 < low < 0.125 < high < 0.16
    assert f"CER 12.50 % (95 % interval {100 * low:.2f} - {100 * high:.2f} %)" in (tmp_path / "errors.txt").read_text()
    show_scores([score], as_json=False)
    assert f"{100 * low:.2f}" in capsys.readouterr().out


def test_what_cannot_be_scored_is_said(folder: Path, tmp_path: Path) -> None:
    with refused(UsageError, "no-hypotheses") as caught:
        find_folders(tmp_path / "nowhere")
    assert "sew decode" in str(caught.value)
    write_jsonl(folder / "hyps.jsonl", [{"id": "3", "text": "WITHOUT"}])
    with pytest.raises(DataError, match="reference"):
        score_folder(folder)
    write_jsonl(folder / "hyps.jsonl", [{"text": "A", "reference": "A"}])
    with pytest.raises(DataError, match="without id or text"):
        score_folder(folder)
    write_jsonl(folder / "hyps.jsonl", [{"id": "3", "text": "A", "reference": ""}])
    with refused(DataError, "no-reference"):
        score_folder(folder)
    (folder / "hyps.jsonl").write_text('{"id": ')
    with pytest.raises(DataError, match="line 1"):
        score_folder(folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "4", "text": "A B", "reference": 5}', "line 5: the reference of 4 is no string"),
        ('{"id": ["a"], "text": "A B", "reference": "A"}', "line 5: without id or text, or one that is no string"),
        ('{"id": "2", "text": "A B", "reference": "A"}', "line 5: 2 again, which is on line 2 already"),
    ],
)
def test_a_hypothesis_that_cannot_be_counted_is_named_by_its_line(folder: Path, line: str, said: str) -> None:
    with open(folder / "hyps.jsonl", "a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(DataError, match=said) as caught:
        score_folder(folder)
    assert caught.value.where == folder / "hyps.jsonl" and caught.value.hint


@pytest.mark.parametrize("content", ["[1]", '{"failed": "x"}', '{"failed": null}'])
def test_a_damaged_summary_is_told(folder: Path, content: str) -> None:
    (folder / "decode.json").write_text(content)
    with pytest.raises(DataError, match="`failed`") as caught:
        score_folder(folder)
    assert caught.value.where == folder / "decode.json" and caught.value.hint
