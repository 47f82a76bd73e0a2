"""`sew quantize`: folders that decode and transcribe take, what is in eight bits, and what is refused."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from support.model_cases import shaken, small

from sewcli.base.files import read_json, write_jsonl
from sewcli.compression import quantize as module
from sewcli.compression.table import Decoding, compare
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.runtimes.graph_form import openvino_core
from sewcli.runtimes.openvino_folder import WEIGHTS, XML, complete_graph, open_graph
from sewcli.text.tokens import Vocabulary

Sew = Callable[..., subprocess.CompletedProcess[str]]
LETTERS = Vocabulary.letters()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("to-quantize") / "model"
    save_ctc(shaken(CTCModel(small("sew-d-projected", layers=1), len(LETTERS))), LETTERS, folder)
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


def sources(node) -> list[str]:
    """Where the inputs of an operation come from, past what only moves numbers."""

    def kind(node) -> str:
        moves = (
            "Transpose",
            "Reshape",
            "Unsqueeze",
            "Squeeze",
            "Gather",
            "Slice",
            "StridedSlice",
            "Concat",
            "Multiply",
        )
        return node.get_type_name() if node.get_type_name() not in moves else kind(node.input_value(0).get_node())

    return [kind(port.get_source_output().get_node()) for port in node.inputs()[:2]]


@pytest.mark.long
@pytest.mark.fault("report-65")
def test_there_and_back(model: Path, prepared: Path, tmp_path: Path, sew_here: Sew) -> None:
    out = tmp_path / "exp" / "small-int8" / "model"
    done = sew_here("quantize", model, out, "--data", prepared, "--json", "--clips", "3")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)  # alone on stdout, for NNCF tells of its progress elsewhere
    assert row["clips"] == 3 and 0 < row["logit_error"] < 0.2, row
    assert row["bytes"] < 0.9 * row["source_bytes"], row  # in so small a model the extractor and positions weigh much
    files = sorted(path.name for path in out.iterdir())
    assert files == [
        "README.md",
        "config.json",
        "graph.json",
        "model.bin",
        "model.xml",
        "tokenizer_config.json",
        "vocab.json",
    ]
    assert open_graph(out).numbers == "int8" and read_json(out / "graph.json")["seed"] == 1
    network = openvino_core().read_model(out / "model.xml")
    products = [op for op in network.get_ops() if op.get_type_name() in ("MatMul", "GroupConvolution")]
    whole = [op for op in products if set(sources(op)) == {"FakeQuantize"} or "Convert" in sources(op)]
    assert len(whole) > 0.7 * len(products) > 6, Counter(map(tuple, map(sources, products)))

    mixtures, norms = module._mixtures(network), module._in_extractor(network)
    kept = [op for op in products if op.get_friendly_name() in (*mixtures, *norms)]
    assert len(mixtures) == 1 and len(norms) == 3, (
        mixtures,
        norms,
    )  # a layer; covariance, variance and mean of the norm
    assert not any("FakeQuantize" in sources(op) for op in kept), Counter(map(tuple, map(sources, kept)))

    decoded = sew_here("decode", "--model", out, "--data", prepared, "--split", "test-clean", "--out", tmp_path / "d")
    assert decoded.returncode == 0, decoded.stderr
    facts = read_json(tmp_path / "d" / f"{prepared.name}-test-clean-greedy" / "decode.json")
    assert (facts["runtime"], facts["numbers"]) == ("openvino", "int8")
    wave = np.random.default_rng(0).normal(0, 0.1, 3 * 16_000)
    soundfile.write(tmp_path / "a.wav", wave, 16_000)
    heard = sew_here("transcribe", tmp_path / "a.wav", "--model", out.parent)
    assert heard.returncode == 0, heard.stderr

    decoding = Decoding(prepared, ["test-clean"], None, lambda place: tmp_path / place.parent.name)
    whole, small_one = compare({"whole": model, "int8": out}, decoding, torch.device("cpu"))
    assert (whole["numbers"], small_one["numbers"]) == ("fp32", "int8") and small_one["time"] > 0
    assert small_one["parameters"] == whole["parameters"] and small_one["megabytes"] * 1e6 == row["bytes"]
    assert small_one["wer"] == {"test-clean": {"greedy": pytest.approx(whole["wer"]["test-clean"]["greedy"], abs=0.5)}}
    tuned = sew_here("finetune", "--model", out, "--data", prepared, "--exp", tmp_path / "ft")
    assert tuned.returncode == 2 and "a graph, without the weights" in tuned.stderr


@pytest.mark.long
def test_what_has_no_graph_is_named(prepared: Path, tmp_path: Path, sew_here: Sew) -> None:
    save_ctc(CTCModel(small("sew", compat="asapp"), len(LETTERS)), LETTERS, tmp_path / "compat")
    refused = sew_here("quantize", tmp_path / "compat", tmp_path / "out", "--data", prepared)
    assert refused.returncode == 2 and "not for graphs" in refused.stderr and not (tmp_path / "out").exists()


def test_what_cannot_be_quantized_is_named_before_a_graph_is_made(
    prepared: Path, model: Path, tmp_path: Path, sew_here: Sew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_import", lambda *package: pytest.fail("OpenVINO was to be loaded"))
    int8, full, out = tmp_path / "int8", tmp_path / "full", tmp_path / "out"
    for folder in (int8, full):
        folder.mkdir()
        for name in (XML, WEIGHTS):
            (folder / name).write_text("made by someone")
    complete_graph(int8, small("sew"), LETTERS, "int8", {})
    for source, place, more, said in (
        (model, full, (), "already exists"),
        (int8, out, (), "int8 already"),
        (model / "model.safetensors", out, (), "give the folder that it is in"),
        (model, out, ("--split", "dev-claen"), "did you mean 'dev-clean'"),
        (model, out, ("--data", tmp_path / "none"), "no prepared corpus"),
    ):
        refused = sew_here("quantize", source, place, "--data", prepared, *more)
        assert refused.returncode == 2 and said in refused.stderr, refused.stderr
    assert not out.exists()


def test_a_missing_extra_is_named(
    model: Path, prepared: Path, tmp_path: Path, sew_here: Sew, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = __import__
    monkeypatch.setattr(
        "builtins.__import__", lambda name, *rest: real("no_such_package" if name == "nncf" else name, *rest)
    )
    done = sew_here("quantize", model, tmp_path / "out", "--data", prepared)
    assert done.returncode == 2 and "nncf is not installed" in done.stderr and "sewcli[quantize]" in done.stderr


def test_clips_are_drawn_by_the_seed_and_never_broken(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, rng, cuts = tmp_path / "data", np.random.default_rng(0), []
    data.mkdir()
    for name, seconds, scale in (
        ("a", 2, 0.1),
        ("b", 3, 0.1),
        ("short", 0.5, 0.1),
        ("silent", 2, 0.0),
        ("gone", 2, 0.1),
    ):
        samples = int(seconds * 16_000)
        soundfile.write(tmp_path / f"{name}.wav", scale * rng.standard_normal(samples), 16_000)
        cuts.append(cut(name, tmp_path / f"{name}.wav", samples))
    (tmp_path / "gone.wav").unlink()
    write_jsonl(data / "cuts_dev.jsonl.gz", cuts)
    lengths = [len(wave) for wave in module._clips(data, None, 5, 1)]
    assert sorted(lengths[:2]) == [32_000, 48_000] and lengths[2:] == [8_000]
    assert "gone" in capfd.readouterr().err
    orders = {tuple(len(wave) for wave in module._clips(data, "dev", 1, seed)) for seed in range(8)}
    assert orders == {(32_000,), (48_000,)}
    assert [len(w) for w in module._clips(data, None, 1, 3)] == [len(w) for w in module._clips(data, None, 1, 3)]


def cut(name: str, path: Path, samples: int) -> dict:
    source = {"type": "file", "channels": [0], "source": str(path)}
    seconds = samples / 16_000
    recording = {"id": name, "sources": [source], "sampling_rate": 16_000, "num_samples": samples, "duration": seconds}
    about = {"id": name, "recording_id": name, "start": 0, "duration": seconds, "channel": 0, "text": ""}
    whole = {"id": name, "start": 0, "duration": seconds, "channel": 0, "recording": recording, "type": "MonoCut"}
    return {**whole, "supervisions": [about]}
