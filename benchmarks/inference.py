"""Inference on one CPU core: ours beside `transformers`, torchaudio, ONNX Runtime and OpenVINO; same weights, same input.

    OMP_NUM_THREADS=1 python benchmarks/inference.py                 # an idle machine; about 15 minutes
    python benchmarks/inference.py --rows sew-d-mid-10s --trials 9   # a row alone; the others in the file stay
    python benchmarks/inference.py --compile                         # torch.compile of transformers too: minutes more a row

Each program has a process of its own and they take turns, a forward pass at a time, so that noise of the machine hits all;
the first pass of each warms up. One process may be a fifth slower than the next one of the same program, so
each is started several times. Times are CPU seconds (medians over all), ratios those of transformers' best attention over a
program's; where the processor multiplies bf16, ours in bf16 runs too. Memory is the process's high-water mark above the
loaded model. transformers runs as people run it, with the default malloc; ours as `sew decode` runs it. Logits are held
against those of transformers, relative to the largest.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import circumstances
from networks import recogniser

from sewcli.base.files import read_json, write_json
from sewcli.base.machine import instructions
from sewcli.base.memory import keep_freed_memory
from sewcli.bench.peaks import MemoryMark, product_peak
from sewcli.models.folder import load_ctc, save_ctc
from sewcli.models.zoo import lookup
from sewcli.runtimes.graph_form import OUTPUTS
from sewcli.runtimes.inference import for_inference
from sewcli.runtimes.onnx_graph import save_onnx
from sewcli.runtimes.openvino_export import save_openvino
from sewcli.runtimes.torch_runtime import has_bf16
from sewcli.text.tokens import Vocabulary

RATE = 16_000
PACKAGES = ("sew", "torch", "torchaudio", "transformers", "onnxruntime", "openvino")
OURS, EAGER, SDPA, COMPILED = "sew", "transformers eager", "transformers sdpa", "transformers sdpa, torch.compile"
TORCHAUDIO, ONNX, OPENVINO = "torchaudio", "onnxruntime", "openvino fp32"
Forward = Callable[[np.ndarray], np.ndarray]  # waves (B, S) to logits (B, T, V)


@dataclass(frozen=True)
class Row:
    """What is run: so many utterances of so many seconds."""

    model: str
    seconds: int
    rows: int = 1

    @property
    def name(self) -> str:
        return f"{self.model}-{self.seconds}s" + (f"-x{self.rows}" if self.rows > 1 else "")


ROWS = [
    Row("sew-d-mid", 10),
    Row("sew-d-mid", 10, 4),
    Row("sew-d-mid", 60),
    Row("sew-d-mid", 120),
    Row("sew-d-tiny", 10),
    Row("sew-tiny", 10),
    Row("sew-mid", 10),
    Row("w2v2-base", 10),
]


def main() -> None:
    given = arguments()
    chosen = [row for row in ROWS if given.rows is None or row.name in given.rows]
    torch.set_num_threads(1)
    before = {row["row"]: row for row in read_json(given.out)["results"]} if given.out.exists() and given.rows else {}
    peak = product_peak(torch.device("cpu"), "fp32")
    for row in chosen:
        before[row.name] = compare(
            row,
            programs_for(row, given),
            given.trials if row.seconds < 60 else given.long_trials,
            given.starts if row.seconds < 60 else 1,
        )
        print(json.dumps(before[row.name], indent=1), flush=True)
        write_json(
            given.out,
            {
                **circumstances(PACKAGES, about="1 thread"),
                "instructions": instructions(),
                "precision": "fp32",
                "fp32_products_gflop_a_second": round(peak / 1e9, 1) if peak else None,
                "processor_has_bf16": has_bf16(),
                "results": [before[each.name] for each in ROWS if each.name in before],
            },
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], metavar="ROW")
    parser.add_argument(
        "--programs", nargs="+", choices=list(PROGRAMS), metavar="NAME", help="beside ours; default: all that can"
    )
    parser.add_argument("--starts", type=int, default=3, help="of each program in a new process")
    parser.add_argument("--trials", type=int, default=4, help="in each of them")
    parser.add_argument("--long-trials", type=int, default=3, help="of rows of a minute and more")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/inference_cpu.json"))
    return parser.parse_args()


def programs_for(row: Row, given: argparse.Namespace) -> list[str]:
    """Those that have the model."""
    family = lookup(row.model).family
    names = [OURS, *([OURS_BF16] if has_bf16() else []), *(given.programs or PROGRAMS)]
    names += [OPENVINO_BF16] if has_bf16() and OPENVINO in names else []
    absent = {SDPA, COMPILED} if family == "sew-d" else set()
    absent |= set() if family == "wav2vec2" else {TORCHAUDIO}
    absent |= set() if given.compile else {COMPILED}
    return [name for name in dict.fromkeys(names) if name not in absent]


def compare(row: Row, programs: list[str], trials: int, starts: int) -> dict[str, Any]:
    """Times, memory and logits of each program on the same noise."""
    with tempfile.TemporaryDirectory() as place:
        prepare(row.model, Path(place), programs)
        told: dict[str, list[dict[str, Any]]] = {name: [] for name in programs}
        logits: dict[str, np.ndarray] = {}
        for _ in range(starts):
            take_turns(row, Path(place), trials, told, logits)
    return {
        "row": row.name,
        "model": row.model,
        "batch": f"{row.rows} x {row.seconds} s",
        "starts": starts,
        "trials": trials,
        "programs": figures(told, logits),
    }


def take_turns(
    row: Row, place: Path, trials: int, told: dict[str, list[dict[str, Any]]], logits: dict[str, np.ndarray]
) -> None:
    """Start each program in a process of its own, and let them run in turn; adds to `told` and `logits`."""
    context = multiprocessing.get_context("spawn")
    ends: dict[str, Connection] = {}
    processes = []
    for name in told:
        ends[name], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(theirs, name, place, row), daemon=True))
        processes[-1].start()
        theirs.close()
        ends[name].recv()  # loaded
    for trial in range(trials + 1):
        for name, end in ends.items():
            end.send(trial == 0)
            answer = end.recv()
            if trial:
                told[name].append(answer)
            else:
                logits[name] = answer["logits"]
    for end, process in zip(ends.values(), processes, strict=True):
        end.close()
        process.join()


def prepare(name: str, place: Path, programs: list[str]) -> None:
    """New weights, and the graphs of them."""
    model, letters = recogniser(name), Vocabulary.letters()
    save_ctc(model, letters, place / "model")
    for program, save, folder in ((ONNX, save_onnx, "onnx"), (OPENVINO, save_openvino, "openvino")):
        if program in programs:
            save(model, letters, place / folder)


def figures(told: dict[str, list[dict[str, Any]]], logits: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """A line a program, beside the best attention that transformers has."""
    seconds = {name: statistics.median(each["cpu_seconds"] for each in rows) for name, rows in told.items()}
    theirs = [name for name in (EAGER, SDPA) if name in seconds]
    best = min(theirs, key=lambda name: seconds[name]) if theirs else None
    return {
        name: {
            "cpu_seconds": round(seconds[name], 4),
            "min": round(min(each["cpu_seconds"] for each in rows), 4),
            "wall_seconds": round(statistics.median(each["seconds"] for each in rows), 4),
            "peak_mb": round(max(each["memory"] for each in rows) / 1e6, 1),
            "times_as_fast_as_transformers": round(seconds[best] / seconds[name], 3) if best else None,
            "share_of_transformers_memory": _memory(told, name, best),
            "logits_apart": _apart(logits[name], logits[best]) if best else None,
        }
        for name, rows in told.items()
    }


def serve(connection: Connection, name: str, place: Path, row: Row) -> None:
    """A process with one program: a forward pass for each message; its logits when they are wanted."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    waves = rng.normal(0, 0.1, (row.rows, row.seconds * RATE)).astype(np.float32)
    forward = PROGRAMS_AND_OURS[name](place)
    forward(
        waves[:, :RATE]
    )  # weights lie in mapped files until they are used: they are no memory of the pass that is measured
    mark = MemoryMark(torch.device("cpu"))
    connection.send("loaded")
    try:
        while True:
            wanted = connection.recv()
            began, spent = time.perf_counter(), time.process_time()
            logits = forward(waves)
            times = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - spent}
            connection.send(times | {"memory": mark.above(), "logits": logits if wanted else None})
    except EOFError:
        return


