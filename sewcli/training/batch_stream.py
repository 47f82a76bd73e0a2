"""The micro-batches of a run, update by update, dealt out over the ranks and read ahead by threads.

Which they are is a function of the plan and the position alone: a run that goes on, on whatever number of ranks, gets the
micro-batches that an undisturbed one would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sewcli.base import dist
from sewcli.base.errors import DataError
from sewcli.data.loading import WaveBatch, pinned, read_ahead
from sewcli.data.plan import BatchPlan, MicroBatch, Position
from sewcli.training.checkpoint import TrainingState
from sewcli.training.config import BatchConfig
from sewcli.training.task import Task


class IndexedBatch(NamedTuple):
    """A micro-batch of an update: its number there, and its weight, which is 0 for a stand-in and else 1."""

    number: int
    batch: WaveBatch
    weight: float


@dataclass(frozen=True)
class LoadedUpdate:
    """An update's micro-batches on this rank.

    step: updates done before it.
    after: the position after it.
    of_all_ranks: how many micro-batches it has on all ranks.
    """

    step: int
    after: Position
    of_all_ranks: int
    batches: list[IndexedBatch] = field(default_factory=list)


class _Wanted(NamedTuple):
    """A micro-batch to read for `update`, which is complete after the one that is `last`."""

    update: LoadedUpdate
    number: int
    micro_batch: MicroBatch
    weight: float
    last: bool


def loaded_updates(
    task: Task, start: TrainingState, stop: Callable[[], bool], *, pin: bool = False
) -> Iterator[LoadedUpdate]:
    """The updates from `start` on, read ahead across updates.

    Without end, unless `stop` says yes while data are waited for. `pin`: in page-locked memory, for a GPU.
    """

    def load(item: _Wanted) -> WaveBatch:
        batch: WaveBatch = task.load(item.micro_batch, item.update.step, item.number)
        return pinned(batch) if pin else batch

    wanted = _of_this_rank(task.plan, start)
    for item, batch in read_ahead(wanted, load, threads=task.config.data.threads, stop=stop):
        item.update.batches.append(IndexedBatch(item.number, batch, item.weight))
        if item.last:
            yield item.update


def plan_batches(samples: Sequence[int], batch: BatchConfig, seed: int) -> BatchPlan:
    """The plan that a config asks for, over utterances of so many samples."""
    micro_samples = int(batch.micro_seconds * batch.samples)
    return BatchPlan(samples, micro_samples, batch.micro_batches, seed, batch.multiple, batch.jitter)


def _of_this_rank(plan: BatchPlan, start: TrainingState) -> Iterator[_Wanted]:
    rank, world = dist.rank(), dist.world_size()
    for step, (after, micro_batches) in enumerate(_in_order(plan, start.position), start=start.step):
        update = LoadedUpdate(step, after, len(micro_batches))
        own = [(number, 1.0) for number in range(rank, len(micro_batches), world)]
        own = own or [(rank % len(micro_batches), 0.0)]  # every rank takes part in every update
        for number, weight in own:
            yield _Wanted(update, number, micro_batches[number], weight, number == own[-1][0])


def _in_order(plan: BatchPlan, start: Position) -> Iterator[tuple[Position, list[MicroBatch]]]:
    """(the position after the update, its micro-batches), without end."""
    epoch, offset = start.epoch, start.offset
    while True:
        updates = plan.epoch(epoch)
        if offset and offset >= len(updates):
            raise DataError(
                "checkpoint-beyond-epoch",
                f"the checkpoint is from after update {offset} of epoch {epoch}, which has {len(updates)}",
                hint="prepare the corpus as it was, or go on from another checkpoint",
            )
        for number in range(offset, len(updates)):
            after = Position(epoch, number + 1) if number + 1 < len(updates) else Position(epoch + 1, 0)
            yield after, updates[number]
        epoch, offset = epoch + 1, 0
