"""What the training loop trains: pre-training, fine-tuning, distillation and language models are each a `Task`.

A task reads a micro-batch, computes its loss, and validates; updates, checkpoints, metrics and signals are the loop's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sewcli.data.plan import BatchPlan, MicroBatch
from sewcli.training.config import LoopConfig
from sewcli.training.health import Finding, Row
from sewcli.training.stop import StopFlag


@dataclass
class StepResult:
    """One micro-batch's loss.

    loss: scalar, summed over `size` items, with its graph.
    size: what the summed gradient is divided by (masked frames, sentences).
    sums: other scalars to log; each is summed over micro-batches and ranks and divided by the summed `size`.
    means: scalars to log that are averaged over the micro-batches.
    """

    loss: torch.Tensor
    size: torch.Tensor
    sums: dict[str, torch.Tensor]
    means: dict[str, torch.Tensor]


class Task(ABC):
    """What the loop trains.

    config: the whole resolved config.
    model: what is trained.
    plan: which utterances go together.
    facts: what the model card says about the training.
    lower_is_better: how validation figures compare; None: the newest model is kept, whatever the validation says.
    """

    config: LoopConfig
    model: torch.nn.Module
    plan: BatchPlan
    facts: dict[str, str]
    lower_is_better: bool | None

    @abstractmethod
    def learning_rate(self, done: int) -> float:
        """For the update after `done` updates."""

    @abstractmethod
    def load(self, micro_batch: MicroBatch, step: int, number: int) -> Any:
        """Read a micro-batch (in a background thread)."""

    @abstractmethod
    def loss(self, batch: Any, step: int, number: int, device: torch.device) -> StepResult:
        """Forward pass of micro-batch `number` of update `step`, the model in training mode."""

    @abstractmethod
    def validate(self, step: int, device: torch.device, stop: StopFlag) -> tuple[float, dict[str, Any]] | None:
        """(the figure that decides which model is best, a row for metrics.jsonl), or None when `stop` came first.

        All ranks call it, may share the work, and get the same.
        """

    @abstractmethod
    def save_model(self, folder: Path) -> None:
        """Write a model folder."""

    @abstractmethod
    def panel(self, row: Row) -> str:
        """The row of an update in a line for the progress bar."""

    @abstractmethod
    def findings(self, train: Sequence[Row], valid: Sequence[Row], window: int) -> list[Finding]:
        """What is wrong with the run, by its newest rows of updates and its validations."""
