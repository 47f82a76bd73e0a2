"""A training run from a task that is ready: every verb that trains on cuts ends here, whatever it trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from sewcli.base import log
from sewcli.data.utterances import Utterance
from sewcli.training.attention import choose_attention
from sewcli.training.average import average_run
from sewcli.training.cuts_task import CutsTask
from sewcli.training.experiment import open_experiment, record_data, report_rejected
from sewcli.training.loop import train as train_loop
from sewcli.training.memory_check import dry_run, warn_of_idle_ranks


def run_experiment(task: CutsTask, exp: Path, device: torch.device, what: str, *, dry: bool) -> str:
    """Train, from the beginning or from where it was stopped, and tell of audio that could not be read.

    Args:
        task: with its model, data and reader.
        exp: the experiment's folder.
        device: where.
        what: the model, in a line.
        dry: only make one update of the largest batches, and write nothing.

    Returns:
        Of a dry run what it took, and the config; else nothing.

    Raises:
        PartialError: all is done, but some audio could not be read.
        SewError: whatever the loop stops at.
    """
    choose_attention(task.model, task.config, device)
    warn_of_idle_ranks(task)
    if dry:
        hours = " and ".join(f"{_hours(cuts):.2f} h" for cuts in (task.train, task.valid))
        return dry_run(task, device, f"{what}; {hours} to train and to validate on")
    open_experiment(exp, task.config)
    record_data(exp, task.train, task.valid)
    task.reader.list_left_out()
    log.info(f"{exp}: {what}")
    train_loop(task, exp, device)
    average_run(task, exp, device)
    report_rejected(task.reader)
    return ""


def _hours(cuts: Sequence[Utterance]) -> float:
    return sum(u.seconds for u in cuts) / 3600
