"""Running statistics of BatchNorm layers: those of one rank that sees every micro-batch, in order, and of nothing else."""

import copy
from pathlib import Path

import pytest
import torch
from tiny_task import TinyTask, tiny_config
from torch import nn

from sewcli.base import dist
from sewcli.training.batch_norm import RunningStatistics
from sewcli.training.loop import train


def model() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.BatchNorm1d(16, momentum=0.3), nn.Linear(16, 1)]
    made = nn.Sequential(*layers).train()
    made(torch.randn(32, 8))  # statistics that are not the first ones
    return made


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def close(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return all(torch.allclose(one[name].float(), two[name].float(), rtol=1e-6, atol=1e-7) for name in one)


@pytest.fixture
def batches() -> list[torch.Tensor]:
    return [torch.randn(20, 8, generator=torch.Generator().manual_seed(n)) * (n + 1) for n in range(5)]


def update(module: nn.Module, batches: list[torch.Tensor], numbers: range, *, keep: bool = True) -> None:
    statistics = RunningStatistics(module)
    for number in numbers:
        statistics.before_forward()
        module(batches[number])
        statistics.after_forward(number, 1.0)
    statistics.finish(len(batches), keep=torch.tensor(keep))


def test_one_rank_gets_what_torch_gives(batches: list[torch.Tensor]) -> None:
    ours, plain = model(), model()
    for _ in range(3):
        update(ours, batches, range(5))
        for batch in batches:
            plain(batch)
    assert close(state(ours), state(plain)) and int(ours[1].num_batches_tracked) == 16


def test_several_ranks_get_it_too(batches: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange between real processes is proved in tests/laws/test_ranks.py; here each rank's share is looked at."""
    plain, sent = model(), []
    for batch in batches:
        plain(batch)
    ranks = [model(), model()]
    monkeypatch.setattr(dist, "sum_", lambda tensor: sent.append(tensor.clone()) or tensor)
    for rank, each in enumerate(copy.deepcopy(ranks)):
        update(each, batches, range(rank, 5, 2))
    monkeypatch.setattr(dist, "sum_", lambda tensor: sent[0] + sent[1])
    for rank, each in enumerate(ranks):
        update(each, batches, range(rank, 5, 2))
        assert close(state(each), state(plain))
    assert all(torch.equal(a, b) for a, b in zip(state(ranks[0]).values(), state(ranks[1]).values(), strict=True))


def test_a_stand_in_and_a_skipped_update_leave_no_trace(batches: list[torch.Tensor]) -> None:
    module = model()
    before = state(module)
    statistics = RunningStatistics(module)
    statistics.before_forward()
    module(batches[0])
    statistics.after_forward(0, 0.0)
    statistics.finish(0, keep=torch.tensor(True))
    assert all(torch.equal(buffer, before[name]) for name, buffer in state(module).items())
    update(module, [batch * float("nan") for batch in batches], range(5), keep=False)
    assert all(torch.equal(buffer, before[name]) for name, buffer in state(module).items())


def test_a_model_without_such_layers_is_left_alone() -> None:
    update(nn.Linear(8, 1), [torch.ones(1, 8)], range(1))


def test_an_update_with_nan_spoils_no_validation(tmp_path: Path) -> None:
    """The loop skips the update; the statistics that its forward pass saw must go with it."""

    class Normed(TinyTask):
        def __init__(self, config) -> None:
            super().__init__(config)
            self.model.insert(1, nn.BatchNorm1d(32))

        def load(self, micro_batch, step, number):
            batch = super().load(micro_batch, step, number)
            batch.waves[:] *= float("nan") if step == 3 else 1.0
            return batch

    task = Normed(tiny_config(updates=6))
    train(task, tmp_path, torch.device("cpu"))
    assert all(torch.isfinite(buffer).all() for buffer in task.model.buffers())
    sizes = [len(micro_batches) for epoch in (0, 1) for micro_batches in task.plan.epoch(epoch)]
    assert int(task.model[1].num_batches_tracked) == sum(sizes[:6]) - sizes[3]
