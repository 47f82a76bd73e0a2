"""Rescoring: totals are the sums they are said to be, tuned weights are no worse than the search's, scores are kept."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support.refusals import refused

from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json, read_jsonl, write_json, write_jsonl
from sewcli.decoding.nbest import Hypothesis, nbest_rows
from sewcli.decoding.rescore import (
    RescoreWeights,
    out_folder,
    read_weights,
    rescore,
    score_lists,
    totals,
    tune_weights,
)
from sewcli.lm.neural import Scores
from sewcli.scoring.score import score_folder

WORDS = ["GO", "HOME", "NOW", "STAY", "AWAY"]


class LikesTheTruth:
    """A scorer that knows the references, more or less: what a good language model is, for a test."""

    name = "oracle"

    def __init__(self, folder: Path, truth: set[str]) -> None:
        self.folder, self.truth, self.calls = folder, truth, 0
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text("{}")

    def adapted(self, texts: Sequence[str]) -> list[str]:
        return list(texts)

    def score(self, texts: Sequence[str], title: str) -> Scores:
        self.calls += 1
        return Scores([-1.0 if text in self.truth else -9.0 - len(text) for text in texts], 0, 0)


@pytest.fixture
def decoded(tmp_path: Path) -> tuple[Path, set[str]]:
    """A decode folder of 30 utterances whose reference is in the list, but seldom first."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "dev-4gram-beam50-nbest5"
    folder.mkdir()
    rows, lists, truth = [], [], set()
    for number in range(30):
        texts = list(dict.fromkeys(" ".join(rng.choice(WORDS, rng.integers(1, 6))) for _ in range(5)))
        am = -50 - np.sort(rng.exponential(2.0, len(texts)))
        found = [
            Hypothesis(text, float(a) - 2.0 - len(text.split()), float(a), -math.log(10))
            for text, a in zip(texts, am, strict=True)
        ]
        found.sort(key=lambda h: -h.score)
        reference = texts[int(rng.integers(len(texts)))]
        truth.add(reference)
        lists.append({"id": f"u{number}", "nbest": nbest_rows(found)})
        rows.append({"id": f"u{number}", "text": found[0].text, "score": 0.0, "reference": reference})
    write_jsonl(folder / "nbest.jsonl", lists)
    write_jsonl(folder / "hyps.jsonl", rows)
    facts = {"split": "dev", "data": "nowhere", "decoder": "4gram-beam50-nbest5", "failed": 1, "audio_seconds": 60.0}
    times = {"model_seconds": 3.0, "decoder_seconds": 1.0, "lm_weight": 2.0, "word_score": -1.0}
    write_json(folder / "decode.json", {**facts, **times})
    write_jsonl(folder / "failed.jsonl", [{"id": "x", "path": "x.flac", "reason": "broken"}])
    return folder, truth


def test_a_total_is_the_sum_of_its_parts(decoded: tuple[Path, set[str]], tmp_path: Path) -> None:
    folder, truth = decoded
    scorer = LikesTheTruth(tmp_path / "lm", truth)
    lists = score_lists(folder, scorer)
    weights = RescoreWeights(lm_weight=1.5, word_score=-0.25, nn_weight=0.7)
    found = totals(lists.parts(), weights)
    for row, (hypotheses, nn) in enumerate(zip(lists.hypotheses, lists.nn, strict=True)):
        for column, (h, score) in enumerate(zip(hypotheses, nn, strict=True)):
            assert h.lm is not None
            expected = h.am + 1.5 * h.lm / math.log(10) + 0.7 * score - 0.25 * h.words
            assert found[row, column] == pytest.approx(expected, abs=1e-9)
        assert np.isneginf(found[row, len(hypotheses) :]).all()


def test_without_the_neural_model_the_order_is_the_searchs(decoded: tuple[Path, set[str]], tmp_path: Path) -> None:
    folder, truth = decoded
    scorer = LikesTheTruth(tmp_path / "lm", truth)
    lists = score_lists(folder, scorer)
    out = rescore(lists, scorer, RescoreWeights(lm_weight=2.0, word_score=-1.0, nn_weight=0.0))
    before, after = (list(read_jsonl(place / "nbest.jsonl")) for place in (folder, out))
    assert [[e["text"] for e in row["nbest"]] for row in after] == [[e["text"] for e in row["nbest"]] for row in before]
    assert [row["nbest"][0]["score"] for row in after] == [row["nbest"][0]["score"] for row in before]


