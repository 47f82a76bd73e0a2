"""OpenVINO as a runtime: PyTorch's own emissions, graphs of weights and of folders, folders that are not what they say."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.model_cases import shaken, small

from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json, write_json
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, save_ctc
from sewcli.runtimes import openvino_folder as graphs
from sewcli.runtimes.graph_form import openvino_core
from sewcli.runtimes.openvino_export import save_openvino
from sewcli.runtimes.openvino_folder import graph_of, open_graph
from sewcli.runtimes.openvino_runtime import GraphModel
from sewcli.runtimes.recogniser import Recogniser, RuntimeOptions
from sewcli.runtimes.torch_runtime import TorchModel
from sewcli.text.tokens import Vocabulary

Sew = Callable[..., subprocess.CompletedProcess[str]]
LETTERS = Vocabulary.letters()
CASES = ["sew-d-projected", "sew", "wav2vec2", "wav2vec2-layer-norm"]
BY_OPENVINO = RuntimeOptions("openvino")

pytestmark = pytest.mark.long


def no_device() -> torch.device:
    raise AssertionError("a graph asks for no device")


def waves(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, length).astype(np.float32) for length in lengths]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of small models, beside the folders of their graphs."""
    root = tmp_path_factory.mktemp("graphs")

    def make(case: str) -> Path:
        folder = root / case
        if not folder.is_dir():
            network = shaken(CTCModel(small(case, layers=1), len(LETTERS)))
            save_ctc(network, LETTERS, folder)
            save_openvino(network, LETTERS, root / f"{case}-graph")
        return folder

    return make


def graph(model: Path) -> Path:
    return model.with_name(f"{model.name}-graph")


@pytest.mark.parametrize("case", [*CASES[:2], *(pytest.param(case, marks=pytest.mark.long) for case in CASES[2:])])
def test_emissions_are_those_of_torch(case: str, models: Callable[[str], Path]) -> None:
    folder = models(case)
    by_torch = TorchModel.prepare(load_ctc(folder)[0], torch.device("cpu"))
    by_graph = Recogniser(graph(folder), no_device).start()
    assert by_graph.facts()["runtime"] == "openvino" and by_graph.waits
    for batch in ([48_000], [400], [719], [16_000, 400, 9_999], [400 + 320 * 129, 400 + 320 * 127, 24_321]):
        heard = waves(*batch)
        for ours, theirs in zip(by_graph.run(heard), by_torch.run(heard), strict=True):
            assert ours.shape == theirs.shape and ours.dtype == np.float32 and ours.flags.c_contiguous
            assert np.abs(ours - theirs).max() < 1e-4, batch


def test_far_positions_are_those_of_torch(models: Callable[[str], Path]) -> None:
    """Past SEW-D's 512 positions, where all offsets share a bucket."""
    folder = models("sew-d-projected")
    heard = waves(400 + 320 * 1_500)
    by_torch = TorchModel.prepare(load_ctc(folder)[0], torch.device("cpu")).run(heard)
    assert np.abs(Recogniser(graph(folder), no_device).start().run(heard)[0] - by_torch[0]).max() < 1e-4


