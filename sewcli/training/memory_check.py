"""The largest micro-batches first: too little memory shows in the first minute, not in the night.

Also `--dry-run`: everything is built, the largest micro-batches make one update, and what it took stands above the
whole config. A rehearsal leaves no trace in weights, statistics or random draws (these are keyed by step).
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from sewcli.base import dist, log
from sewcli.base.config import dump_yaml
from sewcli.base.errors import UsageError
from sewcli.base.rng import seed_torch
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.plan import BatchPlan, MicroBatch
from sewcli.models.encoder import ContextNetwork
from sewcli.training.precision import autocast, precision
from sewcli.training.task import Task

GIGABYTE = 2**30


def largest(plan: BatchPlan) -> list[MicroBatch]:
    """The micro-batches with most samples and with most pairs of samples (attention grows with the square)."""
    batches = [micro_batch for update in plan.epoch(0) for micro_batch in update]
    sizes = [(len(micro_batch), max(plan.samples[i] for i in micro_batch)) for micro_batch in batches]
    most = (
        max(range(len(batches)), key=[number * longest**power for number, longest in sizes].__getitem__)
        for power in (1, 2)
    )
    return [batches[place] for place in dict.fromkeys(most)]


def probe_memory(task: Task, device: torch.device) -> None:
    """Run the largest micro-batches forward and back, with room for the optimizer's state, and forget them.

    Raises:
        UsageError: not enough memory on the device.
    """
    rooms = [torch.empty_like(p, device=device) for p in task.model.parameters() if p.requires_grad for _ in range(2)]
    with state_preserved(task.model), layer_drop_disabled(task.model):
        for micro_batch in largest(task.plan):
            forward_and_back(task, micro_batch, device)
    del rooms


def forward_and_back(task: Task, micro_batch: MicroBatch, device: torch.device) -> None:
    """Add the gradients of a micro-batch.

    Raises:
        UsageError: not enough memory on the device.
    """
    task.model.train()
    batch = task.load(micro_batch, 0, 0)
    seed_torch(task.config.seed, "update", 0, 0)
    with out_of_memory(task, device):
        with autocast(precision(task.config, device), device):
            result = task.loss(batch, 0, 0, device)
        result.loss.backward()


@contextmanager
def out_of_memory(task: Task, device: torch.device) -> Iterator[None]:
    """Turn a device's lack of memory into an error that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError:
        batch = task.config.batch
        had = f" ({_total(device):.0f} GB)" if device.type == "cuda" else ""
        raise UsageError(
            "gpu-out-of-memory",
            f"out of memory on {device}{had} with {batch.micro_size:g} {batch.unit} in a forward pass",
            hint=f"--set batch.micro_{batch.unit}={batch.micro_size / 2:g} (twice as many passes make the same update; "
            f"BatchNorm, where a model has it, then sees half as much); or --precision bf16, {batch.shorter}, "
            "or a GPU that no other process uses",
        ) from None


def dry_run(task: Task, device: torch.device, parts: str) -> str:
    """Make one update of the largest micro-batches; returns what it took, and the config, as a YAML file.

    Args:
        task: with its model and data.
        device: where.
        parts: what was built, in a line.

    Returns:
        Nothing on ranks but the first.

    Raises:
        UsageError: not enough memory on the device.
    """
    config, plan = task.config, task.plan
    model = task.model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.optim.lr, fused=True)
    worst, passes = largest(plan), []
    with layer_drop_disabled(model):
        for micro_batch in worst * 2:  # the first round warms up, and finds the memory
            passes.append(_timed(device, partial(forward_and_back, task, micro_batch, device)))
        step = _timed(device, optimizer.step)
    each_pass = max(passes[len(worst) :])
    if not dist.is_main():
        return ""
    world, updates = dist.world_size(), plan.epoch(0)
    each = math.ceil(config.batch.micro_batches / world)
    update = each * each_pass + step
    unit = "GPU" if device.type == "cuda" else "CPU"
    shapes = "; ".join(f"{len(m)} of up to {max(plan.samples[i] for i in m) / SAMPLE_RATE:.1f} s" for m in worst)
    hours = update * config.updates / 3600
    lines = [
        parts,
        f"{len(updates)} updates an epoch; micro-batches an update: {config.batch.micro_batches}, "
        f"{each} on each of {world} {unit}{'s' * (world > 1)}; {useful_ranks(config.batch.micro_batches, world, unit)}",
        f"largest micro-batches, utterances: {shapes}",
        f"memory: {_memory(device)}",
        f"time: {each_pass:.3f} s a pass and {step:.3f} s a step, {update:.2f} s an update at most "
        f"({config.batch.size / update:.0f} {config.batch.speed[1]}), without waiting for files or other ranks",
        f"in all: {config.updates:,} updates, {hours * world:,.1f} {unit}-hours ({hours / 24:,.2f} days)",
    ]
    return "".join(f"# {line}\n" for line in lines) + dump_yaml(config)


def useful_ranks(micro_batches: int, world: int, unit: str) -> str:
    """How many devices make an update faster: each works on whole micro-batches, and waits for the one that has most."""
    most = f"up to {micro_batches} {unit}s are of use" if micro_batches > 1 else f"one {unit} is of use"
    each = -(-micro_batches // world)
    needed = -(-micro_batches // each)
    return most if needed == world else f"{most}, and {needed} would be as fast as {world}"


def warn_of_idle_ranks(task: Task) -> None:
    """Say so when there are more ranks than micro-batches an update."""
    micro_batches, world = task.config.batch.micro_batches, dist.world_size()
    if world > micro_batches:
        log.warn(
            f"{world} processes for {micro_batches} micro-batches an update: {world - micro_batches} of them do nothing that "
            f"counts\n  hint: run with {micro_batches} at most; more updates at once are another recipe"
        )


def _memory(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_reserved(device) / GIGABYTE:.1f} GB of {_total(device):.0f} GB"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB, this process in all"


def _total(device: torch.device) -> float:
    return torch.cuda.get_device_properties(device).total_memory / GIGABYTE


def _timed(device: torch.device, work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


@contextmanager
def state_preserved(model: torch.nn.Module) -> Iterator[None]:
    """Gradients are thrown away, and buffers (BatchNorm's statistics) put back."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers() if buffer is not None}
    try:
        yield
    finally:
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(before[name])


@contextmanager
def layer_drop_disabled(model: torch.nn.Module) -> Iterator[None]:
    """No layer is dropped: the most memory that an update can need."""
    networks = [module for module in model.modules() if isinstance(module, ContextNetwork)]
    try:
        for network in networks:
            network.layer_drop = 0.0
        yield
    finally:
        for network in networks:
            network.layer_drop = network.config.layer_drop
