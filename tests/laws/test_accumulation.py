"""The accumulation law: eight micro-batches of one process are four each of two ranks, and one each of eight.

Draws, batches and BatchNorm's statistics belong to a micro-batch, whoever computes it: only the order in which gradients
are added differs, and that by the rounding of fp32. Held over several updates at the recipe's learning rate.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import ranks

UPDATES, MICRO_BATCHES = 6, 8


def train(prepared: Path, folder: Path, number: int, head: str) -> Path:
    exp = folder / f"{number}-ranks"
    sets = [
        *("batch.seconds=16", "batch.micro_seconds=2", f"overrides.predictor={head}", "data.min_seconds=0.6"),
        *("optim.lr=5e-4", "schedule.warmup_updates=5", "checkpoint.every=1", f"checkpoint.keep={UPDATES}"),
        *("valid_every=100", "tensorboard=false"),
    ]
    command = ["pretrain", "--model", "sew-micro", "--data", str(prepared), "--exp", str(exp)]
    command += ["--updates", str(UPDATES), *(word for setting in sets for word in ("--set", setting))]
    job = ranks.start(command, folder / f"job-{number}", number)
    assert job.wait() == 0, job.log
    return exp


def losses(exp: Path) -> torch.Tensor:
    rows = [json.loads(line) for line in (exp / "metrics.jsonl").read_text().splitlines()]
    return torch.tensor([row["loss"] for row in rows if "kind" not in row], dtype=torch.float64)


def tensors(exp: Path, step: int, name: str) -> dict[str, torch.Tensor]:
    return load_file(exp / f"checkpoints/step-{step}/{name}.safetensors")


@pytest.mark.parametrize(
    ("number", "head"),
    [
        (2, "linear"),
        pytest.param(8, "linear", marks=pytest.mark.long),
        pytest.param(2, "mlp-norm", marks=pytest.mark.long),
        pytest.param(8, "mlp-norm", marks=pytest.mark.long),
    ],
)
def test_ranks_are_accumulation(number: int, head: str, prepared: Path, tmp_path: Path) -> None:
    one, many = train(prepared, tmp_path, 1, head), train(prepared, tmp_path, number, head)
    ours, theirs = losses(many), losses(one)
    print(f"\n{head}, {number} ranks: largest relative difference of a loss {((ours / theirs) - 1).abs().max():.1e}")
    assert len(ours) == UPDATES and ours[0] == theirs[0], "the same weights, and the sums are in float64"
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)

    first, second = (tensors(exp, 1, "optimizer") for exp in (many, one))
    moments = [name for name in first if name.endswith(":exp_avg")]  # 0.1 of the first gradient
    total = float(torch.stack([second[name].norm() for name in moments]).norm())
    for name in moments:  # that of a key's bias is zero but for rounding: softmax does not see it
        assert float((first[name] - second[name]).norm()) <= 1e-6 * float(second[name].norm()) + 1e-9 * total, name

    for step in range(1, UPDATES + 1):
        weights, expected = (tensors(exp, step, "model") for exp in (many, one))
        for name, tensor in expected.items():
            close = 2e-6 if head == "linear" else 1e-4  # BatchNorm divides by the deviations of a few dozen frames
            assert float((weights[name] - tensor).abs().max()) <= close, (step, name)
