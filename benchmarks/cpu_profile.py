"""Where the time of a forward pass goes on one CPU core: by kind of operation, beside what the products alone would take.

    OMP_NUM_THREADS=1 python benchmarks/cpu_profile.py                   # an idle machine; about 10 minutes
    OMP_NUM_THREADS=1 python benchmarks/cpu_profile.py --models w2v2-base --int8

transformers and ours by PyTorch's profiler, OpenVINO by its own counters, on 10 s of noise: medians of milliseconds a pass.
`products` is what the multiplications of the model (`sew models NAME`) would take at the speed of the best square product of
fp32 on this machine. Rows of the results are replaced one by one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import circumstances
from networks import recogniser

from sewcli.base.files import read_json, write_json
from sewcli.base.memory import keep_freed_memory
from sewcli.bench.peaks import product_peak
from sewcli.compression.quantize import quantized_graph
from sewcli.models.flops import anatomy
from sewcli.models.folder import load_ctc, save_ctc
from sewcli.runtimes.inference import for_inference
from sewcli.runtimes.openvino_export import save_openvino
from sewcli.runtimes.openvino_folder import complete_graph, open_graph
from sewcli.runtimes.torch_runtime import has_bf16
from sewcli.text.tokens import Vocabulary

MODELS = ("w2v2-base", "sew-mid", "sew-tiny")
RATE, SECONDS, TRIALS = 16_000, 10, 5
PACKAGES = ("sew", "torch", "transformers", "openvino", "nncf")
LETTERS = Vocabulary.letters()
KINDS = {  # what is in the name of an operation, of PyTorch and of OpenVINO; the first that fits
    "convolutions": ("convolution_pointwise", "mkldnn_convolution", "slow_conv", "convolution"),
    "linear products": ("linear_pointwise", "mkl_linear", "addmm", "fullyconnected"),
    "attention": ("scaled_dot_product", "flash_attention", "bmm", "softmax", "matmul", "mha"),
    "norms": ("norm", "mvn"),
    "GELU": ("gelu",),
    "conversions": ("convert", "reorder", "fakequantize", "quantize"),
}
REST = "rest"
Times = dict[str, float]  # kind -> ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--int8", action="store_true", help="of OpenVINO too; quantizing takes a minute a model")
    parser.add_argument(
        "--torch", action="store_true", help="PyTorch alone; the graph of a SEW-D takes minutes to make"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/cpu_profile.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    peak = product_peak(torch.device("cpu"), "fp32")
    assert peak is not None
    rows = read_json(given.out)["models"] if given.out.is_file() else {}
    for name in given.models:
        with tempfile.TemporaryDirectory() as place:
            rows[name] = {
                "products": products(name, peak),
                **profile(name, Path(place), graph=not given.torch, int8=given.int8),
            }
        head = circumstances(PACKAGES, about="1 thread")
        content = {**head, "fp32_products_gflop_a_second": round(peak / 1e9, 1), "seconds": SECONDS, "models": rows}
        write_json(given.out, content)
        print(name, *(f"  {program}: {times}" for program, times in rows[name].items()), sep="\n", flush=True)


def products(name: str, peak: float) -> Times:
    """What the multiplications alone would take, by kind."""
    macs = {"convolutions": 0, "linear products": 0}
    for part in anatomy(recogniser(name).config, len(LETTERS), SECONDS):
        macs["convolutions" if "convolution" in part.name or "position" in part.name else "linear products"] += (
            part.macs
        )
    return _whole({kind: 2e3 * count / peak for kind, count in macs.items()})


def profile(name: str, place: Path, *, graph: bool, int8: bool) -> dict[str, Times]:
    """Milliseconds by kind of operation of each program."""
    model = recogniser(name)
    save_ctc(model, LETTERS, place / "model")
    found = {"transformers": by_torch(_theirs(place / "model")), "sew": by_torch(_ours(place / "model"))}
    if not graph:
        return found
    save_openvino(model, LETTERS, place / "graph")
    found["openvino"] = by_openvino(place / "graph", "f32")
    if int8:
        clips = [noise(seed, 5)[0] for seed in range(4)]
        (place / "int8").mkdir()
        _openvino().save_model(
            quantized_graph(open_graph(place / "graph"), clips), place / "int8" / "model.xml", compress_to_fp16=True
        )
        complete_graph(place / "int8", model.config, LETTERS, "int8", {})
        found["int8"] = by_openvino(place / "int8", "f32")
        if has_bf16():
            found["int8, the rest in bf16"] = by_openvino(place / "int8", "bf16")
    return found


def by_torch(forward: Callable[[], object]) -> Times:
    """Self time of each operation."""
    forward()
    passes = []
    for _ in range(TRIALS):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            forward()
        passes.append(by_kind((event.key, event.self_cpu_time_total / 1e3) for event in profiler.key_averages()))
    return _medians(passes)


def by_openvino(folder: Path, hint: str) -> Times:
    """Real time of each node of the compiled graph."""
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": 1, "PERF_COUNT": True}
    request = _openvino().Core().compile_model(folder / "model.xml", "CPU", settings).create_infer_request()
    waves, passes = noise(0, SECONDS), []
    for trial in range(TRIALS + 1):
        request.infer({"waves": waves, "lengths": np.array([waves.shape[1]])})
        if trial:
            nodes = request.get_profiling_info()
            passes.append(by_kind((node.node_type, node.real_time.total_seconds() * 1e3) for node in nodes))
    return _medians(passes)


def by_kind(operations: Iterable[tuple[str, float]]) -> Times:
    """Sums of milliseconds."""
    sums = dict.fromkeys([*KINDS, REST], 0.0)
    for name, milliseconds in operations:
        low = name.lower()
        sums[next((kind for kind, words in KINDS.items() if any(word in low for word in words)), REST)] += milliseconds
    return sums


def noise(seed: int, seconds: int) -> np.ndarray:
    """Waves (1, S)."""
    return np.random.default_rng(seed).normal(0, 0.1, (1, seconds * RATE)).astype(np.float32)


def _theirs(folder: Path) -> Callable[[], object]:
    from transformers import AutoModelForCTC

    model: Any = AutoModelForCTC.from_pretrained(folder).eval()  # takes the best attention that it has
    waves = torch.from_numpy(noise(0, SECONDS))

    def forward() -> object:
        with torch.inference_mode():
            return model(waves)

    return forward


def _ours(folder: Path) -> Callable[[], object]:
    model = for_inference(load_ctc(folder)[0], torch.device("cpu"))
    waves = torch.from_numpy(noise(0, SECONDS))
    lengths = torch.tensor([waves.shape[1]])

    def forward() -> object:
        with torch.inference_mode():
            return model(waves, lengths)

    return forward


def _openvino() -> Any:
    return __import__("openvino")


def _medians(passes: list[Times]) -> Times:
    return _whole({kind: statistics.median(each[kind] for each in passes) for kind in passes[0]})


def _whole(times: Times) -> Times:
    """With their sum, rounded."""
    return {kind: round(ms, 1) for kind, ms in {**times, "all": sum(times.values())}.items()}


if __name__ == "__main__":
    main()
