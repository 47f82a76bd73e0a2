"""Neural language models: their scores are those of `transformers`, whatever the batch; what is no model is named."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.refusals import refused

from sewcli.base.errors import DataError, UsageError
from sewcli.lm import neural
from sewcli.lm.neural import NeuralLanguageModel, is_neural, model_folder
from sewcli.lm.tokenizer import train_tokenizer

CPU = torch.device("cpu")
TEXT = (Path(__file__).parent / "golden" / "text.txt").read_text().splitlines()
CONTEXT = 24


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 that is small, in the form in which the Hub has them."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer = train_tokenizer(TEXT, "bpe", 120, CONTEXT)
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=CONTEXT, n_embd=16, n_layer=2, n_head=2, initializer_range=0.5
    )
    config.bos_token_id = config.eos_token_id = None  # the tokenizer knows
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def their_loss(folder: Path, text: str) -> float:
    """What transformers itself calls the loss, times the tokens it predicts."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = torch.tensor([[1, *tokenizer(text, add_special_tokens=False)["input_ids"], 2]])
    with torch.inference_mode():
        return float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)


def test_scores_are_the_loss_of_transformers_in_any_batch(gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = NeuralLanguageModel(gpt2, CPU)
    short = [text for text in TEXT if len(model.tokenizer(text)["input_ids"]) < CONTEXT - 2][:30]
    texts = [*short, "", *short[:2], short[2]]
    scores = model.score(texts).log_probs
    for text, score in zip(texts, scores, strict=True):
        assert score == pytest.approx(-their_loss(gpt2, text), abs=1e-3, rel=1e-5), text
    assert len(set(scores)) == len(set(texts)) > 25 and scores[:3] == scores[-3:]
    monkeypatch.setattr(neural, "LOGITS", 1)  # one text at a time
    assert model.score(texts).log_probs == pytest.approx(scores, abs=1e-4)


def test_a_text_longer_than_the_context_is_scored_token_by_token_once(gpt2: Path) -> None:
    model = NeuralLanguageModel(gpt2, CPU)
    text = " ".join(TEXT[:8])
    ids = [1, *model.tokenizer(text)["input_ids"], 2]
    assert len(ids) > 3 * CONTEXT
    expected, half = 0.0, CONTEXT // 2
    with torch.inference_mode():
        for place in range(1, len(ids)):  # each token from the start of the window that first reaches it
            begin = max(0, -(-(place + 1 - CONTEXT) // half)) * half
            logits = model.model(input_ids=torch.tensor([ids[begin:place]])).logits[0, -1]
            expected += float(logits.log_softmax(0)[ids[place]])
    assert model.score([text]).log_probs[0] == pytest.approx(expected, rel=1e-5)


def test_texts_come_in_the_case_of_the_model(gpt2: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = NeuralLanguageModel(gpt2, CPU)
    assert model.case == "upper"
    assert model.adapted(["go home", ""]) == ["GO HOME", ""] and model.adapted(["GO"]) == ["GO"]
    model.case = "mixed"
    assert model.adapted(["GO HOME"]) == ["go home"]
    assert "both cases" in capsys.readouterr().err


def test_texts_of_another_language_are_refused(gpt2: Path) -> None:
    model = NeuralLanguageModel(gpt2, CPU)
    assert model.score(["THE TIDE"]).unknown == 0
    with refused(DataError, "tokenizer-unknown-tokens"):
        model.score(["привет мир", "жил был"])


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word"])
def test_tokens_spell_the_text_and_begin_with_the_special_ones(kind: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    train_tokenizer(TEXT, kind, 100, CONTEXT).save_pretrained(tmp_path)
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) <= 100 and tokenizer.convert_ids_to_tokens([0, 1, 2]) == ["<unk>", "<s>", "</s>"]
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    unknown = sum(row.count(0) for row in ids)
    if kind == "word":
        assert 0 < unknown < 0.2 * sum(map(len, ids)) and all(
            len(row) == len(text.split()) for row, text in zip(ids, TEXT, strict=True)
        )
    else:
        assert unknown == 0 and [tokenizer.decode(row) for row in ids] == TEXT


def test_what_is_no_language_model_is_said_with_the_mend(gpt2: Path, tmp_path: Path) -> None:
    with refused(UsageError, "lm-not-found") as caught:
        NeuralLanguageModel(tmp_path / "none", CPU)
    assert "sew lm train" in str(caught.value)
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"]}')
    with refused(DataError, "not-a-causal-lm"):
        NeuralLanguageModel(tmp_path, CPU)
    assert is_neural(gpt2) and not is_neural(tmp_path) and not is_neural(tmp_path / "x.arpa")
    assert model_folder(gpt2) == gpt2


def test_damaged_weights_are_named_and_pickles_are_not_read(gpt2: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy" / "model"
    shutil.copytree(gpt2, folder)
    assert model_folder(tmp_path / "copy") == folder
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with refused(DataError, "not-a-causal-lm"):
        NeuralLanguageModel(folder, CPU)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with refused(DataError, "not-a-causal-lm"):
        NeuralLanguageModel(folder, CPU)
    save_file({"transformer.wte.weight": torch.zeros(3, 3)}, folder / "model.safetensors", {"format": "pt"})
    with refused(DataError, "not-a-causal-lm"):
        NeuralLanguageModel(folder, CPU)
