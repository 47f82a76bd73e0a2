"""Model folders: exact round trips, and one clear line for every broken one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.model_cases import CASES, apart, noise, shaken, small
from support.refusals import refused
from transformers import AutoModelForCTC, AutoProcessor, SEWForCTC

from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, load_pretraining, save_ctc, save_pretraining
from sewcli.models.opening import read_architecture, read_config
from sewcli.models.pretraining import PretrainingModel
from sewcli.text.tokens import Vocabulary

LETTERS = Vocabulary.letters()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_ctc(CTCModel(small("sew"), 32), LETTERS, tmp_path / "model")
    return tmp_path / "model"


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("case", CASES)
def test_round_trip_is_bit_equal(case: str, tmp_path: Path) -> None:
    model = shaken(CTCModel(small(case), 32))
    save_ctc(model, LETTERS, tmp_path / "ctc")
    again, vocabulary = load_ctc(tmp_path / "ctc")
    assert vocabulary == LETTERS and again.config == model.config and equal(model, again)
    assert all(p.requires_grad for p in again.parameters())
    pretraining = shaken(PretrainingModel(small(case)))
    pretraining.train()(noise(2, 8000), torch.tensor([8000, 8000]), torch.ones(2, 24, dtype=torch.bool), 1.0)
    save_pretraining(pretraining, tmp_path / "pretraining")
    back = load_pretraining(tmp_path / "pretraining")
    assert back.config == pretraining.config and equal(pretraining, back)


def test_saving_twice_writes_the_same_bytes(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    save_ctc(*load_ctc(folder), folder)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer_config.json",
        "vocab.json",
    ]


def test_transformers_saves_and_we_load(folder: Path, tmp_path: Path) -> None:
    theirs = AutoModelForCTC.from_pretrained(folder).eval()
    shaken(theirs)
    theirs.save_pretrained(tmp_path / "theirs")
    shutil.copy(folder / "vocab.json", tmp_path / "theirs")
    ours = load_ctc(tmp_path / "theirs")[0].eval()
    with torch.inference_mode():
        a, b = ours(noise(1, 16_000), torch.tensor([16_000])).logits, theirs(noise(1, 16_000)).logits
    assert apart(a, b) < 1e-5


def test_a_folder_that_only_transformers_wrote(tmp_path: Path) -> None:
    from transformers import SEWConfig

    sizes = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 96}
    theirs = SEWForCTC(SEWConfig(**sizes, num_conv_pos_embeddings=31)).eval()
    theirs.save_pretrained(tmp_path)
    LETTERS.save(tmp_path)
    ours = load_ctc(tmp_path)[0].eval()
    assert ours.config.extractor_channels[-1] == 512 and ours.config.layer_drop == 0.1
    with torch.inference_mode():
        a, b = ours(noise(1, 9000), torch.tensor([9000])).logits, theirs(noise(1, 9000)).logits
    assert apart(a, b) < 1e-5


def test_the_processor_does_not_normalise(folder: Path) -> None:
    processor = AutoProcessor.from_pretrained(folder)
    wave = noise(1600).numpy() + 3
    values = processor(wave, sampling_rate=16_000, return_tensors="pt").input_values[0]
    assert torch.equal(values, torch.from_numpy(wave))
    assert processor.decode([0, 11, 5, 0, 15, 15, 0, 15, 8, 4, 4, 7]) == "HELLO A"


def test_overrides_and_from_pretraining(tmp_path: Path) -> None:
    save_pretraining(PretrainingModel(small("sew-d")), tmp_path / "model")
    pretrained = load_pretraining(tmp_path / "model", overrides={"dropout": 0.0, "layer_drop": 0.1})
    model = CTCModel.from_encoder(pretrained.encoder, 32)
    assert model.config.layer_drop == 0.1 and equal(model.encoder, pretrained.encoder)
    model.encoder.mask_vector.data.zero_()
    assert pretrained.encoder.mask_vector.abs().max() > 0
    with pytest.raises(SewError, match=r"dropuot.*did you mean 'dropout'"):
        load_pretraining(tmp_path / "model", overrides={"dropuot": 0.0})


def test_older_names_of_weight_norm(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    old = {"original0": "weight_g", "original1": "weight_v"}
    renamed = {}
    for name, tensor in tensors.items():
        head, _, last = name.rpartition(".parametrizations.weight.")
        renamed[f"{head}.{old[last]}" if head else name] = tensor
    assert renamed.keys() != tensors.keys()
    before = load_ctc(folder)[0]
    save_file(renamed, folder / "model.safetensors")
    assert equal(before, load_ctc(folder)[0])


def test_a_projection_of_wav2vec2_that_is_not_the_identity_is_kept(tmp_path: Path) -> None:
    model = CTCModel(small("wav2vec2"), 32)
    assert isinstance(model.encoder.projection, torch.nn.Identity)
    save_ctc(model, LETTERS, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    tensors = load_file(weights)
    assert torch.equal(tensors["wav2vec2.feature_projection.projection.weight"], torch.eye(128))
    tensors["wav2vec2.feature_projection.projection.bias"] += 0.5
    save_file(tensors, weights, metadata={"format": "pt"})
    ours = load_ctc(tmp_path / "model")[0].eval()
    assert ours.config.always_project
    theirs = AutoModelForCTC.from_pretrained(tmp_path / "model").eval()
    with torch.inference_mode():
        a, b = ours(noise(1, 9000), torch.tensor([9000])).logits, theirs(noise(1, 9000)).logits
    assert apart(a, b) < 1e-5
    save_ctc(ours, LETTERS, tmp_path / "again")
    assert equal(ours, load_ctc(tmp_path / "again")[0])


def edit(folder: Path, **changes) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **changes}))


def change_tensors(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


BREAKAGES = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json: no such file"),
    "config not JSON": (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), "not a mapping"),
    "another kind": (lambda f: edit(f, model_type="wavlm"), "'wavlm' (it has gated relative position biases"),
    "unknown option": (lambda f: edit(f, hidden_act="relu"), "hidden_act"),
    "not a number": (lambda f: edit(f, hidden_size="many"), "width"),
    "absurd size": (lambda f: edit(f, hidden_size=10**12), "width"),
    "many layers": (lambda f: edit(f, num_hidden_layers=10**9), "layers"),
    "large but allowed": (lambda f: edit(f, intermediate_size=65_536), "has shape"),
    "heads do not divide": (lambda f: edit(f, num_attention_heads=7), "multiple of heads"),
    "own key a list": (lambda f: edit(f, sew=[]), "not a mapping"),
    "own key unknown": (lambda f: edit(f, sew={"predictr": "mlp"}), "did you mean 'predictor'"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no such file"),
    "no vocabulary": (lambda f: (f / "vocab.json").unlink(), "vocab.json"),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-100]),
        "not a whole safetensors file",
    ),
    "empty": (lambda f: (f / "model.safetensors").write_bytes(b""), "not a whole safetensors file"),
    "rubbish": (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 4096), "not a whole safetensors file"),
    "missing": (lambda f: change_tensors(f, lambda t: t.pop("lm_head.bias")), "missing tensors: 1 (lm_head.bias)"),
    "extra": (lambda f: change_tensors(f, lambda t: t.update(x=torch.zeros(1))), "tensors too many: 1 (x)"),
    "other shape": (
        lambda f: change_tensors(f, lambda t: t.update({"lm_head.bias": torch.zeros(31)})),
        "lm_head.bias has shape (31,)",
    ),
    "other vocabulary": (lambda f: Vocabulary(["<pad>", "|", "A"]).save(f), "symbols for the 32 outputs"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_folder_is_explained(breakage: str, folder: Path) -> None:
    spoil, said = BREAKAGES[breakage]
    spoil(folder)
    with pytest.raises(DataError) as caught:
        load_ctc(folder)
    assert said in str(caught.value) and str(folder) in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize(
    ("name", "area"), [("model.safetensors", 6_000), ("config.json", None), ("vocab.json", None)], ids=str
)
def test_random_damage_is_explained_or_harmless(name: str, area: int | None, folder: Path) -> None:
    """Bytes flipped, cut out and written over, in the head of the weights and anywhere in the JSON files."""
    rng, whole = np.random.default_rng(0), (folder / name).read_bytes()
    refused = 0
    for _ in range(150):
        content = bytearray(whole)
        start, size = int(rng.integers(area or len(whole))), int(rng.integers(1, 9))
        kind = rng.integers(3)
        if kind == 0:
            content[start] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del content[start : start + size]
        else:
            content[start : start + size] = rng.bytes(size)
        (folder / name).write_bytes(content)
        try:
            load_ctc(folder)
        except DataError as error:
            refused += 1
            assert str(folder) in str(error) and len(str(error).splitlines()) <= 2
    assert refused > 75


def test_the_wrong_folder_is_explained(folder: Path, tmp_path: Path) -> None:
    with refused(UsageError, "model-not-found"):
        read_config(tmp_path / "nowhere")
    assert read_architecture(folder) == "SEWForCTC"
    with pytest.raises(UsageError, match="not a pre-trained model but SEWForCTC"):
        load_pretraining(folder)
    save_pretraining(PretrainingModel(small("sew")), tmp_path / "pretraining")
    with pytest.raises(UsageError, match="not a recogniser but SEWForPreTraining"):
        load_ctc(tmp_path / "pretraining")
