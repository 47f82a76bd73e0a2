"""The micro-batches of a run, update by update, dealt out over the ranks and read ahead by threads.

Which they are is a function of the plan and the position alone: a run that goes on, on whatever number of ranks, gets the
micro-batches that an undisturbed one would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from sewcli.base import dist
from sewcli.base.errors import DataError
from sewcli.data.loading import WaveBatch, pinned, read_ahead
from sewcli.data.plan import BatchPlan, MicroBatch, Position
from sewcli.training.checkpoint import TrainingState
from sewcli.training.config import BatchConfig

if TYPE_CHECKING:
    from sewcli.training.loop import Task

IndexedBatch = tuple[int, WaveBatch, float]
"""(number in the update, batch, weight: 0 for a stand-in, else 1)"""


def loaded_updates(
    task: Task, start: TrainingState, stop: Callable[[], bool], *, pin: bool = False
) -> Iterator[tuple[Position, int, int, list[IndexedBatch]]]:
    """(position after the update, step, micro-batches of all ranks, those of this rank), read ahead across updates.

    Without end, unless `stop` says yes while data are waited for. `pin`: in page-locked memory, for a GPU.
    """
    rank, world = dist.rank(), dist.world_size()

    def wanted() -> Iterator[tuple[Position, int, int, int, MicroBatch, float, bool]]:
        for step, (position, micro_batches) in enumerate(_in_order(task.plan, start.position), start=start.step):
            count = len(micro_batches)
            own = [(number, 1.0) for number in range(rank, count, world)]
            own = own or [(rank % count, 0.0)]  # every rank takes part in every update
            for number, weight in own:
                yield position, step, count, number, micro_batches[number], weight, number == own[-1][0]

    def load(item: tuple[Position, int, int, int, MicroBatch, float, bool]) -> WaveBatch:
        batch: WaveBatch = task.load(item[4], item[1], item[3])
        return pinned(batch) if pin else batch

    batches: list[IndexedBatch] = []
    threads = task.config.data.threads
    items = read_ahead(wanted(), load, threads=threads, stop=stop)
    for (position, step, count, number, _, weight, last), batch in items:
        batches.append((number, batch, weight))
        if last:
            yield position, step, count, batches
            batches = []


def plan_batches(samples: Sequence[int], batch: BatchConfig, seed: int) -> BatchPlan:
    """The plan that a config asks for, over utterances of so many samples."""
    micro_samples = int(batch.micro_seconds * batch.samples)
    return BatchPlan(samples, micro_samples, batch.micro_batches, seed, batch.multiple, batch.jitter)


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
