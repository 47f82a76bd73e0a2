"""A recogniser by its files: what it is, at once; its network, on its device and in its runtime, when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

from sewcli.base.errors import UsageError
from sewcli.models.opening import open_source
from sewcli.models.source import Source
from sewcli.runtimes.acoustic_model import AcousticModel, Precision
from sewcli.runtimes.openvino_folder import graph_of_source, is_graph, open_graph
from sewcli.runtimes.openvino_runtime import GraphModel

Runtime = Literal["auto", "torch", "openvino"]


@dataclass(frozen=True)
class RuntimeOptions:
    """By what a network is computed, and how exactly.

    runtime: `auto` is OpenVINO for a graph, and PyTorch for weights. precision: `auto` is fp32, on a GPU by tf32 products.
    """

    runtime: Runtime = "auto"
    precision: Precision = "auto"

    def marks(self) -> list[str]:
        """What of this may change emissions."""
        return [] if self.runtime != "openvino" and self.precision == "auto" else [f"{self.runtime} {self.precision}"]


AUTO = RuntimeOptions()


class Recogniser:
    """A recogniser's config and vocabulary, and its network on demand.

    Args:
        weights: its folder or file, or the folder of its graph.
        device: chooses where it runs; asked once, when it has to; a graph runs on the CPU.
        options: how it runs.

    Raises:
        UsageError: no such model, not a recogniser, or one that this runtime has no use for.
        DataError: a file is missing, broken, or does not fit the others.
    """

    def __init__(self, weights: Path, device: Callable[[], torch.device], options: RuntimeOptions = AUTO) -> None:
        self.weights = weights
        self.options = replace(options, runtime=runtime_of(weights, options.runtime))
        self._graph = open_graph(weights) if is_graph(weights) else None
        self._source = None if self._graph else open_source(weights, expect="ctc")
        about = self._graph or self._source
        assert about is not None and about.vocabulary is not None
        self.config, self.vocabulary = about.config, about.vocabulary
        self._choose = device
        self._model: AcousticModel | None = None

    def start(self) -> AcousticModel:
        """Its network, ready to run.

        Raises:
            DataError: weights that are broken, or do not fit.
            UsageError: a device or a precision that is not there.
        """
        if self._model is None:
            precision = self.options.precision
            if self._graph or self.options.runtime == "openvino":
                self._model = GraphModel(self._graph or graph_of_source(self._opened()), precision)
            else:
                self._model = _by_torch(self._opened(), self._choose(), precision)
        return self._model

    def _opened(self) -> Source:
        assert self._source is not None
        return self._source


def _by_torch(source: Source, device: torch.device, precision: Precision) -> AcousticModel:
    from sewcli.models.ctc import CTCModel  # seconds that a graph need not wait
    from sewcli.models.folder import load_source
    from sewcli.runtimes.torch_runtime import TorchModel

    network, _ = load_source(source)
    assert isinstance(network, CTCModel)
    return TorchModel.prepare(network, device, precision)


def runtime_of(model: Path, wanted: Runtime) -> Runtime:
    """What computes a model: what is wanted, or what fits its files.

    Raises:
        UsageError: PyTorch for a graph.
    """
    if is_graph(model) and wanted == "torch":
        raise UsageError(
            "graph-needs-openvino", "a graph is OpenVINO's, not PyTorch's", where=model, hint="leave out --runtime"
        )
    return wanted if wanted != "auto" else "openvino" if is_graph(model) else "torch"
