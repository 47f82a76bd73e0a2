"""n-best lists: their scores are the sums they are said to be, on disk too, and shards join them."""

import json
from pathlib import Path

import pytest
from support.refusals import refused
from support.speech_like import LETTERS, emission

from sewcli.artifacts.decode_folder import Outcome, write_part, write_whole
from sewcli.base.errors import DataError
from sewcli.base.files import read_jsonl, write_jsonl
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.decoding.nbest import LN10, Hypothesis, nbest_rows, read_nbest
from sewcli.lm.files import LanguageModelFiles


@pytest.mark.parametrize(("lm_weight", "word_score"), [(2.0, -1.0), (0.7, 1.3), (0.0, 0.0)])
def test_the_parts_of_a_score_add_up_and_the_lm_is_kenlms(
    lm_weight: float, word_score: float, lm: LanguageModelFiles, sentences: list[str]
) -> None:
    import kenlm

    reference = kenlm.Model(str(lm.model))
    decoder = BeamDecoder(lm, LETTERS, BeamOptions(nbest=40, lm_weight=lm_weight, word_score=word_score))
    seen = 0
    for seed, text in enumerate(sentences[:10]):
        values = emission(text, noise=2.3, seed=seed)
        for found in decoder.decode("u", values):
            assert found.lm == pytest.approx(reference.score(found.text) * LN10, rel=1e-5)
            assert found.words == len(found.text.split())
            assert found.score == pytest.approx(
                found.am + lm_weight * found.lm / LN10 + word_score * found.words, abs=1e-3
            )
            assert found.total(lm_weight, word_score) == pytest.approx(found.score, abs=1e-3)
            assert found.am <= values.max(axis=1).sum() + 1e-3  # no path is better than the best one
            seen += 1
    assert seen > 50


def test_a_list_comes_back_as_it_was_written(lm: LanguageModelFiles, sentences: list[str], tmp_path: Path) -> None:
    found = BeamDecoder(lm, LETTERS, BeamOptions(nbest=10)).decode("u", emission(sentences[0], noise=2.5))
    write_jsonl(tmp_path / "nbest.jsonl", [{"id": "u", "nbest": nbest_rows(found)}])
    (row,) = read_jsonl(tmp_path / "nbest.jsonl")
    assert list(row["nbest"][0]) == ["text", "score", "am", "lm", "words"]
    for path in (tmp_path, tmp_path / "nbest.jsonl"):
        ((name, read),) = read_nbest(path)
        assert name == "u" and [h.text for h in read] == [h.text for h in found]
        for one, other in zip(read, found, strict=True):
            assert (one.score, one.am, one.lm) == pytest.approx((other.score, other.am, other.lm), abs=1e-6)


def test_without_a_language_model_there_is_no_lm_score(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "nbest.jsonl", [{"id": "u", "nbest": nbest_rows([Hypothesis("A B", -3.5, -3.0)])}])
    assert json.loads((tmp_path / "nbest.jsonl").read_text())["nbest"][0]["lm"] is None
    ((_, (read,)),) = read_nbest(tmp_path)
    assert read == Hypothesis("A B", -3.5, -3.0) and read.total(5.0, 1.0) == -1.0


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "u"}',
        '{"id": "u", "nbest": []}',
        '{"id": "u", "nbest": [{"text": "A", "score": "x", "am": 0, "lm": null}]}',
        '{"id": "u", "nbest": [{"text": "A", "score": NaN, "am": 0, "lm": null}]}',
        '{"id": "u", "nbest": [{"text": "A", "score": 1, "lm": null}]}',
        '{"id": "u", "nbest": [{"text": "A", "score": 1, "am',
    ],
)
def test_broken_lists_are_named_by_file_and_line(line: str, tmp_path: Path) -> None:
    path = tmp_path / "nbest.jsonl"
    path.write_text('{"id": "t", "nbest": [{"text": "A", "score": 1, "am": 1, "lm": null}]}\n' + line)
    with pytest.raises(DataError, match="line 2") as caught:
        list(read_nbest(path))
    assert caught.value.where == path


def test_a_folder_without_lists_says_how_to_get_them(tmp_path: Path) -> None:
    with refused(DataError, "no-nbest") as caught:
        list(read_nbest(tmp_path))
    assert caught.value.hint and "--nbest" in caught.value.hint


def test_lists_stay_with_a_shard_and_stand_apart_in_the_whole(tmp_path: Path) -> None:
    rows = [{"id": name, "text": "A", "score": 1.0, "nbest": nbest_rows([Hypothesis("A", 1, 1)])} for name in "ab"]
    outcome = Outcome(rows, [], 1.0, 1.0, 1.0, 1.0)
    part = write_part(tmp_path / "x", (1, 2), outcome, {"split": "x"}).folder
    assert list(read_jsonl(part / "part.jsonl")) == rows and not (part / "nbest.jsonl").exists()
    whole = write_whole(tmp_path / "x", outcome, {"split": "x"}).folder
    assert [name for name, _ in read_nbest(whole)] == ["a", "b"]
    assert all("nbest" not in row for row in read_jsonl(whole / "hyps.jsonl"))
