"""An acoustic model that is ready to run: waves in, emissions out, whatever computes them.

PyTorch on a CPU or a GPU is one runtime (`pytorch`), a compiled graph another (`graph`). Who decodes knows none of them.
Shapes: S samples, T frames, V symbols.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from sewcli.models.config import ModelConfig

Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
Emissions = list[np.ndarray]  # (T, V) float32 log-probabilities of each utterance, contiguous, of its true length


class AcousticModel(ABC):
    """A recogniser's network on the device where it runs."""

    config: ModelConfig
    symbols: int
    """V."""
    batch_seconds: float
    """Padded audio that a batch should hold here."""
    waits: bool = True
    """Whether `start` comes back only when all is computed, as on a CPU."""

    @abstractmethod
    def start(self, waves: Sequence[np.ndarray]) -> Callable[[], Emissions]:
        """Begin with a batch of waves (S,), each long enough for a frame; what comes back waits for the result.

        The batch an utterance is in changes nothing in its emission.

        Raises:
            UsageError: one utterance alone does not fit into the memory.
        """

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Runtime, device, precision and threads, for reports."""

    def run(self, waves: Sequence[np.ndarray]) -> Emissions:
        """Emissions of a batch."""
        return self.start(waves)()
