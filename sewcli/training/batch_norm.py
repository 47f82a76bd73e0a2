"""Running statistics of BatchNorm layers (SEW's predictor heads), the same on any number of ranks.

A rank sees only its own micro-batches and would follow their statistics alone. Here each micro-batch's share is noted, and
once an update all shares are applied on all ranks in the order of the micro-batches: what one rank would have got from all
of them. An update that is skipped and a micro-batch that only stands in for a missing one leave no trace.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn

from sewcli.base import dist


class RunningStatistics:
    """Of the BatchNorm layers of a model (N values in all); a model without any costs nothing."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d) and m.track_running_stats]
        self._shares: dict[int, Tensor] = {}
        self._before: tuple[Tensor, list[Tensor]] | None = None

    def before_forward(self) -> None:
        """Call before each forward pass: what the layers then add to zeros is the micro-batch's share."""
        if self._layers and self._before is None:
            self._before = self._read(), [_count(layer).clone() for layer in self._layers]
        self._write(None)

    def after_forward(self, number: int, weight: float) -> None:
        """Call after the forward pass of micro-batch `number`; weight 0: it only stood in."""
        if self._layers and weight:
            self._shares[number] = self._read()

    def finish(self, micro_batches: int, *, keep: Tensor) -> None:
        """Call on all ranks after an update of so many micro-batches; keep: whether it counts (a scalar, on the device)."""
        if self._before is None:
            return
        before, counts = self._before
        shares = torch.zeros(micro_batches, len(before), device=before.device)
        for number, share in self._shares.items():
            shares[number] = share
        statistics = before
        for share in dist.sum_(shares):
            statistics = statistics * self._decay + share
        self._write(torch.where(keep, statistics, before))
        for layer, count in zip(self._layers, counts, strict=True):
            _count(layer).copy_(count + micro_batches * keep)
        self._before, self._shares = None, {}

    def _buffers(self) -> list[Tensor]:
        return [b for layer in self._layers for b in (layer.running_mean, layer.running_var) if b is not None]

    def _read(self) -> Tensor:
        return torch.cat(self._buffers())

    def _write(self, statistics: Tensor | None) -> None:
        place = 0
        for buffer in self._buffers():
            if statistics is None:
                buffer.zero_()
            else:
                buffer.copy_(statistics[place : place + len(buffer)])
            place += len(buffer)

    @cached_property
    def _decay(self) -> Tensor:
        """What is left of a value after one micro-batch, for each of the N."""
        momenta = [layer.momentum for layer in self._layers for _ in range(2)]
        assert None not in momenta, "a cumulative average depends on how many micro-batches came before"
        parts = [torch.full_like(b, 1.0 - (m or 0.0)) for b, m in zip(self._buffers(), momenta, strict=True)]
        return torch.cat(parts)


def _count(layer: nn.BatchNorm1d) -> Tensor:
    assert layer.num_batches_tracked is not None
    return layer.num_batches_tracked