def test_weights_are_a_graph_of_their_own(models: Callable[[str], Path]) -> None:
    """Built when it is needed, with nothing left on disk, and equal to the exported one."""
    folder = models("sew")
    before = sorted(folder.parent.rglob("*"))
    built, exported = (GraphModel(graph_of(path)).run(waves(16_000, 9_999)) for path in (folder, graph(folder)))
    for ours, theirs in zip(built, exported, strict=True):
        assert np.array_equal(ours, theirs)
    assert sorted(folder.parent.rglob("*")) == before


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_weights_in_half_precision(kind: torch.dtype, models: Callable[[str], Path], tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(models("sew"), half)
    state = load_file(half / "model.safetensors")
    save_file({name: tensor.to(kind) for name, tensor in state.items()}, half / "model.safetensors", {"format": "pt"})
    heard = waves(16_000)
    by_torch = TorchModel.prepare(load_ctc(half)[0], torch.device("cpu")).run(heard)
    assert np.abs(GraphModel(graph_of(half)).run(heard)[0] - by_torch[0]).max() < 1e-4


def test_weights_that_are_broken_are_named(models: Callable[[str], Path], tmp_path: Path) -> None:
    def spoilt(**changes: torch.Tensor) -> Recogniser:
        folder = tmp_path / "spoilt"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(models("sew"), folder)
        state = {**load_file(folder / "model.safetensors"), **changes}
        save_file(state, folder / "model.safetensors", {"format": "pt"})
        return Recogniser(folder, no_device, BY_OPENVINO)

    for name, value, message in (
        ("sew.layer_norm.weight", torch.full((128,), torch.nan), "NaN"),
        ("sew.layer_norm.weight", torch.ones(3), "shape"),
        ("sew.more", torch.ones(3), "tensors too many"),
    ):
        with pytest.raises(DataError, match=message):
            spoilt(**{name: value}).start()


def test_folders_that_are_not_what_they_say(models: Callable[[str], Path], tmp_path: Path) -> None:
    def spoilt(name: str, content: bytes | None) -> Path:
        folder = tmp_path / "spoilt"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(graph(models("sew")), folder)
        (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
        return folder

    for name in ("model.bin", "config.json", "vocab.json", "graph.json"):
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            Recogniser(spoilt(name, None), no_device)
    for name in ("model.bin", "model.xml"):
        with pytest.raises(DataError, match="not the file that was written"):
            Recogniser(spoilt(name, b"<net>"), no_device)
    for content in (b"[]", b"{}", b'{"numbers": "int4", "sha256": {}}', b'{"numbers": "int8", "sha256": 3}', b"\0"):
        with pytest.raises(DataError, match=r"graph\.json"):
            Recogniser(spoilt("graph.json", content), no_device)
    hostile = spoilt("model.xml", b'<?xml version="1.0"?><net name="x" version="11"><layers/></net>')
    digests = {name: graphs.sha256(hostile / name) for name in ("model.xml", "model.bin")}
    write_json(hostile / "graph.json", {"numbers": "fp32", "sha256": digests})
    with pytest.raises(DataError, match="cannot read this graph"):
        Recogniser(hostile, no_device).start()
    few = spoilt("vocab.json", json.dumps({"<pad>": 0, "|": 1}).encode())
    with pytest.raises(DataError, match=r"\d symbols for the 32 outputs"):
        Recogniser(few, no_device).start()


def test_what_a_graph_is_not_for(models: Callable[[str], Path]) -> None:
    folder = graph(models("sew"))
    with pytest.raises(UsageError, match="not PyTorch's"):
        Recogniser(folder, no_device, RuntimeOptions("torch"))
    with pytest.raises(UsageError, match="a graph, without the weights"):
        load_ctc(folder)
    for precision in ("tf32", "fp16"):
        with pytest.raises(UsageError, match="for GPUs"):
            GraphModel(open_graph(folder), precision)
    assert Recogniser(folder, no_device).options.marks() == BY_OPENVINO.marks() != []


def test_a_missing_extra_is_named(models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    real = __import__
    monkeypatch.setattr(
        "builtins.__import__", lambda name, *rest: real("no_such_package" if name == "openvino" else name, *rest)
    )
    with pytest.raises(UsageError, match=r"openvino is not installed .*\n.*sewcli\[export\]"):
        Recogniser(models("sew"), no_device, BY_OPENVINO).start()
    with pytest.raises(UsageError, match=r"sewcli\[export\]"):
        Recogniser(graph(models("sew")), no_device).start()


def test_a_bf16_that_is_not_there_is_refused(models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_graph(graph(models("sew")))
    if "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        exact, rough = (GraphModel(folder, precision).run(waves(16_000))[0] for precision in ("fp32", "bf16"))
        assert 1e-6 < np.abs(exact - rough).max() < 0.3
    else:
        with pytest.raises(UsageError, match="no bf16 products"):
            GraphModel(folder, "bf16")


def test_decode_and_transcribe_by_openvino(
    models: Callable[[str], Path], prepared: Path, tmp_path: Path, sew_here: Sew
) -> None:
    model = models("sew")
    common = ("--data", prepared, "--split", "test-clean", "--jobs", "0")
    texts = []
    for name, extra in (("t", ()), ("o", ("--runtime", "openvino"))):
        done = sew_here("decode", "--model", model, *common, "--out", tmp_path / name, *extra)
        assert done.returncode == 0, done.stderr
        texts.append((tmp_path / name / f"{prepared.name}-test-clean-greedy" / "hyps.jsonl").read_text())
    rows = [[json.loads(line) for line in text.splitlines()] for text in texts]
    assert [row["text"] for row in rows[0]] == [row["text"] for row in rows[1]]
    assert read_json(tmp_path / "o" / f"{prepared.name}-test-clean-greedy" / "decode.json")["runtime"] == "openvino"
    by_graph = sew_here("decode", "--model", graph(model), *common, "--out", tmp_path / "g")
    assert by_graph.returncode == 0, by_graph.stderr
    assert [
        json.loads(line)["text"] for line in (tmp_path / f"g/{prepared.name}-test-clean-greedy/hyps.jsonl").open()
    ] == [row["text"] for row in rows[0]]
    for extra in (("--device", "cuda"), ("--runtime", "torch"), ("--runtime", "onnx"), ("--precision", "fp16")):
        refused = sew_here("decode", "--model", graph(model), *common, "--out", tmp_path / "x", *extra)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr, refused.stderr
