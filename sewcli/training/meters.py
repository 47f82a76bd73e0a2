"""What a run tells: one row an update in `metrics.jsonl` (the truth), TensorBoard derived from it, a progress bar.

Rows are kept as device tensors and written together now and then, so that looking at a loss does not stall a GPU. A row
holds nothing but functions of the step, except `seconds`, `audio_per_second` and `memory_mb`.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import torch

from sewcli.artifacts.experiment_folder import METRICS, TENSORBOARD
from sewcli.base.errors import DataError
from sewcli.base.files import os_errors_as_usage_errors, read_jsonl, write_jsonl
from sewcli.base.log import warn

PAST = 4000  # rows kept from before


class Metrics:
    """Appends rows to an experiment's `metrics.jsonl`, after dropping those beyond the update it resumes from."""

    def __init__(self, folder: Path, *, resumed_at: int, tensorboard: bool) -> None:
        self.path = folder / METRICS
        self.past: list[dict[str, Any]] = []
        """The last rows of the run that this one goes on with."""
        self._resume(resumed_at)
        self._waiting: list[dict[str, Any]] = []
        self._board: Any = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / TENSORBOARD), purge_step=resumed_at + 1)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row (its values may be tensors on a device) for the next `flush`."""
        self._waiting.append(row)

    def flush(self) -> list[dict[str, Any]]:
        """Write what is waiting; returns it as plain numbers."""
        rows = _plain(self._waiting)
        self._waiting.clear()
        if rows:
            with os_errors_as_usage_errors(self.path), open(self.path, "a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
                file.flush()
                os.fsync(file.fileno())
        if self._board is not None:
            for row in rows:
                for name, value in row.items():
                    if name not in ("step", "kind") and isinstance(value, (int, float)):
                        self._board.add_scalar(f"{row.get('kind', 'train')}/{name}", value, row["step"])
        return rows

    def close(self) -> None:
        """Write what is waiting and close TensorBoard's file."""
        self.flush()
        if self._board is not None:
            self._board.close()

    def _resume(self, step: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            return
        kept = []
        try:
            for row in read_jsonl(self.path):
                if not isinstance(row.get("step"), int):
                    raise DataError("invalid-metrics", "a row without its step", where=self.path)
                if row["step"] <= step:
                    kept.append(row)
        except (
            DataError
        ) as error:  # a kill may leave half a line at the end; rows up to a checkpoint were synced before it
            if step and (not kept or kept[-1]["step"] < step):
                warn(f"{error.where}: {error.what}; the rows after it are lost, training goes on")
        write_jsonl(self.path, kept)
        self.past = kept[-PAST:]


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of plain values; all tensors in them are fetched from their device together."""
    tensors = [value for row in rows for value in row.values() if isinstance(value, torch.Tensor)]
    numbers = iter(torch.stack([tensor.double() for tensor in tensors]).tolist() if tensors else ())
    return [
        {name: _finite(next(numbers) if isinstance(value, torch.Tensor) else value) for name, value in row.items()}
        for row in rows
    ]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value  # JSON has no NaN