def ours(dtype: torch.dtype) -> Callable[[Path], Forward]:
    def load(place: Path) -> Forward:
        keep_freed_memory()
        model = for_inference(load_ctc(place / "model")[0], torch.device("cpu"), dtype)

        def forward(waves: np.ndarray) -> np.ndarray:
            lengths = torch.full((len(waves),), waves.shape[1])
            with torch.inference_mode():
                return model(torch.from_numpy(waves), lengths).logits.float().numpy()

        return forward

    return load


def theirs(attention: str, compiled: bool = False) -> Callable[[Path], Forward]:
    def load(place: Path) -> Forward:
        from transformers import AutoModelForCTC

        model: Any = AutoModelForCTC.from_pretrained(place / "model", attn_implementation=attention).eval()
        model = torch.compile(model) if compiled else model

        def forward(waves: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return model(torch.from_numpy(waves)).logits.numpy()

        return forward

    return load


def torchaudio(place: Path) -> Forward:
    """Its wav2vec 2.0, with the weights by its own importer."""
    from torchaudio.models.wav2vec2.utils import import_huggingface_model
    from transformers import AutoModelForCTC

    model = import_huggingface_model(AutoModelForCTC.from_pretrained(place / "model")).eval()

    def forward(waves: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(waves))[0].numpy()

    return forward


def onnxruntime(place: Path) -> Forward:
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(str(place / "onnx" / "model.onnx"), options, providers=["CPUExecutionProvider"])
    return lambda waves: np.asarray(session.run(OUTPUTS[:1], {"waves": waves, "lengths": whole(waves)})[0])


def openvino(hint: str) -> Callable[[Path], Forward]:
    def load(place: Path) -> Forward:
        import openvino as runtime

        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": 1}
        compiled = runtime.Core().compile_model(place / "openvino" / "model.xml", "CPU", settings)
        return lambda waves: np.array(compiled({"waves": waves, "lengths": whole(waves)})[OUTPUTS[0]])

    return load


def whole(waves: np.ndarray) -> np.ndarray:
    """Lengths of waves without padding."""
    return np.full(len(waves), waves.shape[1], dtype=np.int64)


PROGRAMS: dict[str, Callable[[Path], Forward]] = {
    EAGER: theirs("eager"),
    SDPA: theirs("sdpa"),
    COMPILED: theirs("sdpa", compiled=True),
    TORCHAUDIO: torchaudio,
    ONNX: onnxruntime,
    OPENVINO: openvino("f32"),
}
OURS_BF16, OPENVINO_BF16 = "sew bf16", "openvino bf16"
PROGRAMS_AND_OURS = {
    OURS: ours(torch.float32),
    OURS_BF16: ours(torch.bfloat16),
    **PROGRAMS,
    OPENVINO_BF16: openvino("bf16"),
}


def _memory(told: dict[str, list[dict[str, Any]]], name: str, best: str | None) -> float | None:
    peaks = {each: max(trial["memory"] for trial in told[each]) for each in (name, best) if each}
    return round(peaks[name] / peaks[best], 3) if best and peaks[best] else None


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    frames = min(one.shape[1], other.shape[1])
    return float(np.abs(one[:, :frames] - other[:, :frames]).max() / np.abs(other).max())


if __name__ == "__main__":
    main()
