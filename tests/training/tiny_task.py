"""A task small enough to train in milliseconds, with everything the loop cares about: dropout, keyed loading, validation."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from sewcli.base.rng import numpy_rng
from sewcli.data.loading import WaveBatch
from sewcli.data.plan import BatchPlan
from sewcli.training.config import BatchConfig, CheckpointConfig, OptimConfig, RunConfig
from sewcli.training.health import Finding
from sewcli.training.task import StepResult


def tiny_config(**changes: Any) -> RunConfig:
    base: dict[str, Any] = {
        "model": "tiny",
        "updates": 12,
        "batch": BatchConfig(seconds=2, micro_seconds=0.5),
        "optim": OptimConfig(lr=1e-2, eps=1e-8, weight_decay=0.01),
        "checkpoint": CheckpointConfig(every=4, keep=2),
        "valid_every": 5,
        "log_every": 3,
        "tensorboard": False,
    }
    return RunConfig(**{**base, **changes})


class TinyTask:
    lower_is_better = True

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        self.model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Dropout(0.2), torch.nn.Linear(32, 1))
        self.plan = BatchPlan([2000] * 40, 8000, config.batch.micro_batches, config.seed)
        self.poisoned: set[int] = set()
        self.facts: dict[str, str] = {}

    def learning_rate(self, done: int) -> float:
        return self.config.optim.lr

    def load(self, micro_batch: tuple[int, ...], step: int, number: int) -> WaveBatch:
        waves = np.stack([numpy_rng(0, "wave", i).standard_normal(64, dtype=np.float32) for i in micro_batch])
        waves += numpy_rng(self.config.seed, "noise", step, number).standard_normal(waves.shape, dtype=np.float32) * 0.1
        return WaveBatch(tuple(f"u{i}" for i in micro_batch), waves, np.full(len(waves), 64, dtype=np.int64))

    def loss(self, batch: WaveBatch, step: int, number: int, device: torch.device) -> StepResult:
        waves = torch.from_numpy(batch.waves).to(device)
        error = (self.model(waves).squeeze(1) - waves.mean(1)).square()
        if step in self.poisoned:
            error = error * float("nan")
        size = torch.tensor(float(len(batch.ids)), device=device)
        return StepResult(error.sum(), size, {"absolute": error.detach().sqrt().sum()}, {"first": error.detach()[0]})

    def validate(self, step: int, device: torch.device, stop: Any) -> tuple[float, dict[str, Any]] | None:
        if stop:
            return None
        with torch.inference_mode():
            figure = float(self.model(torch.ones(1, 64, device=device)).abs())
        return figure, {"figure": figure}

    def panel(self, row: Any) -> str:
        return f"loss {row['loss']}"

    def findings(self, train: Any, valid: Any, window: int) -> list[Finding]:
        return []

    def save_model(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.model.state_dict(), folder / "model.safetensors")
