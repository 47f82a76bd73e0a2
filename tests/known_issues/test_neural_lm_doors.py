"""Folders with neural language models: none runs code, none is taken with weights that are not its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.refusals import refused

from sewcli.base.errors import DataError
from sewcli.lm.neural import NeuralLanguageModel, is_neural
from sewcli.lm.tokenizer import train_tokenizer

CPU = torch.device("cpu")
TEXT = ["THE CAT SAT ON THE MAT", "A DOG RAN TO THE CAT", "THE DOG SAT"] * 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = train_tokenizer(TEXT, "bpe", 60, 24)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=24,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "lm")
    tokenizer.save_pretrained(tmp_path / "lm")
    (tmp_path / "t.txt").write_text("\n".join(TEXT))
    return tmp_path / "lm"


def change(folder: Path, name: str = "config.json", **values: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


EVIL = "import pathlib\npathlib.Path({marker!r}).touch()\nfrom transformers import LlamaConfig as C, LlamaForCausalLM as M\n"


def arm(folder: Path, marker: Path) -> None:
    (folder / "evil.py").write_text(EVIL.format(marker=str(marker)))


CODE: dict[str, Callable[[Path], None]] = {
    "model": lambda f: change(
        f, model_type="evilx", auto_map={"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}
    ),
    "known type": lambda f: change(f, auto_map={"AutoModelForCausalLM": "evil.M"}),
    "tokenizer": lambda f: change(
        f, "tokenizer_config.json", tokenizer_class="Evil", auto_map={"AutoTokenizer": ["evil.T", None]}
    ),
    "from the Hub": lambda f: change(f, auto_map={"AutoConfig": "somebody/else--evil.C"}),
}


@pytest.mark.fault("input-1")
@pytest.mark.parametrize("kind", CODE)
def test_no_code_of_a_folder_runs(kind: str, folder: Path, tmp_path: Path, sew_here, monkeypatch) -> None:
    import io
    import sys

    marker = tmp_path / "marker"
    arm(folder, marker)
    CODE[kind](folder)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 10))
    done = sew_here("lm", "score", folder, tmp_path / "t.txt")
    assert done.returncode == 3 and "auto_map" in done.stderr and not done.stdout and "[y/N]" not in done.stderr
    assert not marker.exists()


@pytest.mark.fault("input-1")
@pytest.mark.parametrize("verb", ["transcribe", "import", "bench", "rescore", "pseudo-label", "decode"])
def test_no_verb_asks_or_runs(verb: str, folder: Path, tmp_path: Path, sew_here, monkeypatch) -> None:
    import io
    import sys

    marker = tmp_path / "marker"
    arm(folder, marker)
    CODE["model"](folder)
    (tmp_path / "decoded").mkdir()
    (tmp_path / "decoded" / "decode.json").write_text("{}")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 10))
    arguments = {
        "transcribe": ("transcribe", tmp_path / "t.wav", "--model", folder),
        "import": ("import", folder, tmp_path / "imported"),
        "bench": ("bench", folder),
        "rescore": ("rescore", tmp_path / "decoded", "--lm", folder),
        "pseudo-label": ("pseudo-label", "--split", "dev", "--model", folder, "--rescore", folder, "--data", tmp_path),
        "decode": ("decode", "--split", "dev", "--model", folder, "--data", tmp_path),
    }[verb]
    done = sew_here(*arguments)
    assert done.returncode in (2, 3), done.stderr
    assert "[y/N]" not in done.stdout + done.stderr and "Usage:" not in done.stderr and "Traceback" not in done.stderr
    assert not marker.exists()


@pytest.mark.fault("input-1")
def test_attention_from_elsewhere_and_adapters_are_refused(folder: Path) -> None:
    change(folder, attn_implementation="somebody/kernel")
    with pytest.raises(DataError, match="attn_implementation"):
        NeuralLanguageModel(folder, CPU)
    change(folder, attn_implementation="eager")
    NeuralLanguageModel(folder, CPU)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(DataError, match="adapter"):
        NeuralLanguageModel(folder, CPU)


@pytest.mark.fault("input-2")
@pytest.mark.parametrize(
    "gone", ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "lm_head.weight"]
)
def test_missing_weights_are_refused(gone: str, folder: Path, tmp_path: Path, sew_here) -> None:
    NeuralLanguageModel(folder, CPU)  # it is whole
    weights = load_file(folder / "model.safetensors")
    del weights[gone]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    done = sew_here("lm", "score", folder, tmp_path / "t.txt")
    assert done.returncode == 3 and "missing weights" in done.stderr and gone in done.stderr, done.stderr


@pytest.mark.fault("input-2")
def test_weights_too_many_or_of_another_model_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "extra.weight": torch.zeros(2)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match="weights too many: 1"):
        NeuralLanguageModel(folder, CPU)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    change(folder, num_hidden_layers=3)
    with pytest.raises(DataError, match="missing weights"):
        NeuralLanguageModel(folder, CPU)
    change(folder, num_hidden_layers=1)
    with pytest.raises(DataError, match="weights too many"):
        NeuralLanguageModel(folder, CPU)
    change(folder, num_hidden_layers=2, hidden_size=32)
    with pytest.raises(DataError):
        NeuralLanguageModel(folder, CPU)


@pytest.mark.fault("input-2")
def test_weights_that_are_tied_are_not_missing(folder: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    size = len(NeuralLanguageModel(folder, CPU).tokenizer)
    config = GPT2Config(vocab_size=size, n_positions=24, n_embd=16, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    NeuralLanguageModel(folder, CPU)


@pytest.mark.fault("input-2")
@pytest.mark.parametrize("lie", [None, ["LlamaForCausalLM"]])
def test_a_model_that_looks_at_the_words_to_come_is_refused(lie: list[str] | None, folder: Path) -> None:
    from transformers import BertConfig, BertLMHeadModel

    size = len(NeuralLanguageModel(folder, CPU).tokenizer)
    config = BertConfig(
        vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
    )
    BertLMHeadModel(config).save_pretrained(folder)
    if lie:
        change(folder, architectures=lie)
    with refused(DataError, "not-a-causal-lm"):
        NeuralLanguageModel(folder, CPU)
    change(folder, model_type="bert", architectures=["BertModel"])
    with refused(DataError, "not-a-causal-lm"):
        NeuralLanguageModel(folder, CPU)


@pytest.mark.fault("input-2")
def test_weights_that_are_no_numbers_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match="NaN"):
        NeuralLanguageModel(folder, CPU)


@pytest.mark.fault("input-26")
@pytest.mark.parametrize(
    "values",
    [
        {"num_hidden_layers": 10**6},
        {"num_hidden_layers": 10**12},
        {"num_hidden_layers": "2"},
        {"num_hidden_layers": 2.5},
        {"num_hidden_layers": -1},
        {"hidden_size": 10**7},
        {"hidden_size": 2**20},
        {"vocab_size": 10**9},
        {"vocab_size": 2**26},
        {"intermediate_size": 10**10},
        {"num_attention_heads": 0},
        {"vocab_size": -5},
        {"model_type": 5},
        {"model_type": None},
        {"text_config": {"num_hidden_layers": 10**6}},
    ],
)
@pytest.mark.timeout(30)
def test_absurd_sizes_are_refused_before_they_are_built(values: dict[str, Any], folder: Path) -> None:
    change(folder, **values)
    with pytest.raises(DataError):
        NeuralLanguageModel(folder, CPU)


@pytest.mark.fault("input-26")
@pytest.mark.parametrize("found", [[5], 5, [None], {"a": 1}, [["x"]], "LlamaForCausalLM"])
def test_architectures_of_another_type_are_no_traceback(found: Any, folder: Path, tmp_path: Path, sew_here) -> None:
    change(folder, architectures=found)
    assert not is_neural(folder)
    done = sew_here("lm", "score", folder, tmp_path / "t.txt")
    assert done.returncode in (0, 2, 3) and "Traceback" not in done.stderr, done.stderr
