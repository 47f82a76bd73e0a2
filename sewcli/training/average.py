"""One model out of a run's last checkpoints: the mean of their weights, in float64.

BatchNorm statistics belong to the weights that made them, and their mean belongs to none: they are measured again with
the averaged weights, on the batches of the run's first updates. Counters are those of the newest checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from sewcli.artifacts.experiment_folder import CHECKPOINTS
from sewcli.base import dist, log
from sewcli.base.rng import seed_torch
from sewcli.models.folder import CARD
from sewcli.training import checkpoint
from sewcli.training.precision import autocast, precision
from sewcli.training.stop import StopFlag
from sewcli.training.task import Task

FOLDER = "model-average"
NORM_UPDATES = 4  # updates whose micro-batches the statistics are measured on
STATISTICS = ("running_mean", "running_var")


def average_run(task: Task, exp: Path, device: torch.device) -> None:
    """Write the mean of the last `average` checkpoints of a finished run into `exp/model-average`, if that is wanted.

    Raises:
        DataError: fewer checkpoints than asked for, or one of them is damaged.
    """
    number = task.config.average
    if number:
        chosen = checkpoint.last(exp / CHECKPOINTS, number)
        steps = ", ".join(folder.name.removeprefix("step-") for folder in chosen)
        told = f"mean of updates {steps}"
        card = exp / FOLDER / CARD
        if dist.any_rank(dist.is_main() and card.is_file() and told in card.read_text(encoding="utf-8")):
            log.info(f"{exp / FOLDER}: {told}, averaged already")
        else:
            task.model.load_state_dict(mean_weights(checkpoint.read_weights(folder, task.model) for folder in chosen))
            measure_norms(task, device)
            task.model.eval()
            outcome = task.validate(task.config.updates, device, StopFlag())
            assert outcome is not None
            task.facts["Weights"] = told
            if dist.is_main():
                task.save_model(exp / FOLDER)
            shown = (
                f"{name.replace('_', ' ')} {value:.4g}"
                for name, value in outcome[1].items()
                if isinstance(value, float)
            )
            log.info(f"{exp / FOLDER}: {told}: {', '.join(shown)}")
    dist.barrier()


def mean_weights(states: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each floating tensor, summed in float64; other tensors, and BatchNorm statistics, from the last state."""
    sums: dict[str, Tensor] = {}
    last: dict[str, Tensor] = {}
    number = 0
    for state in states:
        last, number = state, number + 1
        for name, tensor in state.items():
            if tensor.is_floating_point() and not name.endswith(STATISTICS):
                sums[name] = sums.get(name, 0.0) + tensor.double()
    return {name: (sums[name] / number).to(tensor.dtype) if name in sums else tensor for name, tensor in last.items()}


def measure_norms(task: Task, device: torch.device, updates: int = NORM_UPDATES) -> None:
    """Set the statistics of every BatchNorm to their mean over the micro-batches of the first `updates`."""
    norms = [module for module in task.model.modules() if isinstance(module, nn.BatchNorm1d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
    task.model.train()
    dtype = precision(task.config, device)
    with torch.no_grad(), log.progress("statistics of the averaged model", updates) as bar:
        for step, micro_batches in enumerate(task.plan.epoch(0)[:updates]):
            for number, micro_batch in enumerate(micro_batches):
                seed_torch(task.config.seed, "update", step, number)
                with autocast(dtype, device):
                    task.loss(task.load(micro_batch, step, number), step, number, device)
            bar.advance()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
