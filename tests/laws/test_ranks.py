"""Two ranks train like one: the same draws, the same sums, the same statistics of BatchNorm layers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SETS = {
    "finetune": ["batch.seconds=8", "batch.micro_seconds=4", "extractor_gradient=1.0", "optim.lr=1e-3"],
    # three micro-batches for two ranks; and one, for which the second rank only stands in
    "pretrain": ["batch.seconds=12", "batch.micro_seconds=4", "data.min_seconds=0.6", "optim.lr=1e-3"],
    "pretrain-stand-in": ["batch.seconds=4", "batch.micro_seconds=4", "data.min_seconds=0.6", "optim.lr=1e-3"],
}


def train(kind: str, prepared: Path, exp: Path, launcher: list[str]) -> subprocess.CompletedProcess[str]:
    sets = [*SETS[kind], "valid_every=100", "tensorboard=false"]
    command = [
        *(*launcher, "-m", "sewcli.cli.app", kind.partition("-")[0], "--model", "sew-micro", "--updates", "5"),
        *("--device", "cpu", "--data", str(prepared), "--exp", str(exp)),
        *(word for setting in sets for word in ("--set", setting)),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment, check=False)


@pytest.mark.parametrize("kind", ["finetune", "pretrain", pytest.param("pretrain-stand-in", marks=pytest.mark.long)])
def test_two_ranks_equal_one(kind: str, prepared: Path, tmp_path: Path) -> None:
    one = train(kind, prepared, tmp_path / "one", [sys.executable])
    assert one.returncode == 0, one.stderr
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = train(kind, prepared, tmp_path / "two", torchrun)
    assert two.returncode == 0, two.stderr
    first, second = (load_file(tmp_path / exp / "checkpoints/step-5/model.safetensors") for exp in ("one", "two"))
    assert (kind == "finetune") == (not any("running_mean" in name for name in first))
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=1e-4, atol=2e-5, msg=name)
    rows = [
        [json.loads(line) for line in (tmp_path / exp / "metrics.jsonl").read_text().splitlines()]
        for exp in ("one", "two")
    ]
    losses = [[row["loss"] for row in run if "kind" not in row] for run in rows]
    assert len(losses[0]) == 5
    torch.testing.assert_close(torch.tensor(losses[1]), torch.tensor(losses[0]), rtol=1e-5, atol=0)
    for said in ("parameters on cpu", "train: ", "update 5: "):
        assert two.stderr.count(said) == 1, two.stderr
