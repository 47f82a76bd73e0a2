"""The batch plan: which utterances go together in which update, a function of (seed, epoch) and of nothing else.

Utterances of like length share a micro-batch (one forward pass on one device); an update is a group of micro-batches that
ranks deal out among themselves. World size plays no part in the plan, so a run can be resumed on another number of GPUs.
SEW section 4.1: 5600 s an update, 87.5 s (1.4 M samples) a micro-batch. With `multiple` 8 and `jitter` 0 the micro-batches
are those of fairseq's `batch_by_size`: longest utterances first, those of equal length in random order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sewcli.base.errors import UsageError
from sewcli.base.rng import numpy_rng

MicroBatch = tuple[int, ...]  # indices of utterances
JITTER = 0.05  # the default: new company every epoch, for 3 to 4 % of the audio cropped away or padded


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
        multiple: a micro-batch of more utterances than this holds a multiple of it (fairseq's
            `required_batch_size_multiple`).
        jitter: share of its length by which an utterance may be misplaced in the sort by length.
    """

    samples: Sequence[int]
    micro_samples: int
    micro_batches: int
    seed: int
    multiple: int = 1
    jitter: float = JITTER

    def __post_init__(self) -> None:
        if not len(self.samples):
            raise UsageError(
                "no-usable-utterance",
                "no utterance is left to train on",
                hint="look at the filters of length in the config's data section",
            )

    def epoch(self, epoch: int) -> list[list[MicroBatch]]:
        """The updates of one epoch, in order; the last may have fewer micro-batches."""
        rng = numpy_rng(self.seed, "batch-plan", epoch)
        lengths = np.asarray(self.samples, dtype=np.float64)
        if self.jitter:
            lengths = lengths * rng.uniform(1 - self.jitter, 1 + self.jitter, len(lengths))
        order = np.lexsort((rng.permutation(len(lengths)), -lengths))
        micro_batches = self._pack(order.tolist())
        shuffled = [micro_batches[i] for i in rng.permutation(len(micro_batches))]
        return [shuffled[i : i + self.micro_batches] for i in range(0, len(shuffled), self.micro_batches)]

    def _pack(self, order: list[int]) -> list[MicroBatch]:
        """Cut the order into micro-batches.

        The current one is order[start:end]; what follows is its tail, which joins it when both together have an allowed
        number of utterances. When they get too large, the tail is the next micro-batch (or, if it is too large itself, two).
        """
        packed: list[MicroBatch] = []
        start = end = longest = tail_longest = 0
        for place, index in enumerate(order):
            tail_longest = max(tail_longest, self.samples[index])
            grown, count = max(longest, tail_longest), place + 1 - start
            if place and grown * count > self.micro_samples:
                packed.append(tuple(order[start:end]))
                start = end
                if place > start and tail_longest * (place + 1 - start) > self.micro_samples:
                    packed.append(tuple(order[start:place]))
                    start, tail_longest = place, self.samples[index]
                end, longest, tail_longest = place + 1, tail_longest, 0
            elif count < self.multiple or count % self.multiple == 0:
                end, longest, tail_longest = place + 1, grown, 0
        packed.append(tuple(order[start:end]))
        if end < len(order):
            packed.append(tuple(order[end:]))
        return packed
