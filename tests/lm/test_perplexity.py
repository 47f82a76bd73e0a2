"""Perplexities and unknown words are KenLM's, from text and from binaries; a text in the wrong case is said."""

import gzip
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from support.refusals import refused

from sewcli.base.errors import DataError
from sewcli.lm.neural import NeuralLanguageModel
from sewcli.lm.perplexity import neural_fit, ngram_fit
from sewcli.lm.tokenizer import train_tokenizer

GOLDEN = Path(__file__).parents[1] / "lm" / "golden"


def queried() -> dict[str, float]:
    """What KenLM's `query` said of text.txt by small-3."""
    lines = (GOLDEN / "small-3-query-text.txt").read_text().splitlines()
    return {name.strip(): float(value) for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("ending", [".arpa", ".arpa.gz", ".bin"])
def test_figures_are_those_of_kenlms_query(ending: str, tmp_path: Path) -> None:
    model = tmp_path / f"model{ending}"
    if ending == ".arpa":
        model.write_bytes(gzip.decompress((GOLDEN / "small-3.arpa.gz").read_bytes()))
    else:
        shutil.copyfile(GOLDEN / f"small-3{ending}", model)
    fit, theirs = ngram_fit(model, GOLDEN / "text.txt"), queried()
    assert fit["unknown"] == theirs["OOVs"] > 100
    assert fit["words"] == theirs["Tokens"]
    assert fit["perplexity"] == pytest.approx(theirs["Perplexity including OOVs"], rel=1e-5)
    assert fit["perplexity_of_known"] == pytest.approx(theirs["Perplexity excluding OOVs"], rel=1e-5)


@pytest.mark.parametrize("ending", [".arpa.gz", ".bin"])
def test_a_text_in_the_other_case_is_an_error_with_the_mend(ending: str, tmp_path: Path) -> None:
    text = tmp_path / "lower.txt"
    text.write_text((GOLDEN / "small.txt").read_text().lower())
    with pytest.raises(DataError, match="in another case") as caught:
        ngram_fit(GOLDEN / f"small-3{ending}", text)
    assert "one case" in str(caught.value) and caught.value.where == GOLDEN / f"small-3{ending}"


def test_a_text_of_other_words_is_only_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "other.txt"
    text.write_text("ZWEI DREI VIER\nTHE FUENF\n")
    fit = ngram_fit(GOLDEN / "small-3.bin", text)
    assert (fit["words"], fit["unknown"]) == (7, 4)
    assert "does not know 4 of the 5 different words" in capsys.readouterr().err


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    with refused(DataError, "no-text"):
        ngram_fit(GOLDEN / "small-3.bin", empty)
    with refused(DataError, "file-not-found"):
        ngram_fit(GOLDEN / "small-3.bin", tmp_path / "none.txt")
    broken = tmp_path / "broken.bin"
    broken.write_bytes((GOLDEN / "small-3.bin").read_bytes()[:200])
    with pytest.raises(DataError, match="n-grams in 200 bytes"):
        ngram_fit(broken, GOLDEN / "small.txt")


def test_a_neural_models_perplexity_is_told_a_word_and_a_token(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    text = GOLDEN / "small.txt"
    lines = text.read_text().splitlines()
    tokenizer = train_tokenizer(lines, "bpe", 60, 64)
    GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=8, n_layer=1, n_head=1)
    ).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = NeuralLanguageModel(tmp_path, torch.device("cpu"))
    fit, scores = neural_fit(model, text), model.score(lines)
    nats = -math.fsum(scores.log_probs)
    assert fit["words"] == sum(len(line.split()) + 1 for line in lines) < fit["tokens"] == scores.tokens
    assert fit["perplexity"] == pytest.approx(math.exp(nats / fit["words"]))
    assert fit["token_perplexity"] == pytest.approx(math.exp(nats / fit["tokens"]))
    assert fit["log10_probability"] == pytest.approx(-nats / math.log(10), abs=1e-4)


def test_the_command_tells_of_every_split(sew_here, tmp_path: Path) -> None:
    (tmp_path / "lm").mkdir()
    shutil.copyfile(GOLDEN / "small-3.arpa.gz", tmp_path / "lm" / "3gram.arpa.gz")
    for split in ("dev", "train"):
        shutil.copyfile(GOLDEN / "small.txt", tmp_path / f"text_{split}.txt")
    done = sew_here("lm", "score", "3gram", "--data", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(row["text"]).name for row in rows] == ["text_dev.txt", "text_train.txt"]
    assert rows[0]["perplexity"] == rows[1]["perplexity"] and rows[0]["unknown"] == 0
    assert "perplexity" in sew_here("lm", "score", "3gram", "--data", tmp_path).stdout
    assert sew_here("lm", "score", "4gram", "--data", tmp_path).returncode == 2
    assert sew_here("lm", "score", "3gram", "--data", tmp_path / "none").returncode == 2
