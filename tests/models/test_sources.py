"""Every form in which Hugging Face keeps weights; Hub ids; model cards; and `sew import`."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from hostile_files import hostile
from safetensors.torch import load_file, save_file
from support import fairseq_files as files
from support.fairseq_files import THEIRS, equal
from support.model_cases import apart, noise, shaken, small
from support.refusals import refused
from transformers import AutoModelForCTC

from sewcli.base.errors import DataError, UsageError
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, load_encoder, save_ctc, save_pretraining
from sewcli.models.pretraining import PretrainingModel
from sewcli.text.tokens import Vocabulary

LETTERS = Vocabulary.letters()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_ctc(shaken(CTCModel(small("sew"), 32)), LETTERS, tmp_path / "model")
    return tmp_path / "model"


def test_a_pytorch_model_bin(folder: Path) -> None:
    before = load_ctc(folder)[0]
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for new, name in old.items():
        tensors = {key.replace(new, name): value for key, value in tensors.items()}
    for older in (False, True):
        torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not older)
        assert equal(before, load_ctc(folder)[0])
    whole = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(whole[:-100])
    with pytest.raises(DataError, match="not a whole PyTorch file"):
        load_ctc(folder)


def test_a_hostile_pytorch_model_bin(folder: Path, tmp_path: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({**tensors, "x": hostile(tmp_path / "canary")["system"]}, folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"asks for \w+\.system"):
        load_ctc(folder)
    assert not (tmp_path / "canary").exists()
    torch.save(list(tensors), folder / "pytorch_model.bin")
    with refused(DataError, "not-a-tensor-file"):
        load_ctc(folder)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards(kind: str, folder: Path) -> None:
    before = load_ctc(folder)[0]
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem, where = {"safetensors": "model", "bin": "pytorch_model"}[kind], {}
    for number in range(3):
        name = f"{stem}-{number + 1:05}-of-00003.{kind}"
        part = {key: tensors[key] for key in sorted(tensors)[number::3]}
        save_file(part, folder / name) if kind == "safetensors" else torch.save(part, folder / name)
        where |= dict.fromkeys(part, name)
    index = folder / f"{stem}.{kind}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    assert equal(before, load_ctc(folder)[0])
    first = sorted(where)[0]
    spoilt = {
        "missing tensor": {**where, first: where[sorted(where)[1]]},
        "beside the index": {**where, first: f"../model/{where[first]}"},
        "shard must be a": {**where, first: "/etc/passwd"},
        "no such file": {**where, first: f"{stem}-9.{kind}"},
        "no weight_map": None,
    }
    for said, weight_map in spoilt.items():
        index.write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(DataError, match=said):
            load_ctc(folder)


def test_transformers_writes_shards_and_we_load(folder: Path, tmp_path: Path) -> None:
    theirs = AutoModelForCTC.from_pretrained(folder).eval()
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="200KB")
    shutil.copy(folder / "vocab.json", tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    ours = load_ctc(tmp_path / "shards")[0].eval()
    with torch.inference_mode():
        a, b = ours(noise(1, 9_000), torch.tensor([9_000])).logits, theirs(noise(1, 9_000)).logits
    assert apart(a, b) < 1e-5


def test_half_precision_becomes_single(folder: Path) -> None:
    before = load_ctc(folder)[0]
    tensors = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")
    after = load_ctc(folder)[0].state_dict()
    assert all(torch.equal(after[k], v.half().float()) for k, v in before.state_dict().items())


def test_a_missing_mask_vector_is_no_hindrance(folder: Path) -> None:
    """facebook/wav2vec2-base-960h has none."""
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("sew.masked_spec_embed")
    save_file(tensors, folder / "model.safetensors")
    one, two = load_ctc(folder)[0], load_ctc(folder)[0]
    assert equal(one, two) and one.encoder.mask_vector.std() > 0.1


def test_folders_of_transformers_normalise_unless_their_processor_does_not(tmp_path: Path) -> None:
    """Without any processor: as the published models with this norm of the convolutions."""
    for name, unsaid in (("wav2vec2-layer-norm", True), ("wav2vec2", False)):
        THEIRS[name]().save_pretrained(tmp_path / name)
        LETTERS.save(tmp_path / name)
        for said, expected in (
            (None, unsaid),
            ("{}", True),
            ('{"do_normalize": true}', True),
            ('{"do_normalize": false}', False),
        ):
            if said:
                (tmp_path / name / "preprocessor_config.json").write_text(said)
            assert load_ctc(tmp_path / name)[0].config.normalize_waves == expected


def test_hub_ids(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real client, switched off the network, with one model in its cache."""
    from huggingface_hub import constants

    commit = "0" * 40
    cached = tmp_path / "cache" / "models--someone--sew-small"
    shutil.copytree(folder, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert equal(load_ctc("someone/sew-small")[0], load_ctc(folder)[0])
    with pytest.raises(UsageError, match="not to be had from the Hugging Face Hub"):
        load_ctc("someone/else")
    (tmp_path / "exp").mkdir()
    with pytest.raises(UsageError, match="exp/nothing: no such model folder"):
        load_ctc("exp/nothing")


def test_the_card_tells_what_is_known(tmp_path: Path) -> None:
    model = CTCModel(small("sew-d"), 32)
    save_ctc(model, LETTERS, tmp_path / "a", facts={"Hours": "1.5", "WER": None})
    text = (tmp_path / "a" / "README.md").read_text()
    parameters = sum(p.numel() for p in model.parameters())
    assert f"| Parameters | {parameters:,} |" in text and "| Hours | 1.5 |" in text and "WER" not in text
    assert text.startswith("---\nlibrary_name: transformers\n") and "50, 25 inside the context network" in text


@pytest.mark.parametrize("kind", ["sew", "sew-d", "wav2vec2-projected", "recogniser"])
def test_the_card_works(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python in it, as it stands."""
    import soundfile

    monkeypatch.chdir(tmp_path)
    if kind == "recogniser":
        save_ctc(CTCModel(small("sew"), 32), LETTERS, "FOLDER")
    else:
        save_pretraining(PretrainingModel(small(kind)), "FOLDER")
    soundfile.write("a.wav", noise(9_000).numpy(), 16_000)
    code = re.search(r"```python\n(.*?)```", Path("FOLDER/README.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(code[1], names)
    theirs = names["model"].state_dict()
    own = load_encoder("FOLDER").state_dict()["extractor.convolutions.0.weight"]
    assert any(torch.equal(own, value) for name, value in theirs.items() if name.endswith("conv_layers.0.conv.weight"))


def test_import(sew, tmp_path: Path) -> None:
    path = files.finetuned(THEIRS["sew-d"](), tmp_path / "sew-d.pt")
    done = sew("import", path, tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["kind"] == "ctc" and row["family"] == "sew-d"
    assert equal(load_ctc(path)[0], load_ctc(tmp_path / "out")[0])
    assert "| Imported from | sew-d.pt |" in (tmp_path / "out" / "README.md").read_text()
    again = sew("import", path, tmp_path / "out")
    assert again.returncode == 2 and "already exists" in again.stderr
    path.write_bytes(path.read_bytes()[:-1000])
    broken = sew("import", path, tmp_path / "other")
    assert broken.returncode == 3 and "not a whole PyTorch file" in broken.stderr and "Traceback" not in broken.stderr
    assert not (tmp_path / "other").exists()


def test_import_of_a_hostile_file(sew, tmp_path: Path) -> None:
    content = {"model": {"a": torch.zeros(1)}, "x": hostile(tmp_path / "canary")["system"]}
    torch.save(content, tmp_path / "x.pt")
    done = sew("import", tmp_path / "x.pt", tmp_path / "out")
    assert done.returncode == 3 and "refused" in done.stderr and "--trust-pickle" in done.stderr
    assert not (tmp_path / "canary").exists() and "Traceback" not in done.stderr
    trusted = sew("import", tmp_path / "x.pt", tmp_path / "out", "--trust-pickle")
    assert trusted.returncode == 3 and "no wave feature extractor" in trusted.stderr
    assert (tmp_path / "canary").exists()
