"""What the host is told of each update: whether it was finite, and the few other numbers that it acts upon.

One copy an update from the device, without waiting for it: the facts of an update are looked at when the next one has been
handed to the device, so that there is always work to do. (A CPU computes when it is told to: there they come at once.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

import torch

T = TypeVar("T")


class DeferredResults(Generic[T]):
    """Updates whose facts are on their way.

    Args:
        device: where the facts are computed.
        behind: how many updates may be handed to the device before the facts of the first are waited for.
    """

    def __init__(self, device: torch.device, behind: int | None = None) -> None:
        self.behind = behind if behind is not None else int(device.type == "cuda")
        self._waiting: deque[tuple[T, torch.Tensor, torch.cuda.Event | None]] = deque()

    def put(self, update: T, facts: torch.Tensor) -> Iterator[tuple[T, list[float]]]:
        """Take in the facts (N,) of an update; yields (update, facts) of those that are to be looked at now."""
        event = None
        if facts.is_cuda:
            there = torch.empty(facts.shape, dtype=facts.dtype, pin_memory=True)
            facts = there.copy_(facts, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        self._waiting.append((update, facts, event))
        yield from self._down_to(self.behind)

    def drain(self) -> Iterator[tuple[T, list[float]]]:
        """(update, facts) of all that are left: before anything is written that they may forbid."""
        yield from self._down_to(0)

    def _down_to(self, number: int) -> Iterator[tuple[T, list[float]]]:
        while len(self._waiting) > number:
            update, facts, event = self._waiting.popleft()
            if event is not None:
                event.synchronize()
            yield update, facts.tolist()
