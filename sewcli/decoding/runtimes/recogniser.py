"""A recogniser by its files: what it is, at once; its network, on its device and in its runtime, when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from sewcli.decoding.runtimes.acoustic import AcousticModel, Precision
from sewcli.decoding.runtimes.pytorch import TorchModel
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_source, open_source

Runtime = Literal["torch"]


@dataclass(frozen=True)
class RuntimeOptions:
    """By what a network is computed, and how exactly; `auto` is fp32, on a GPU by tf32 products."""

    runtime: Runtime = "torch"
    precision: Precision = "auto"

    def marks(self) -> list[str]:
        """What of this may change emissions."""
        return [] if self == RuntimeOptions() else [f"{self.runtime} {self.precision}"]


BY_TORCH = RuntimeOptions()


class Recogniser:
    """A recogniser's config and vocabulary, and its network on demand.

    Args:
        weights: its folder or file.
        device: chooses where it runs; asked once, when it has to.
        options: how it runs.

    Raises:
        UsageError: no such model, or not a recogniser.
        DataError: a file is missing, broken, or does not fit the others.
    """

    def __init__(self, weights: Path, device: Callable[[], torch.device], options: RuntimeOptions = BY_TORCH) -> None:
        self.weights, self.options = weights, options
        self._source = open_source(weights, expect="ctc")
        assert self._source.vocabulary is not None
        self.config, self.vocabulary = self._source.config, self._source.vocabulary
        self._choose = device
        self._model: AcousticModel | None = None

    def start(self) -> AcousticModel:
        """Its network, ready to run.

        Raises:
            DataError: weights that are broken, or do not fit.
            UsageError: a device or a precision that is not there.
        """
        if self._model is None:
            network, _ = load_source(self._source)
            assert isinstance(network, CTCModel)
            self._model = TorchModel.prepare(network, self._choose(), self.options.precision)
        return self._model
