"""The batch plan: which utterances go together in which update, a function of (seed, epoch) and of nothing else.

Utterances of like length share a micro-batch (one forward pass on one device); an update is a group of micro-batches that
ranks deal out among themselves. World size plays no part in the plan, so a run can be resumed on another number of GPUs.
SEW section 5 and fairseq: 5600 s an update, 87.5 s (1.4 M samples) a micro-batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sewcli.base.errors import UsageError
from sewcli.base.rng import numpy_rng

MicroBatch = tuple[int, ...]  # indices of utterances
JITTER = 0.05  # share of its length by which an utterance may be misplaced in the sort: new company every epoch


@dataclass(frozen=True)
class Position:
    """A place in the training data: `offset` updates of epoch `epoch` are done."""

    epoch: int = 0
    offset: int = 0


@dataclass(frozen=True)
class BatchPlan:
    """Plans epochs over utterances.

    Args:
        samples: length of each utterance, as it counts for batching (already capped at the crop).
        micro_samples: padded samples a micro-batch may hold; a longer utterance is a micro-batch by itself.
        micro_batches: micro-batches an update (gradient accumulation times ranks).
        seed: the run's seed.
    """

    samples: Sequence[int]
    micro_samples: int
    micro_batches: int
    seed: int

    def __post_init__(self) -> None:
        if not len(self.samples):
            raise UsageError(
                "no utterance is left to train on", mend="look at the filters of length in the config's data section"
            )

    def epoch(self, epoch: int) -> list[list[MicroBatch]]:
        """The updates of one epoch, in order; the last may have fewer micro-batches."""
        rng = numpy_rng(self.seed, "batch-plan", epoch)
        lengths = np.asarray(self.samples, dtype=np.float64)
        order = np.argsort(lengths * rng.uniform(1 - JITTER, 1 + JITTER, len(lengths)), kind="stable")
        micro_batches = self._pack(order)
        shuffled = [micro_batches[i] for i in rng.permutation(len(micro_batches))]
        return [shuffled[i : i + self.micro_batches] for i in range(0, len(shuffled), self.micro_batches)]

    def _pack(self, order: np.ndarray) -> list[MicroBatch]:
        packed: list[MicroBatch] = []
        current: list[int] = []
        longest = 0
        for index in order.tolist():
            grown = max(longest, self.samples[index])
            if current and grown * (len(current) + 1) > self.micro_samples:
                packed.append(tuple(current))
                current, grown = [], self.samples[index]
            current.append(index)
            longest = grown
        packed.append(tuple(current))
        return packed
