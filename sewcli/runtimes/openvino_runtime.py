"""OpenVINO as the runtime: a graph that is compiled once for a CPU and takes batches of any size and length.

The graph is the recogniser's own folder (`sew export --format openvino`, `sew quantize`) or made of its weights
(`openvino_graph`). Shapes: B batch, S samples, T frames, V symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sewcli.base.errors import DataError, UsageError
from sewcli.base.machine import usual_threads
from sewcli.data.loading import padded_waves
from sewcli.runtimes.acoustic_model import AcousticModel, Emissions, Precision
from sewcli.runtimes.graph_form import INPUTS, OUTPUTS, openvino_core, shortest
from sewcli.runtimes.openvino_folder import Graph

CPU_SECONDS = 30.0  # more would push the attention scores out of the cache
HINTS = {"auto": "f32", "fp32": "f32", "bf16": "bf16"}


class GraphModel(AcousticModel):
    """A graph on the CPU, by as many threads as `usual_threads` says.

    Args:
        graph: of a folder or of weights.
        precision: of what is not in eight bits; auto is fp32.

    Raises:
        UsageError: the extra `export` is not installed, or a precision that the CPU has not.
        DataError: the graph cannot be read, or is not one of a recogniser with this vocabulary.
    """

    batch_seconds = CPU_SECONDS

    def __init__(self, graph: Graph, precision: Precision = "auto") -> None:
        core = openvino_core()
        if precision not in HINTS:
            raise UsageError(
                "precision-needs-gpu", f"{precision} is for GPUs", hint="with OpenVINO: --precision fp32 or bf16"
            )
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UsageError(
                "no-bf16", "this processor has no bf16 products", hint="leave out --precision, or quantize the model"
            )
        self.config, self.symbols = graph.config, len(graph.vocabulary)
        self.numbers = graph.numbers
        self.precision = "bf16" if precision == "bf16" else "fp32"
        self.threads = usual_threads()
        self._shortest = shortest(graph.config)
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # processes side by side would all be tied to the same cores
        }
        try:
            network = graph.network()
            _check(network, self.symbols)
            self._compiled = core.compile_model(network, "CPU", options)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[-160:]
            raise DataError(
                "graph-damaged", f"OpenVINO cannot read this graph ({reason})", where=graph.folder
            ) from None

    def start(self, waves: Sequence[np.ndarray]) -> Callable[[], Emissions]:
        """See `AcousticModel`."""
        rows = [log_softmax(row) for row in self.logits(waves)]
        return lambda: rows

    def logits(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """(T, V) float32 of each wave (S,), of its true length."""
        padded, lengths = padded_waves(waves)
        if (missing := self._shortest - padded.shape[1]) > 0:
            padded = np.pad(padded, ((0, 0), (0, missing)))
        result = self._compiled(dict(zip(INPUTS, (padded, lengths), strict=True)))
        logits, frames = (result[name] for name in OUTPUTS)
        return [np.ascontiguousarray(row[:count]) for row, count in zip(logits, frames, strict=True)]

    def facts(self) -> dict[str, Any]:
        """Device, numbers, precision and threads."""
        return {
            "runtime": "openvino",
            "device": "cpu",
            "numbers": self.numbers,
            "precision": self.precision,
            "threads": self.threads,
        }


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities (T, V) of logits (T, V)."""
    below = logits - logits.max(axis=1, keepdims=True)
    scores: np.ndarray = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    return scores


def _check(network: Any, symbols: int) -> None:
    """Refuse graphs of something else."""
    names = [[next(iter(port.get_names()), "") for port in ports] for ports in (network.inputs, network.outputs)]
    if names != [list(INPUTS), list(OUTPUTS)]:
        raise RuntimeError(f"inputs and outputs are {names}")
    width = network.outputs[0].get_partial_shape()[2]
    if width.is_static and width.get_length() != symbols:
        raise RuntimeError(f"it has {width.get_length()} symbols, vocab.json has {symbols}")
