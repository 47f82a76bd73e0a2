"""One update: forward and backward passes of its micro-batches, sums over the ranks, the optimizer's step.

Gradients are summed and divided by the summed size of the loss. Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sewcli.base import dist
from sewcli.base.rng import seed_torch
from sewcli.training.batch_norm import RunningStatistics
from sewcli.training.batch_stream import IndexedBatch, LoadedUpdate
from sewcli.training.memory_check import out_of_memory
from sewcli.training.precision import autocast, precision
from sewcli.training.task import Task

MIN_SCALE = 1e-4  # fp16 gradients that overflow even at this scale are not finite for good


class Updater:
    """Makes updates of a task's model."""

    def __init__(self, task: Task, device: torch.device, optimizer: torch.optim.Optimizer) -> None:
        self.task, self.device, self.optimizer = task, device, optimizer
        self.dtype = precision(task.config, device)
        self.scaler = torch.amp.grad_scaler.GradScaler(
            device.type, enabled=self.dtype is torch.float16, init_scale=128.0
        )
        self.parameters = [p for p in task.model.parameters() if p.requires_grad]
        self.statistics = RunningStatistics(task.model)

    def update(self, update: LoadedUpdate, lr: float) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """One optimizer step on this rank's micro-batches, with learning rate `lr`; nothing here waits for the device.

        Returns:
            The row to log, and what the host acts upon: whether all was finite (otherwise the update was skipped), audio
            samples of all ranks, and whether the loss of each micro-batch of this rank was finite.
        """
        self.task.model.train()
        totals, each_finite = self._accumulate(update.batches, update.step)
        new = [p for p in self.parameters if p not in self.optimizer.state]
        learned = dist.any_each([p.grad is not None for p in new])
        for parameter in self.parameters:  # a layer dropped in every micro-batch still takes part, with a zero gradient
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._reduce(totals)
        self._skip_untouched_parameters(new, learned)
        norm = self._scale_gradients(totals["size"])
        finite = torch.isfinite(norm) & torch.isfinite(totals["loss"])
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.statistics.finish(update.of_all_ranks, keep=finite)
        self.optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined] # the fused kernel then leaves all as it is
        self.optimizer.step()
        if self.scaler.is_enabled():
            self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        facts = torch.stack([finite.double(), totals.pop("audio_samples"), *(each.double() for each in each_finite)])
        return _row(totals) | {"grad_norm": norm}, facts

    def overflows(self) -> bool:
        """Whether fp16 gradients that are not finite only say that the loss scale is still too large."""
        return self.scaler.is_enabled() and self.scaler.get_scale() > MIN_SCALE

    def _accumulate(self, batches: list[IndexedBatch], step: int) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
        totals: dict[str, torch.Tensor] = {}
        finite = []
        for number, batch, weight in batches:
            seed_torch(self.task.config.seed, "update", step, number)
            self.statistics.before_forward()
            with out_of_memory(self.task, self.device):
                with autocast(self.dtype, self.device):
                    result = self.task.loss(batch, step, number, self.device)
                self.scaler.scale(result.loss * weight).backward()
            self.statistics.after_forward(number, weight)
            finite.append(torch.isfinite(result.loss.detach()))
            values = {"loss": result.loss, "size": result.size, **result.sums}
            values |= {f"mean:{name}": value for name, value in result.means.items()}
            values |= {"micro_batches": torch.ones((), device=self.device)}
            values |= {"audio_samples": torch.full((), float(batch.samples), device=self.device)}
            for name, value in values.items():
                totals[name] = totals.get(name, 0.0) + value.detach().double() * weight
        return totals, finite

    def _reduce(self, totals: dict[str, torch.Tensor]) -> None:
        if dist.world_size() == 1:
            return
        names = sorted(totals)
        totals.update(zip(names, dist.sum_(torch.stack([totals[name] for name in names])), strict=True))
        flat = dist.sum_(torch.cat([p.grad.flatten() for p in self.parameters if p.grad is not None]))
        for parameter, gradient in zip(self.parameters, flat.split([p.numel() for p in self.parameters]), strict=True):
            parameter.grad = gradient.view_as(parameter)

    def _skip_untouched_parameters(self, new: Sequence[torch.Tensor], learned: Sequence[bool]) -> None:
        """No weight decay for a frozen parameter: nothing happens to one before its first gradient that is not zero.

        Args:
            new: parameters that the optimizer has not met.
            learned: whether each of them got a gradient, on any rank.
        """
        for parameter, touched in zip(new, learned, strict=True):
            if not touched:
                parameter.grad = None
        touched_now = [p for p in new if p.grad is not None]
        if not touched_now:
            return
        norms = torch.stack(torch._foreach_norm([p.grad for p in touched_now if p.grad is not None], float("inf")))
        for parameter, moved in zip(touched_now, (norms != 0).tolist(), strict=True):  # NaN is not zero
            if not moved:
                parameter.grad = None

    def _scale_gradients(self, size: torch.Tensor) -> torch.Tensor:
        if self.scaler.is_enabled():
            self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        torch._foreach_mul_(gradients, (1.0 / size.clamp(min=1)).float())
        norm = torch.nn.utils.get_total_norm(gradients)
        if limit := self.task.config.optim.clip_norm:
            torch._foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp(max=1.0))
        return norm


def _row(totals: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    size, micro_batches = totals["size"].clamp(min=1), totals["micro_batches"]
    row = {"size": totals["size"]}
    for name, value in totals.items():
        if name not in ("size", "micro_batches"):
            mean, _, rest = name.rpartition(":")
            row[rest] = value / (micro_batches if mean else size)
    return row