def test_tuned_weights_are_no_worse_and_are_found_again_in_their_file(
    decoded: tuple[Path, set[str]], tmp_path: Path
) -> None:
    folder, truth = decoded
    scorer = LikesTheTruth(tmp_path / "lm", truth)
    lists = score_lists(folder, scorer)
    weights, found = tune_weights([lists])
    assert found["errors_oracle"] <= found["errors"] < found["errors_ngram"] <= found["errors_before"]
    assert weights.nn_weight > 0
    out = rescore(lists, scorer, weights, found)
    assert read_weights(out) == read_weights(out / "weights.json") == weights
    assert out == out_folder(folder, scorer.name) and out.name == "dev-4gram-beam50-nbest5-oracle"
    score = score_folder(out)
    assert (score["substitutions"] + score["deletions"] + score["insertions"], score["words"]) == (
        found["errors"],
        found["words"],
    )
    summary = read_json(out / "decode.json")
    assert summary["decoder"] == "4gram-beam50-nbest5-oracle" and summary["nn_weight"] == weights.nn_weight
    assert summary["real_time_factor"] > 4.0 / 60.0 and summary["failed"] == 1
    assert (out / "failed.jsonl").read_text() == (folder / "failed.jsonl").read_text()


def test_scores_are_kept_for_other_weights_and_not_for_another_model(
    decoded: tuple[Path, set[str]], tmp_path: Path
) -> None:
    folder, truth = decoded
    scorer = LikesTheTruth(tmp_path / "lm", truth)
    first = score_lists(folder, scorer)
    rescore(first, scorer, RescoreWeights(lm_weight=2.0, word_score=0.0, nn_weight=1.0))
    again = score_lists(folder, scorer)
    assert scorer.calls == 1 and again.nn == first.nn and again.seconds == pytest.approx(first.seconds, abs=1e-5)
    (scorer.folder / "config.json").write_text('{"changed": true}')
    score_lists(folder, scorer)
    assert scorer.calls == 2
    (out_folder(folder, scorer.name) / "nbest.jsonl").write_text('{"id": "u0"')  # damaged: scored again
    (scorer.folder / "config.json").write_text("{}")
    assert score_lists(folder, scorer).nn == first.nn and scorer.calls == 3


def test_what_cannot_be_rescored_is_said(decoded: tuple[Path, set[str]], tmp_path: Path) -> None:
    folder, truth = decoded
    scorer = LikesTheTruth(tmp_path / "lm", truth)
    with refused(UsageError, "not-a-decode-folder"):
        score_lists(tmp_path / "none", scorer)
    rows = [{"id": row["id"], "text": row["text"], "score": 0.0} for row in read_jsonl(folder / "hyps.jsonl")]
    write_jsonl(folder / "hyps.jsonl", rows)
    with refused(DataError, "no-reference"):
        tune_weights([score_lists(folder, scorer)])
    (folder / "nbest.jsonl").unlink()
    with refused(DataError, "no-nbest"):
        score_lists(folder, scorer)
    for content in ("[]", '{"lm_weight": 1}', '{"lm_weight": 1, "word_score": "x", "nn_weight": 0}'):
        (tmp_path / "weights.json").write_text(content)
        with refused(DataError, "invalid-weights-file"):
            read_weights(tmp_path)


def test_the_command_rescores_with_a_hugging_face_folder(
    sew_here, decoded: tuple[Path, set[str]], tmp_path: Path
) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    from sewcli.lm.tokenizer import train_tokenizer

    folder, _ = decoded
    tokenizer = train_tokenizer([" ".join(WORDS)], "word", 10, 32)
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_positions=32, n_embd=8, n_layer=1, n_head=1))
    gpt2.save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    command = ("rescore", folder, "--lm", tmp_path / "tiny")
    done = sew_here(*command, "--tune", "--json")
    assert done.returncode == 0, done.stderr
    out = folder.with_name(f"{folder.name}-tiny")
    found = read_json(out / "weights.json")
    assert found["errors_oracle"] <= found["errors"] <= found["errors_ngram"] <= found["errors_before"]
    assert f'"errors": {found["errors"]}' in done.stdout or found["errors"] == sum(
        read_json(out / "score.json")[kind] for kind in ("substitutions", "deletions", "insertions")
    )
    again = sew_here(*command, "--weights", out, "--nn-weight", "0")
    assert again.returncode == 0 and "scored already" in again.stderr
    assert read_json(out / "decode.json")["nn_weight"] == 0 and not (out / "weights.json").exists()
    assert sew_here(*command, "--tune", "--nn-weight", "1").returncode == 2
    assert sew_here(*command, "--nn-weight", "nan").returncode == 2
    assert sew_here("rescore", tmp_path, "--lm", tmp_path / "tiny").returncode == 2
    assert sew_here("rescore", folder, "--lm", tmp_path / "none").returncode == 2
