"""The one training loop: pre-training, fine-tuning and distillation are `Task`s of it.

An update sums the gradients of its micro-batches over accumulation and ranks and divides by the summed size of the loss
(masked frames in pre-training, sentences in fine-tuning). Every random draw is keyed by (seed, step, micro-batch), so a
run resumed from any checkpoint, and one on another number of ranks, makes the same draws.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch

from sewcli.artifacts.experiment_folder import CHECKPOINTS, MODEL
from sewcli.base import dist, log
from sewcli.base.errors import DataError, PoliteStop
from sewcli.base.files import remove_leftovers, restore_interrupted_swap
from sewcli.training import checkpoint
from sewcli.training.bad_batch import dump, suspects
from sewcli.training.batch_stream import LoadedUpdate, loaded_updates
from sewcli.training.checkpoint import TrainingState
from sewcli.training.deferred_results import DeferredResults
from sewcli.training.health import Finding, Watch, window_of
from sewcli.training.memory_check import probe_memory
from sewcli.training.meters import Metrics
from sewcli.training.stop import StopFlag, stop_signals
from sewcli.training.task import Task
from sewcli.training.updater import Updater

MAX_BAD_UPDATES = 3  # updates in a row whose loss or gradient is not finite


def train(task: Task, exp: Path, device: torch.device) -> TrainingState:
    """Run `task` in the experiment folder until its last update, going on from the newest whole checkpoint.

    Raises:
        PoliteStop: SIGTERM or SIGUSR1 came; a checkpoint is on disk.
        KeyboardInterrupt: Ctrl-C came; a checkpoint is on disk.
        DataError: no finite loss in three updates in a row, damaged checkpoints, or a run that never had a model to write.
        UsageError: not enough memory on the device.
    """
    config = task.config
    task.model.to(device)
    optimizer = torch.optim.AdamW(
        task.model.parameters(),
        lr=config.optim.lr,
        betas=config.optim.betas,
        eps=config.optim.eps,
        weight_decay=config.optim.weight_decay,
        fused=True,
    )
    if dist.is_main():
        restore_interrupted_swap(exp / MODEL)
        remove_leftovers(exp)
    state = _resume(task, exp, optimizer)
    if state.step >= config.updates and not state.validation_due:
        _restore_model(task, exp, device, state)
        _require_model(exp, state)
        return state
    if device.type == "cuda":
        probe_memory(task, device)
    metrics = Metrics(exp, resumed_at=state.step, tensorboard=config.tensorboard) if dist.is_main() else None
    try:
        with stop_signals() as stop:
            state = _Run(task, exp, device, optimizer, state, metrics, stop).run()
    finally:
        if metrics:
            metrics.close()
    _require_model(exp, state)
    return state


def _resume(task: Task, exp: Path, optimizer: torch.optim.Optimizer) -> TrainingState:
    latest = checkpoint.newest(exp / CHECKPOINTS)
    if latest is None:
        return TrainingState()
    state = checkpoint.load(latest, task.model, optimizer)
    if state.step >= task.config.updates:
        log.info(f"{exp}: all {task.config.updates} updates are done")
    else:
        log.info(f"{exp}: going on from update {state.step} of {task.config.updates} ({latest.name})")
        if state.best is not None and not (exp / MODEL).exists():
            log.warn(f"{exp / MODEL} is gone; the next validation writes it, whatever its figure")
            state = replace(state, best=None)
    return state


def _restore_model(task: Task, exp: Path, device: torch.device, state: TrainingState) -> None:
    """Write the model folder of a finished run again when it is gone; the weights are those of the last update."""
    if not dist.any_rank(dist.is_main() and not (exp / MODEL).exists()):
        return
    log.warn(f"{exp / MODEL} is gone; writing it from the last checkpoint (update {state.step})")
    task.model.eval()
    with stop_signals() as stop:
        outcome = task.validate(state.step, device, stop)
        if outcome is None:
            _exit_after_signal(stop, "stopped before the model was written", exp)
    figure, row = outcome
    if not math.isfinite(figure):
        log.warn(f"validation gives {figure}; {exp / MODEL} is not written")
        return
    if dist.is_main():
        task.save_model(exp / MODEL)
    log.info(f"{exp.name}: update {state.step}: {_pretty(row)}")
    order = task.lower_is_better
    if order is not None and state.best is not None and figure != state.best and (state.best < figure) == order:
        log.warn(f"the model that is gone was of an earlier update and better ({state.best:.4g}, now {figure:.4g})")


def _require_model(exp: Path, state: TrainingState) -> None:
    if dist.any_rank(dist.is_main() and not (exp / MODEL).exists()):
        raise DataError(
            "no-model",
            f"all {state.step} updates are done, and there is no model: no validation gave a finite figure",
            where=exp / MODEL,
            hint="lower the learning rate (--set optim.lr=...) or optim.weight_decay in a run with another --exp, and look "
            f"at the losses in metrics.jsonl; checkpoints/step-{state.step} is kept",
        )


def _exit_after_signal(stop: StopFlag, done: str, exp: Path) -> NoReturn:
    if stop.signal is not None and stop.signal.name == "SIGINT":
        raise KeyboardInterrupt(f"{exp}: {done}; its checkpoint is on disk")
    raise PoliteStop("stopped-by-signal", done, where=exp, hint="run the same command to go on")


@dataclass
class _Run:
    """The loop itself."""

    task: Task
    exp: Path
    device: torch.device
    optimizer: torch.optim.Optimizer
    state: TrainingState
    metrics: Metrics | None
    stop: StopFlag
    collapse: Finding | None = None
    bad: int = 0
    """Updates in a row that were not finite."""
    audio_samples: float = 0.0
    """Since the speed was told last, at the time `since`."""

    def __post_init__(self) -> None:
        config = self.task.config
        self.since, self.saved = time.monotonic(), self.state
        self.updater = Updater(self.task, self.device, self.optimizer)
        self.results: DeferredResults[_Attempt] = DeferredResults(self.device)
        self.watch = Watch(self.task.findings, window_of(config.health, config.updates))
        if self.metrics is not None:
            self.watch.history.add(self.metrics.past)

    def run(self) -> TrainingState:
        config = self.task.config
        if self.state.scaler:
            self.updater.scaler.load_state_dict(self.state.scaler)
        if self.state.validation_due:
            self._validate()
        with log.progress(self.exp.name, config.updates, done=self.state.step) as bar:
            pin = self.device.type == "cuda"
            loaded = loaded_updates(self.task, self.state, lambda: bool(self.stop), pin=pin)
            while self.state.step < config.updates:
                update = next(loaded, None)  # None: told to stop while waiting for data
                if dist.any_rank(update is None or bool(self.stop)):
                    break
                assert update is not None
                bar.advance(note=self._advance(update))
                if self.state.step == config.updates or self.state.step % config.checkpoint.every == 0:
                    self._save()
        self._save()
        if self.state.step < config.updates or self.state.validation_due:
            _exit_after_signal(self.stop, f"stopped at update {self.state.step} of {config.updates}", self.exp)
        return self.state

    def _advance(self, update: LoadedUpdate) -> str:
        """One update, and what is due after it; returns what the progress bar says."""
        config, lr, done = self.task.config, self.task.learning_rate(update.step), update.step + 1
        row, facts = self.updater.update(update, lr)
        self._process(self.results.put(_Attempt(update, lr), facts))
        self.state = replace(self.state, step=done, position=update.after)
        if self.metrics:
            self.metrics.add({"step": done, "epoch": update.after.epoch, **row, "lr": lr})
        note, last = "", self.state.step == config.updates
        if telling := self.state.step % config.log_every == 0 or last:
            self._process(self.results.drain())
            note = self._log_metrics(self.audio_samples / config.batch.samples / (time.monotonic() - self.since))
            self.audio_samples, self.since = 0.0, time.monotonic()
        if telling and config.health.stop and dist.any_rank(self.collapse is not None):
            self._abort_collapsed()
        if last or (self.state.step % config.valid_every == 0 and self.state.step >= config.valid_from):
            started = time.monotonic()
            self._validate()
            self.since += time.monotonic() - started
        return note

    def _process(self, results: Iterator[tuple[_Attempt, list[float]]]) -> None:
        for attempt, (finite, audio_samples, *each_finite) in results:
            self.audio_samples += audio_samples
            if finite or self.updater.overflows():
                self.bad = 0
            else:
                self.bad += 1
                self._report_nonfinite(attempt, [bool(good) for good in each_finite])

    def _report_nonfinite(self, attempt: _Attempt, finite: list[bool]) -> None:
        update = attempt.update
        names = " ".join(suspects(update.batches, finite))
        text = f"update {update.step + 1}: the loss or its gradient is not finite; skipped ({names})"
        log.warn(text, every_rank=True)
        if self.bad == MAX_BAD_UPDATES:
            raise DataError(
                "loss-not-finite",
                f"no finite loss in {self.bad} updates in a row, the last with {names}",
                where=dump(self.exp, update.batches, finite, update.step, attempt.lr),
                hint="look at these utterances, lower the learning rate (--set optim.lr=...), or use --precision fp32",
            )

    def _log_metrics(self, speed: float) -> str:
        if self.metrics is None:
            return ""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if self.device.type == "cuda":
            memory = torch.cuda.max_memory_allocated(self.device) / 2**20
        name, unit = self.task.config.batch.speed
        self.metrics.add({"step": self.state.step, "kind": "speed", name: speed, "memory_mb": memory})
        self._flush()
        self.collapse = self.watch.judge(self.state.step)
        return f"{self.task.panel(self.watch.history.train[-1])}, {speed:.0f} {unit}"

    def _flush(self) -> None:
        if self.metrics is not None:
            self.watch.history.add(self.metrics.flush())

    def _abort_collapsed(self) -> NoReturn:
        self._save()
        found = self.collapse or Finding("", "the run has collapsed (rank 0 says how)", "see rank 0")
        kept = f"checkpoints/step-{self.state.step} is kept; --set health.stop=false goes on all the same"
        raise DataError("training-collapsed", found.what, where=self.exp, hint=f"{found.hint}; {kept}")

    def _validate(self) -> None:
        self._process(self.results.drain())
        self.task.model.eval()
        outcome = self.task.validate(self.state.step, self.device, self.stop)
        due = dist.any_rank(outcome is None)
        if outcome is not None and not due:
            self._judge(*outcome)
        self.state = replace(self.state, validation_due=due)

    def _judge(self, figure: float, row: dict[str, Any]) -> None:
        """Keep the row of a validation, and the model if it is the best so far."""
        order, finite = self.task.lower_is_better, math.isfinite(figure)
        better = finite and (order is None or self.state.best is None or (figure < self.state.best) == order)
        if self.metrics is not None:
            self.metrics.add({"step": self.state.step, "kind": "valid", **row})
            self._flush()
        if not finite:
            log.warn(f"update {self.state.step}: validation gave {figure}; {self.exp / MODEL} stays as it was")
        if better:
            self.state = replace(self.state, best=figure)
            if dist.is_main():
                self.task.save_model(self.exp / MODEL)
        best = " (best so far)" if better and order is not None else ""
        log.info(f"{self.exp.name}: update {self.state.step}: {_pretty(row)}{best}")

    def _save(self) -> None:
        """Write a checkpoint, if anything has happened since the last one."""
        self._process(self.results.drain())
        self.state = replace(self.state, scaler=self.updater.scaler.state_dict() or None)
        self._flush()  # rows up to a checkpoint are on disk before it
        if self.metrics is not None and self.state != self.saved:
            folder, keep = self.exp / CHECKPOINTS, self.task.config.checkpoint.keep
            checkpoint.save(folder, self.state, self.task.model, self.optimizer, keep=keep)
            self.saved = self.state
        dist.barrier()


class _Attempt(NamedTuple):
    """An update whose outcome is not known yet, and its learning rate."""

    update: LoadedUpdate
    lr: float


def _pretty(row: dict[str, Any]) -> str:
    texts = {
        k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in row.items() if not isinstance(v, (dict, list))
    }
    return ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in texts.items())
