"""The largest batches first, without a trace; memory that is too small is explained; --dry-run prints and writes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from test_tasks import CPU, finetuning, pretraining
from tiny_task import TinyTask, tiny_config

from sewcli.base.errors import UsageError
from sewcli.data.plan import BatchPlan
from sewcli.training import memory_check
from sewcli.training.config import PretrainConfig
from sewcli.training.loop import train
from sewcli.training.recipes import compose


def test_the_largest_micro_batches() -> None:
    plan = BatchPlan([16_000 * (1 + n % 13) for n in range(300)], 16_000 * 40, 4, 1)
    padded = lambda m: len(m) * max(plan.samples[i] for i in m)  # noqa: E731
    square = lambda m: len(m) * max(plan.samples[i] for i in m) ** 2  # noqa: E731
    everything = [m for update in plan.epoch(0) for m in update]
    chosen = memory_check.largest(plan)
    assert 1 <= len(chosen) <= 2 and set(chosen) <= set(everything)
    assert max(map(padded, chosen)) == max(map(padded, everything))
    assert max(map(square, chosen)) == max(map(square, everything))
    assert memory_check.largest(BatchPlan([5, 5], 10, 1, 1)) == [(0, 1)] or memory_check.largest(
        BatchPlan([5, 5], 10, 1, 1)
    ) == [(1, 0)]


def test_a_memory_check_leaves_no_trace(prepared: Path, tmp_path: Path) -> None:
    """BatchNorm's statistics included: what follows is bit for bit the same with and without it."""
    states = []
    for rehearsed in (True, False):
        task = pretraining(prepared, "updates=2", "valid_every=99", "optim.lr=1e-2", "overrides.layer_drop=0.3")
        before = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
        if rehearsed:
            memory_check.probe_memory(task, CPU)
            assert all(torch.equal(tensor, before[name]) for name, tensor in task.model.state_dict().items())
            assert all(parameter.grad is None for parameter in task.model.parameters())
            assert task.model.encoder.context.layer_drop == 0.3
        train(task, tmp_path / str(rehearsed), CPU)
        states.append(task.model.state_dict())
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_no_layer_is_dropped_in_it(prepared: Path) -> None:
    task, ran = finetuning(prepared, "overrides.layer_drop=0.99"), []
    for layer in task.model.encoder.context.layers:
        layer.register_forward_hook(lambda *_: ran.append(1))
    memory_check.probe_memory(task, CPU)
    assert len(ran) == len(task.model.encoder.context.layers) * len(memory_check.largest(task.plan))


class Hungry(TinyTask):
    """Runs out of memory in the first update, or only when told to."""

    def loss(self, batch, step, number, device):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def test_too_little_memory_is_explained(tmp_path: Path) -> None:
    for work in (lambda t: memory_check.probe_memory(t, CPU), lambda t: train(t, tmp_path, CPU)):
        with pytest.raises(UsageError, match=r"out of memory on cpu with 0\.5 seconds in a forward pass") as caught:
            work(Hungry(tiny_config()))
        assert "--set batch.micro_seconds=0.25" in str(caught.value) and caught.value.exit_code == 2


def test_half_of_a_micro_batch_makes_the_same_update() -> None:
    whole = compose(PretrainConfig, "pretrain", "100k", {}, [])
    half = compose(PretrainConfig, "pretrain", "100k", {}, [f"batch.micro_seconds={whole.batch.micro_seconds / 2:g}"])
    assert half.batch.micro_batches == 2 * whole.batch.micro_batches


@pytest.mark.parametrize("verb", ["pretrain", "finetune"])
def test_a_dry_run_prints_costs_and_config_and_writes_nothing(
    verb: str, prepared: Path, tmp_path: Path, sew: Callable
) -> None:
    sets = ["batch.seconds=12", "batch.micro_seconds=4", "data.min_seconds=0.6", "updates=36000"]
    options = [word for setting in sets for word in ("--set", setting)]
    done = sew(verb, "--model", "sew-micro", "--data", prepared, "--device", "cpu", *options, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if line.startswith("# ")]
    assert "sew-micro" in shown[0] and "parameters on cpu" in shown[0]
    assert "micro-batches an update: 3, 3 on each of 1 CPU" in shown[1]
    assert "memory: " in shown[3] and " GB" in shown[3]
    update = float(shown[4].split(" s an update")[0].rpartition(" ")[2])
    hours = float(shown[5].split(" CPU-hours")[0].rpartition(" ")[2].replace(",", ""))
    assert hours == pytest.approx(update * 36_000 / 3600, rel=0.02, abs=0.06)
    assert yaml.safe_load(done.stdout)["updates"] == 36_000, "a config to go on with"
    assert list(tmp_path.iterdir()) == []
