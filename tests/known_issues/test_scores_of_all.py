"""A score is of all utterances that were decoded, and of no other ones; long verbs keep off each other's output."""

from pathlib import Path

import pytest

from sewcli.base.errors import DataError
from sewcli.base.files import write_json, write_jsonl
from sewcli.base.lock import writing
from sewcli.scoring.score import score_folder


def decoded(folder: Path, ids: list[str], written: int, data: Path | None = None) -> Path:
    write_jsonl(folder / "hyps.jsonl", [{"id": name, "text": "A B", "reference": "A B"} for name in ids])
    facts = {"split": "test", "decoder": "greedy", "failed": 0, "data": str(data or "nowhere"), "utterances": written}
    write_json(folder / "decode.json", facts)
    return folder


@pytest.mark.fault("report-38")
def test_an_utterance_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 hypotheses, where decode.json says that 3 were written"):
        score_folder(decoded(tmp_path / "d", ["a", "b"], 3))
    assert not (tmp_path / "d" / "score.json").exists()
    assert score_folder(decoded(tmp_path / "d", ["a", "b"], 2))["wer"] == 0


@pytest.mark.fault("report-38")
def test_an_utterance_of_another_corpus_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "data" / "cuts_test.jsonl.gz", [{"id": "a"}, {"id": "b"}])
    with pytest.raises(DataError, match="1 of the hypotheses are of cuts that the corpus does not have, such as x"):
        score_folder(decoded(tmp_path / "d", ["a", "x"], 2, tmp_path / "data"))


@pytest.mark.fault("input-7")
def test_two_that_write_one_output(tmp_path: Path, sew_here) -> None:
    (tmp_path / "text.txt").write_text("A B C\nB C A\n" * 20)
    commands = (
        ("export", tmp_path / "m", tmp_path / "out" / "x"),
        ("prune", tmp_path / "m", tmp_path / "out" / "x", "--magnitude", "0.5"),
        ("lm", "ngram", tmp_path / "text.txt", "--order", "2", "--out", tmp_path / "out" / "x"),
    )
    with writing(tmp_path / "out" / "x"):
        for command in commands:
            done = sew_here(*command)
            assert done.returncode == 2 and "another sew process is writing" in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.fault("input-36")
def test_a_precision_that_openvino_has_not_is_refused_before_a_graph_is_built(tmp_path: Path, sew_here) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    write_jsonl(tmp_path / "data" / "cuts_test.jsonl.gz", [{"id": "a"}])
    done = sew_here(
        "decode", "--model", tmp_path / "m", "--data", tmp_path / "data", "--runtime", "openvino", "--precision", "fp16"
    )
    assert done.returncode == 2 and "--precision fp16" in done.stderr, done.stderr
