"""The base of every task that learns from cuts: its utterances, their reader, and the plan of its batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sewcli.data.plan import BatchPlan
from sewcli.data.reader import Reader
from sewcli.data.utterances import Utterance
from sewcli.training.batch_stream import plan_batches
from sewcli.training.config import RunConfig
from sewcli.training.task import Task


class CutsTask(Task):
    """A task with the cuts that it learns from.

    Args:
        config: of the run.
        model: what learns.
        train, valid: utterances.
        reader: of `train`.
        longest: samples to which longer utterances are cropped; None crops none.
    """

    config: RunConfig

    def __init__(
        self,
        config: RunConfig,
        model: torch.nn.Module,
        train: Sequence[Utterance],
        valid: Sequence[Utterance],
        reader: Reader | None = None,
        *,
        longest: int | None = None,
    ) -> None:
        self.config, self.model, self.longest = config, model, longest
        self.train, self.valid = list(train), list(valid)
        self.reader = reader or Reader(train)
        self.facts: dict[str, str] = {}
        self.plan = self.planned(self.train)

    def planned(self, utterances: Sequence[Utterance]) -> BatchPlan:
        """The batches that the config asks for, of some utterances."""
        samples = [u.samples if self.longest is None else min(u.samples, self.longest) for u in utterances]
        return plan_batches(samples, self.config.batch, self.config.seed)
