"""The mean of a run's last checkpoints: exact, an ordinary model folder, with BatchNorm statistics of its own weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.refusals import refused
from test_tasks import CPU, finetuning, pretraining
from tiny_task import TinyTask, tiny_config

from sewcli.base.errors import DataError, UsageError
from sewcli.models.folder import load_ctc, load_pretraining
from sewcli.training import checkpoint
from sewcli.training.average import FOLDER, average_run, mean_weights, measure_norms
from sewcli.training.config import CheckpointConfig
from sewcli.training.loop import train
from sewcli.training.recipes import compose

KEEP = {"checkpoint": CheckpointConfig(every=2, keep=4)}


def test_the_mean_is_taken_in_float64() -> None:
    """1 + 2 e and 1 - e average to 1 + e / 2; in float32, and in float16 sums, the small part would be lost."""
    states = [
        {
            "w": torch.full((3,), value, dtype=torch.float32),
            "h": torch.tensor([60_000.0]).half(),
            "n": torch.tensor([n]),
        }
        for n, value in enumerate((1.0, 1.0 + 2**-22, 1.0 - 2**-23, 3.0))
    ]
    mean = mean_weights(iter(states))
    exact = sum(float(state["w"][0]) for state in states) / 4
    assert mean["w"].dtype == torch.float32 and float(mean["w"][0]) == float(torch.tensor(exact, dtype=torch.float32))
    assert float(mean["h"]) == 60_000.0 and int(mean["n"]) == 3


def test_a_run_ends_in_the_mean_of_its_checkpoints(tmp_path: Path, capsys) -> None:
    task = TinyTask(tiny_config(average=3, **KEEP))
    train(task, tmp_path, CPU)
    average_run(task, tmp_path, CPU)
    steps = [load_file(tmp_path / "checkpoints" / f"step-{n}" / checkpoint.WEIGHTS) for n in (8, 10, 12)]
    averaged = load_file(tmp_path / FOLDER / "model.safetensors")
    for name, tensor in averaged.items():
        expected = sum(step[name].double() for step in steps) / 3
        assert torch.equal(tensor, expected.float()) and not torch.equal(tensor, steps[-1][name])
    said = " ".join(capsys.readouterr().err.split())
    assert "mean of updates 8, 10, 12: figure" in said and task.facts["Weights"] == "mean of updates 8, 10, 12"


def test_a_recogniser_that_was_averaged_is_an_ordinary_folder(prepared: Path, tmp_path: Path, capsys) -> None:
    task = finetuning(prepared, "updates=3", "checkpoint.every=1", "checkpoint.keep=3", "average=3", "optim.lr=1e-2")
    train(task, tmp_path, CPU)
    average_run(task, tmp_path, CPU)
    model, vocabulary = load_ctc(tmp_path / FOLDER)
    states = [load_file(tmp_path / "checkpoints" / f"step-{n}" / checkpoint.WEIGHTS) for n in (1, 2, 3)]
    expected = sum(state["head.weight"].double() for state in states) / 3
    assert torch.equal(model.head.weight, expected.float()) and vocabulary == task.vocabulary
    assert "mean of updates 1, 2, 3" in (tmp_path / FOLDER / "README.md").read_text()
    before = (tmp_path / FOLDER / "model.safetensors").stat().st_mtime_ns
    average_run(task, tmp_path, CPU)
    assert (tmp_path / FOLDER / "model.safetensors").stat().st_mtime_ns == before
    assert "averaged already" in capsys.readouterr().err


def test_statistics_are_those_of_the_averaged_weights(prepared: Path, tmp_path: Path) -> None:
    """They equal what the heads see when the averaged model runs, and not the mean of the checkpoints' statistics."""
    task = pretraining(prepared, "updates=3", "checkpoint.every=1", "checkpoint.keep=3", "average=3", "optim.lr=1e-1")
    train(task, tmp_path, CPU)
    average_run(task, tmp_path, CPU)
    model = load_pretraining(tmp_path / FOLDER)
    states = [load_file(tmp_path / "checkpoints" / f"step-{n}" / checkpoint.WEIGHTS) for n in (1, 2, 3)]
    mean = sum(state["context_head.0.weight"].double() for state in states) / 3
    assert torch.equal(model.context_head[0].weight, mean.float())
    seen: list[torch.Tensor] = []
    task.model.context_head[1].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].detach()))
    measure_norms(task, CPU)
    assert len(seen) == sum(len(update) for update in task.plan.epoch(0)[:4]) > 4
    norm = model.context_head[1]
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean(0) for x in seen]).mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, torch.stack([x.var(0) for x in seen]).mean(0), rtol=1e-4, atol=1e-5)
    stale = sum(state["context_head.1.running_var"].double() for state in states) / 3
    assert not torch.allclose(norm.running_var.double(), stale, rtol=0.05)
    assert task.model.context_head[1].momentum == 0.1


def test_too_few_and_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    task = TinyTask(tiny_config(**KEEP))
    train(task, tmp_path, CPU)
    with pytest.raises(DataError, match="5 checkpoints are wanted, and there are 4"):
        checkpoint.last(tmp_path / "checkpoints", 5)
    damaged = tmp_path / "checkpoints" / "step-8" / checkpoint.WEIGHTS
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    assert [folder.name for folder in checkpoint.last(tmp_path / "checkpoints", 2)] == ["step-10", "step-12"]
    with refused(DataError, "checkpoint-damaged") as caught:
        checkpoint.last(tmp_path / "checkpoints", 3)
    assert caught.value.where == damaged.parent and "2 newer ones" in str(caught.value)


def test_a_run_must_keep_what_it_averages() -> None:
    from sewcli.training.config import FinetuneConfig

    with pytest.raises(UsageError, match=r"average = 5 checkpoints, and checkpoint\.keep = 2"):
        compose(FinetuneConfig, "finetune", None, {"model": "sew-micro"}, ["average=5"])
