"""ONNX and OpenVINO graphs give the model's own logits, for any batch, length and padding."""

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from support.fairseq_files import equal
from support.model_cases import apart, noise, shaken, small

from sewcli.base.errors import UsageError
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, save_ctc, save_pretraining
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup
from sewcli.runtimes import onnx_graph as portable
from sewcli.runtimes.graph_form import openvino_core, shortest
from sewcli.runtimes.onnx_graph import PortableExtractor, PortableModel, save_onnx
from sewcli.runtimes.openvino_export import save_openvino
from sewcli.text.tokens import Vocabulary

LETTERS = Vocabulary.letters()
CLOSE = 1e-5  # relative to the largest logit
MODELS: dict[str, ModelConfig] = {
    "sew": small("sew", layers=1),
    "sew-d": small("sew-d-projected", layers=1),
    "wav2vec2": small("wav2vec2", output_upsample=2),
    "wav2vec2-layer-norm": small("wav2vec2-layer-norm", normalize_waves=True),
}
FAMILIES = ["sew", "sew-d", *(pytest.param(name, marks=pytest.mark.long) for name in MODELS if "wav2vec2" in name)]


def model_of(name: str) -> CTCModel:
    return shaken(CTCModel(MODELS[name], 32)).eval()


def ragged(lengths: list[int], extra: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    waves = torch.zeros(len(lengths), max(lengths) + extra)
    for row, length in enumerate(lengths):
        waves[row, :length] = noise(length, seed=row)
    return waves, torch.tensor(lengths)


BATCHES = [([16_000], 0), ([720], 0), ([8_000] * 5, 0), ([9_999, 20_320, 720, 400], 0), ([5_000, 4_680], 64_000)]
LONG = ([400 + 320 * 1500, 320_000], 0)  # 30 s, past SEW-D's 512 positions


def check(model: CTCModel, run) -> None:
    for lengths, extra in [*BATCHES, LONG]:
        waves, counts = ragged(lengths, extra)
        logits, frames = run(waves.numpy(), counts.numpy())
        with torch.inference_mode():
            ours = model(waves, counts)
        assert frames.tolist() == ours.lengths.tolist() and logits.shape == tuple(ours.logits.shape)
        assert apart(torch.from_numpy(np.array(logits)), ours.logits) < CLOSE, (lengths, extra)
        for row, length in enumerate(lengths):  # and the utterance alone
            with torch.inference_mode():
                alone = model(waves[row : row + 1, :length], counts[row : row + 1]).logits[0]
            assert apart(torch.from_numpy(np.array(logits[row, : len(alone)])), alone) < CLOSE, (lengths, extra, row)


@pytest.mark.parametrize("name", FAMILIES)
def test_onnx(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    assert save_onnx(model, LETTERS, tmp_path / "out") < CLOSE
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "model.onnx",
        "tokenizer_config.json",
        "vocab.json",
    ]
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx", providers=["CPUExecutionProvider"])
    shapes = [(value.name, value.shape) for value in session.get_inputs()]
    assert shapes == [("waves", ["batch", "samples"]), ("lengths", ["batch"])]
    about = session.get_modelmeta().custom_metadata_map
    assert tuple(json.loads(about["vocabulary"])) == LETTERS.tokens and about["sample_rate"] == "16000"
    check(model, lambda waves, lengths: session.run(["logits", "frames"], {"waves": waves, "lengths": lengths}))


@pytest.mark.parametrize("name", FAMILIES)
def test_openvino(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    assert save_openvino(model, LETTERS, tmp_path / "out") < CLOSE
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json",
        "graph.json",
        "model.bin",
        "model.xml",
        "tokenizer_config.json",
        "vocab.json",
    ]
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino_core().compile_model(tmp_path / "out" / "model.xml", "CPU", options)

    def run(waves, lengths):
        result = compiled({"waves": waves, "lengths": lengths})
        return result["logits"], result["frames"]

    check(model, run)


@pytest.mark.parametrize("name", MODELS)
def test_the_portable_form_in_torch(name: str) -> None:
    model = model_of(name)
    twin = PortableModel(model)
    check(model, lambda waves, lengths: [x.numpy() for x in twin(torch.from_numpy(waves), torch.from_numpy(lengths))])


def test_a_norm_over_time_is_that_of_the_model_whatever_the_sound() -> None:
    """Its statistics come from windows of samples: an offset and a hum, hundreds of times the rest, must not drown them."""
    extractor = model_of("sew").encoder.extractor
    seconds = torch.arange(16_000) / 16_000
    waves = noise(1, 16_000) * 0.01 + 0.5 + 0.5 * torch.sin(2 * torch.pi * 50 * seconds)
    waves, lengths = waves.expand(2, -1).clone(), torch.tensor([16_000, 9_000])
    waves[1, 9_000:] = 0
    with torch.inference_mode():
        right, found = extractor(waves, lengths), PortableExtractor(extractor)(waves, lengths)
    for row, frames in enumerate(extractor.frames(lengths).tolist()):
        assert apart(found[row, :frames], right[row, :frames]) < 1e-4


def test_positions_matter_in_the_portable_form() -> None:
    """Otherwise the tests above would not see them either."""
    model, waves, lengths = model_of("sew-d"), noise(1, 16_000), torch.tensor([16_000])
    before = PortableModel(model)(waves, lengths)[0]
    model.encoder.context.positions.weight.data.mul_(-1)
    assert apart(PortableModel(model)(waves, lengths)[0], before) > 1e-3


@pytest.mark.parametrize("config", [lookup("sew-tiny+fbfe"), small("sew", compat="asapp")], ids=["log-mel", "compat"])
def test_models_without_a_graph_form_are_named(config: ModelConfig, tmp_path: Path) -> None:
    with torch.device("meta"):
        model = CTCModel(config, 32)
    with pytest.raises(UsageError, match="graph"):
        save_onnx(model, LETTERS, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_shortest_wave() -> None:
    assert shortest(MODELS["sew"]) == 720 and shortest(lookup("w2v2-tiny")) == 400


@pytest.mark.parametrize(
    ("name", "spoilt"), [("logits", lambda x, n: (x * 1.001, n)), ("sizes", lambda x, n: (x, n + 1))]
)
def test_a_graph_that_differs_is_not_kept(name, spoilt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("sew")
    right = PortableModel.forward
    monkeypatch.setattr(PortableModel, "forward", lambda self, waves, lengths: spoilt(*right(self, waves, lengths)))
    with pytest.raises(UsageError, match=f"onnxruntime gives other {name}"):
        save_onnx(model, LETTERS, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = __import__

    def absent(name: str, *arguments):
        if name == "openvino":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setitem(portable.__builtins__, "__import__", absent)
    with pytest.raises(UsageError, match=r"openvino is not installed .*\n.*sewcli\[export\]"):
        save_openvino(model_of("wav2vec2"), LETTERS, tmp_path / "out")


def test_export_command(sew_here, tmp_path: Path) -> None:
    sew, model = sew_here, model_of("sew")
    save_ctc(model, LETTERS, tmp_path / "model")
    done = sew("export", tmp_path / "model", tmp_path / "fairseq", "--format", "fairseq")
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    back = sew("export", tmp_path / "fairseq" / "model.pt", tmp_path / "hf", "--format", "hf", "--json")
    assert back.returncode == 0 and json.loads(back.stdout)["format"] == "hf", back.stderr
    assert equal(load_ctc(tmp_path / "hf")[0], model)
    onnx = sew("export", tmp_path / "model", tmp_path / "onnx")
    assert onnx.returncode == 0, onnx.stderr
    assert re.search(r"onnx, [\d,]+ parameters; logits within \S+ of the model's own", onnx.stdout)
    assert onnx.stderr == ""
    again = sew("export", tmp_path / "model", tmp_path / "onnx")
    assert again.returncode == 2 and "already exists" in again.stderr
    save_pretraining(PretrainingModel(small("sew")), tmp_path / "pretraining")
    wrong = sew("export", tmp_path / "pretraining", tmp_path / "x")
    assert wrong.returncode == 2 and "not a recogniser" in wrong.stderr and not (tmp_path / "x").exists()
