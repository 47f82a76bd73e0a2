"""Runtimes and numbers on a CPU, one thread: PyTorch, OpenVINO and int8 beside transformers in fp32.

    OMP_NUM_THREADS=1 python benchmarks/quantize.py --model w2v2-base        # random weights: time, size, logits
    OMP_NUM_THREADS=1 python benchmarks/quantize.py --model sew-d-mid --seconds 60 --batch 1
    python benchmarks/quantize.py --trained exp/mini/sew-micro-ft --data data/mini   # word error rates

Time: CPU seconds of the process, median over rounds in which all take turns on the same waves of noise. Size: bytes of the
weights by those of fp32. Error: root mean square of the logits' difference from transformers' by that of its logits, and the
share of frames whose best symbol is the same; random weights say little about either, word error rates of a trained model
do. onnxruntime's dynamic int8 (products only, weights by channel) is there as a peer. Rows of
the results are replaced one by one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import circumstances
from networks import recogniser

from sewcli.base.files import read_json, write_json
from sewcli.base.rng import numpy_rng
from sewcli.compression.quantize import quantize, quantized_graph
from sewcli.data.loading import padded_waves
from sewcli.decoding.pipeline import decode
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import count, load_ctc, save_ctc
from sewcli.runtimes.onnx_graph import write_onnx
from sewcli.runtimes.openvino_export import save_openvino
from sewcli.runtimes.openvino_folder import complete_graph, open_graph
from sewcli.runtimes.openvino_runtime import GraphModel
from sewcli.runtimes.recogniser import Runtime, RuntimeOptions
from sewcli.runtimes.torch_runtime import TorchModel, has_bf16
from sewcli.scoring.score import score_folder
from sewcli.text.tokens import Vocabulary

TESTED = ["dev-clean", "test-clean"]
CLIPS, SEEDS = 64, (1, 2, 3)  # as `sew quantize` takes them; the largest change of WER counts
CPU, RATE = torch.device("cpu"), 16_000
LETTERS = Vocabulary.letters()
PACKAGES = ("torch", "transformers", "openvino", "nncf", "onnxruntime")
PEER, OURS, OURS_BF16 = "transformers fp32", "int8 (sew quantize)", "int8, the rest in bf16 (--precision bf16)"
Run = Callable[[list[np.ndarray]], list[np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", help="a name of the zoo, with random weights")
    what.add_argument("--trained", type=Path, help="a recogniser, for word error rates")
    parser.add_argument("--data", type=Path, default=Path("data/mini"))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/quantize.json"))
    given = parser.parse_args()
    if given.model:
        name = f"{given.model}, {given.batch} x {given.seconds} s"
        row = measure(given.model, given.seconds, given.batch, given.rounds)
        command = f"--model {given.model} --seconds {given.seconds} --batch {given.batch} --rounds {given.rounds}"
    else:
        row = word_error_rates(given.trained, given.data)
        name, command = f"word error rates of {row['model']}", f"--trained {given.trained} --data {given.data}"
    found = read_json(given.out) if given.out.is_file() else {}
    head = circumstances(
        PACKAGES, command=f"python benchmarks/quantize.py {command}", about=f"{torch.get_num_threads()} threads"
    )
    write_json(given.out, found | {name: {**head, **row}})
    print(name, *(f"  {key}: {value}" for key, value in row.items()), sep="\n")


def measure(name: str, seconds: int, batch: int, rounds: int) -> dict[str, Any]:
    """Every runtime of one model."""
    network = recogniser(name)
    waves = [0.1 * numpy_rng(0, "noise", n).standard_normal(seconds * RATE).astype(np.float32) for n in range(batch)]
    clips = [0.1 * numpy_rng(1, "noise", n).standard_normal(5 * RATE).astype(np.float32) for n in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        runs, sizes = build(network, Path(folder), clips)
        right = runs[PEER](waves)
        table: dict[str, dict[str, Any]] = {}
        for runtime, run in runs.items():
            logits = run(waves)  # also the warm-up
            error = np.sqrt(sum(np.square(a - b).sum() for a, b in zip(logits, right, strict=True)))
            same = np.mean([np.mean(a.argmax(1) == b.argmax(1)) for a, b in zip(logits, right, strict=True)])
            scale = np.sqrt(sum(np.square(b).sum() for b in right))
            table[runtime] = {"logit_error": float(f"{error / scale:.2e}"), "same_best_symbol": round(float(same), 4)}
        times: dict[str, list[float]] = {runtime: [] for runtime in runs}
        for _ in range(rounds):
            for runtime, run in runs.items():
                began = time.process_time()
                run(waves)
                times[runtime].append(time.process_time() - began)
    base = statistics.median(times[PEER])
    for runtime, row in table.items():
        middle = statistics.median(times[runtime])
        row.update(cpu_seconds=round(middle, 3), times_faster=round(base / middle, 2))
        if runtime in sizes:
            row["share_of_fp32_size"] = round(sizes[runtime] / sizes[PEER], 3)
    absent = [] if has_bf16() else ["bf16: this processor has no such products (no AVX-512 BF16, no AMX)"]
    return {"parameters": count(network), "not measured": absent, "runtimes": table}


def build(network: CTCModel, folder: Path, clips: list[np.ndarray]) -> tuple[dict[str, Run], dict[str, int]]:
    """How each runtime makes logits (T, V) of waves, and the bytes of its weights."""
    save_ctc(network, LETTERS, folder / "weights")
    save_openvino(network, LETTERS, folder / "graph")
    graph = open_graph(folder / "graph")
    openvino: Any = __import__("openvino")
    (folder / "int8").mkdir()
    openvino.save_model(quantized_graph(graph, clips), folder / "int8" / "model.xml", compress_to_fp16=True)
    complete_graph(folder / "int8", graph.config, LETTERS, "int8", {})
    ours = TorchModel.prepare(load_ctc(folder / "weights")[0], CPU, "fp32")
    runs: dict[str, Run] = {
        PEER: transformers(folder / "weights"),
        "sew torch fp32": by_torch(ours),
        "openvino fp32": GraphModel(graph).logits,
        OURS: GraphModel(open_graph(folder / "int8")).logits,
        "onnxruntime dynamic int8": onnxruntime(network, folder),
    }
    sizes = {
        PEER: (folder / "weights" / "model.safetensors").stat().st_size,
        "openvino fp32": (folder / "graph" / "model.bin").stat().st_size,
        OURS: (folder / "int8" / "model.bin").stat().st_size,
        "onnxruntime dynamic int8": (folder / "int8.onnx").stat().st_size,
    }
    if has_bf16():
        runs["openvino bf16"] = GraphModel(graph, "bf16").logits
        runs[OURS_BF16] = GraphModel(open_graph(folder / "int8"), "bf16").logits
        runs["sew torch bf16"] = by_torch(TorchModel.prepare(load_ctc(folder / "weights")[0], CPU, "bf16"))
    return runs, sizes


def by_torch(model: TorchModel) -> Run:
    def run(waves: list[np.ndarray]) -> list[np.ndarray]:
        padded, lengths = (torch.from_numpy(array) for array in padded_waves(waves))
        with torch.inference_mode():
            return list(model.network(padded, lengths).logits.float().numpy())

    return run


def transformers(folder: Path) -> Run:
    from transformers import AutoModelForCTC

    model = AutoModelForCTC.from_pretrained(folder).eval()

    def run(waves: list[np.ndarray]) -> list[np.ndarray]:
        with torch.inference_mode():
            return list(model(torch.from_numpy(np.stack(waves))).logits.numpy())

    return run


def onnxruntime(network: CTCModel, folder: Path) -> Run:
    """The same graph with products of dynamic int8."""
    import onnxruntime as runtime
    from onnxruntime.quantization import quantize_dynamic

    write_onnx(network, LETTERS, folder / "fp32.onnx")
    quantize_dynamic(folder / "fp32.onnx", folder / "int8.onnx", op_types_to_quantize=["MatMul"], per_channel=True)
    (folder / "fp32.onnx").unlink()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(folder / "int8.onnx", options, providers=["CPUExecutionProvider"])

    def run(waves: list[np.ndarray]) -> list[np.ndarray]:
        padded, lengths = padded_waves(waves)
        return list(session.run(["logits"], {"waves": padded, "lengths": lengths})[0])

    return run


def word_error_rates(model: Path, data: Path) -> dict[str, Any]:
    """Greedy, of the trained recogniser by torch, by its graph and quantized with clips of several draws, on dev and test."""
    weights = model / "model" if (model / "model").is_dir() else model
    with tempfile.TemporaryDirectory() as folder:
        rates = {"torch fp32": rate(weights, "auto", data), "openvino fp32": rate(weights, "openvino", data)}
        facts: dict[str, Any] = {}
        for seed in SEEDS:
            small = Path(folder) / f"int8-{seed}"
            quantize(weights, small, data=data, split=None, clips=CLIPS, seed=seed)
            rates[f"int8, seed {seed}"] = rate(small, "auto", data)
            facts = facts or read_json(small / "graph.json")
    right = rates["torch fp32"]
    changes = [row["wer"] - right["wer"] for name, row in rates.items() if name.startswith("int8")]
    return {
        "model": facts_of(weights),
        "wer_change": round(max(changes, key=abs), 5),
        "rates": rates,
        "share_of_fp32_size": round(facts["bytes"] / (weights / "model.safetensors").stat().st_size, 3),
        **{key: facts[key] for key in ("clips", "logit_error", "changed_frames")},
    }


def rate(model: Path, runtime: Runtime, data: Path) -> dict[str, Any]:
    """Word errors."""
    with tempfile.TemporaryDirectory() as folder:
        done = decode(
            model, data, TESTED, out=Path(folder), device=lambda: CPU, runtime=RuntimeOptions(runtime), jobs=0
        )
        scores = [score_folder(split.folder) for split in done]
    words = sum(score["words"] for score in scores)
    errors = sum(score["substitutions"] + score["deletions"] + score["insertions"] for score in scores)
    return {"wer": round(errors / words, 5), "errors": errors, "words": words}


def facts_of(weights: Path) -> str:
    """The name in its config."""
    return str(read_json(weights / "config.json")["sew"]["name"])


if __name__ == "__main__":
    main()
