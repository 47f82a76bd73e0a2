"""What led to updates that are not finite: names for the log, and the whole batch on disk to look into.

`exp/<name>/bad-batch/rank-<r>/` holds `batch.json` (update, rate, utterances of each micro-batch, and whether its loss was
finite) and `micro-<n>.npz`, the arrays exactly as the model got them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.base import dist
from sewcli.base.files import atomic_folder, write_json
from sewcli.training.batch_stream import IndexedBatch

FOLDER = "bad-batch"


def suspects(batches: Sequence[IndexedBatch], finite: Sequence[bool]) -> list[str]:
    """Utterances of the micro-batches whose loss is not finite; of all when it is the gradient on every rank.

    Args:
        batches: of this rank.
        finite: of each, whether its loss is.
    """
    bad = [each for each, good in zip(batches, finite, strict=True) if not good]
    if not dist.any_rank(bool(bad)):
        bad = [each for each in batches if each.weight]
    return [name for each in bad for name in each.batch.ids]


def dump(exp: Path, batches: Sequence[IndexedBatch], finite: Sequence[bool], step: int, lr: float) -> Path:
    """Write this rank's batches of update `step`, in place of what an earlier failure left.

    Args:
        exp: the experiment's folder.
        batches: of this rank.
        finite: of each, whether its loss is.
        step: updates done before this one.
        lr: its learning rate.
    """
    folder = exp / FOLDER / f"rank-{dist.rank()}"
    with atomic_folder(folder) as temporary:
        rows: list[dict[str, Any]] = []
        for (number, batch, weight), good in zip(batches, finite, strict=True):
            arrays = {f.name: getattr(batch, f.name) for f in fields(batch) if f.name != "ids"}
            np.savez(temporary / f"micro-{number}.npz", **arrays)
            rows.append({"number": number, "weight": weight, "finite": good, "ids": list(batch.ids)})
        write_json(temporary / "batch.json", {"update": step + 1, "lr": lr, "micro_batches": rows})
    return folder
