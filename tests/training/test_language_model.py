"""Training of a language model: it learns, its folder is a Hugging Face one, and a stopped run goes on to the same weights."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.refusals import refused

from sewcli.base.errors import PoliteStop, UsageError
from sewcli.lm.neural import NeuralLanguageModel, is_neural
from sewcli.lm.perplexity import neural_fit
from sewcli.training import language_model
from sewcli.training.config import LanguageModelConfig, TextsConfig
from sewcli.training.language_model import LanguageModelTraining, Sentences, encode, run, texts_of
from sewcli.training.recipes import compose

GOLDEN = Path(__file__).parents[1] / "lm" / "golden" / "text.txt"
SETS = [
    "transformer.layers=1",
    "transformer.heads=2",
    "transformer.width=16",
    "transformer.context=64",
    "tokenizer.size=80",
    "batch.tokens=1024",
    "batch.micro_tokens=512",
    "valid_every=6",
    "checkpoint.every=6",
    "tensorboard=false",
    "optim.lr=1e-2",
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    lines = GOLDEN.read_text().splitlines(keepends=True)
    (folder / "text_train.txt").write_text("".join(lines[:260]))
    (folder / "text_dev.txt").write_text("".join(lines[260:]))
    return folder


def config_of(data: Path, **flags: Any) -> LanguageModelConfig:
    return compose(LanguageModelConfig, "lm", None, {"updates": 12, "data": {"dir": str(data)}, **flags}, SETS)


def test_it_learns_and_its_folder_tells_the_perplexity_that_training_did(data: Path, tmp_path: Path) -> None:
    run(config_of(data), tmp_path / "exp", "cpu")
    rows = [json.loads(line) for line in (tmp_path / "exp" / "metrics.jsonl").read_text().splitlines()]
    valid = [row for row in rows if row.get("kind") == "valid"]
    speed = [row for row in rows if row.get("kind") == "speed"]
    assert [row["step"] for row in valid] == [6, 12]
    assert valid[1]["perplexity"] < valid[0]["perplexity"] and valid[1]["token_perplexity"] < 0.75 * 80
    assert speed[-1]["tokens_per_second"] > 0
    assert is_neural(tmp_path / "exp")
    fit = neural_fit(NeuralLanguageModel(tmp_path / "exp", torch.device("cpu")), data / "text_dev.txt")
    assert fit["perplexity"] == pytest.approx(valid[1]["perplexity"], rel=1e-4)
    assert fit["unknown"] == 0


def test_a_stopped_run_goes_on_to_the_same_weights(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(config_of(data), tmp_path / "whole", "cpu")
    loss = LanguageModelTraining.loss

    def stopped(self: LanguageModelTraining, batch: Any, step: int, number: int, device: torch.device) -> Any:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss(self, batch, step, number, device)

    monkeypatch.setattr(LanguageModelTraining, "loss", stopped)
    with pytest.raises(PoliteStop, match="update 8 of 12"):
        run(config_of(data), tmp_path / "parts", "cpu")
    monkeypatch.setattr(LanguageModelTraining, "loss", loss)
    run(config_of(data), tmp_path / "parts", "cpu")
    for name in ("checkpoints/step-12/model.safetensors", "model/model.safetensors", "tokenizer/tokenizer.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    (data / "text_train.txt").write_text("ANOTHER TEXT\n")
    with refused(UsageError, "corpus-changed"):
        run(config_of(data), tmp_path / "parts", "cpu")


def test_a_sentence_that_is_too_long_is_cut_and_no_word_is_lost(tmp_path: Path) -> None:
    class Letters:
        def __call__(self, lines: list[str], **_: Any) -> dict[str, list[list[int]]]:
            return {"input_ids": [[3 + ord(c) % 26 for c in line if c != " "] for line in lines]}

    text = tmp_path / "text.txt"
    text.write_text("ABCDEFGHIJKLMN OP\n\nAB\n")
    found = encode(Letters(), [text], 8)
    sizes = np.diff(found.starts).tolist()
    assert sizes == [8, 8, 6, 4] and found.words == 2 + 1 + 1 + 1 and len(found) == 4
    inside = [t for t in found.tokens.tolist() if t > 2]
    assert inside == [3 + ord(c) % 26 for c in "ABCDEFGHIJKLMNOPAB"]
    batch = found.batch([0, 3])
    assert batch.tokens.shape == (2, 8) and batch.lengths.tolist() == [8, 4] and batch.samples == 10
    assert isinstance(found, Sentences) and batch.tokens[1, 4:].tolist() == [2, 2, 2, 2]


def test_texts_that_are_missing_or_shared_are_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with refused(UsageError, "no-text"):
        texts_of(config_of(tmp_path / "none"))
    both = TextsConfig(dir=str(data), train=(str(data / "text_dev.txt"),))
    with refused(UsageError, "split-in-both"):
        texts_of(LanguageModelConfig(data=both))
    (data / "text_dev.txt").unlink()
    with refused(UsageError, "no-text"):
        texts_of(config_of(data))
    with pytest.raises(UsageError, match="not a multiple of heads"):
        compose(LanguageModelConfig, "lm", None, {}, ["transformer.width=10", "transformer.heads=4"])


def test_without_the_extra_it_is_said_what_to_install(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UsageError, match="tokenizers is missing") as caught:
        language_model.run(config_of(data), tmp_path / "exp", "cpu")
    assert "sewcli[hub]" in str(caught.value)
