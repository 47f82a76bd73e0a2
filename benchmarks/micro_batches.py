"""What the size of a micro-batch changes: the same update of 32 utterances in one piece, and cut into 2, 4 and 8.

    sew prep librispeech --mini
    python benchmarks/micro_batches.py data/mini   # writes benchmarks/results/micro_batches.json

The utterances, crops, masks and distractors are the same each time, there is no dropout, layer drop or Gumbel noise, and
the weights are the same: fresh ones, and those after some updates with the recipe's learning rates. Each term is the sum
over the update by its number of frames, beside the update in one piece; and so is the gradient (norm of the difference).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from machine import circumstances

from sewcli.base.files import write_json
from sewcli.base.rng import seed_torch
from sewcli.data.utterances import read_split, splits
from sewcli.models import pretraining
from sewcli.models.pretraining import PretrainingModel
from sewcli.nn.contrastive import draw_others
from sewcli.training.config import PretrainConfig
from sewcli.training.loop import train
from sewcli.training.pretrain import Pretraining, new_or_loaded, select
from sewcli.training.recipes import compose

CPU = torch.device("cpu")
UTTERANCES, PARTS = 32, (1, 2, 4, 8)
QUIET = ("dropout", "attention_dropout", "activation_dropout", "input_dropout", "feature_dropout", "layer_drop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a corpus that `sew prep` wrote")
    parser.add_argument("--model", default="sew-micro")
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/micro_batches.json"))
    given = parser.parse_args()
    rows = []
    for head in ("linear", "mlp-norm"):
        for updates in (0, given.updates):
            task = trained(given.data, given.model, head, updates)
            row = {"head": head, "updates": updates, "beside one piece": beside_one_piece(task)}
            rows.append(row)
            print(row)
    record = {
        **circumstances(
            ("torch",),
            command=f"python benchmarks/micro_batches.py {given.data.name} --model {given.model} --updates {given.updates}",
        ),
        "utterances": UTTERANCES,
        "rows": rows,
    }
    write_json(given.out, record)


def trained(data: Path, model: str, head: str, updates: int) -> Pretraining:
    """The task after so many updates."""
    flags: dict[str, Any] = {"model": model, "updates": max(updates, 1), "data": {"dir": str(data)}}
    sets = ["batch.seconds=8", "batch.micro_seconds=8", f"overrides.predictor={head}", "data.min_seconds=1"]
    sets += ["schedule.warmup_updates=30", "valid_every=1000", "tensorboard=false"]
    config = compose(PretrainConfig, "pretrain", None, flags, sets)
    seed_torch(config.seed, "initial-weights")
    splits_of_train = [s for s in splits(data) if s.startswith("train")]
    cuts = select([u for s in splits_of_train for u in read_split(data, s)], config)
    task = Pretraining(config, new_or_loaded(config), cuts, cuts[:1])
    if updates:
        with tempfile.TemporaryDirectory() as folder:
            train(task, Path(folder), CPU)
    quiet = PretrainingModel(task.model.config.model_copy(update=dict.fromkeys(QUIET, 0.0) | {"gumbel_noise": False}))
    quiet.load_state_dict(task.model.state_dict())
    task.model = quiet
    return task


def beside_one_piece(task: Pretraining) -> dict[str, dict[str, float]]:
    """{parts: {what: relative difference from the update in one piece}}."""
    order = sorted(range(len(task.train)), key=lambda i: -task.train[i].samples)
    batch = task.load(tuple(order[:UTTERANCES]), 0, 0)
    found = {parts: of_parts(task, batch, parts) for parts in PARTS}
    whole, gradient = found[1]
    differences = {}
    for parts in PARTS[1:]:
        terms, other = found[parts]
        row = {name: abs(terms[name] / whole[name] - 1) for name in whole}
        row["gradient"] = float((other - gradient).norm() / gradient.norm())
        differences[str(parts)] = {name: float(f"{value:.2g}") for name, value in row.items()}
    return differences


def of_parts(task: Pretraining, batch: Any, parts: int) -> tuple[dict[str, float], torch.Tensor]:
    """(terms, gradient) of the update cut into so many micro-batches."""
    torch.manual_seed(1)
    frames = batch.predicted.shape[1]
    distractors = draw_others(torch.arange(frames).expand(UTTERANCES, frames), frames, task.model.config.negatives)
    task.model.train()
    task.model.zero_grad()
    terms = dict.fromkeys(("contrastive", "diversity", "penalty"), 0.0)
    each = UTTERANCES // parts
    for first in range(0, UTTERANCES, each):
        rows = slice(first, first + each)
        waves, lengths, mask, predicted = (
            torch.from_numpy(array[rows]) for array in (batch.waves, batch.lengths, batch.mask, batch.predicted)
        )
        with patch.object(pretraining, "draw_others", lambda *_, rows=rows: distractors[rows]):
            output = task.model(waves, lengths, mask, 2.0, predicted)
        output.loss.backward()
        for name in terms:
            terms[name] += float(getattr(output, name))
    gradient = torch.cat([p.grad.flatten().double() for p in task.model.parameters() if p.grad is not None])
    return terms, gradient


if __name__ == "__main__":
    main()
