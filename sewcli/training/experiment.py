"""An experiment folder: its resolved config, the fingerprint of its data.

`exp/<name>/` holds config.yaml, data.json, checkpoints/, metrics.jsonl, tensorboard/ and model/ (see DESIGN: one folder, one
run; the same command goes on where it stopped, another config is refused).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sewcli.artifacts.digest import digest
from sewcli.artifacts.experiment_folder import CHECKPOINTS, CONFIG, DATA
from sewcli.base import dist, log
from sewcli.base.config import dump_yaml
from sewcli.base.errors import PartialError, UsageError
from sewcli.base.files import read_json, write_json, write_text
from sewcli.base.lock import hold
from sewcli.data.reader import Reader
from sewcli.data.utterances import Utterance
from sewcli.training.checkpoint import newest_step
from sewcli.training.config import LinearSchedule, LoopConfig, PolynomialSchedule, RunConfig, TriStageSchedule
from sewcli.training.recipes import read_config
from sewcli.training.schedule import polynomial

# What may change between a run and its continuation without changing any update, but for the rounding of `attention`.
# (What is in the data folder is held against data.json, wherever it lies.)
FREE = (
    "checkpoint",
    "log_every",
    "tensorboard",
    "health",
    "average",
    "attention",
    "data.threads",
    "data.dir",
    "data.max_rejected",
)


def open_experiment(exp: Path, config: LoopConfig) -> None:
    """Take the folder for this process, and write `config.yaml` or check that the one there is this run's.

    A key that the file does not have counts as its default. `updates` may change where no update depends on it.

    Raises:
        UsageError: another run lives in this folder, or is at work in it.
    """
    path = exp / CONFIG
    if dist.is_main():
        hold(exp, busy="another process is training in this folder", hint="wait for it, or give this run its own --exp")
    _warn_of_warmup(config)
    if path.exists():
        _check_same_run(exp, _config_there(path, config), config)
    dist.barrier()  # all have read it
    if dist.is_main() and not (path.exists() and path.read_text(encoding="utf-8") == dump_yaml(config)):
        write_text(path, dump_yaml(config))
    dist.barrier()


def record_data(exp: Path, train: Sequence[Utterance], valid: Sequence[Utterance]) -> None:
    """Keep counts, hours and a fingerprint of the cuts; a run must go on with the cuts it began with.

    Raises:
        UsageError: the prepared corpus has changed under a run.
    """
    now = {"train": _fingerprint(train), "valid": _fingerprint(valid)}
    keep_fingerprint(exp, now)
    for name, facts in now.items():
        log.info(f"{name}: {facts['utterances']} utterances, {facts['hours']:.2f} h, {facts['speakers']} speakers")


def keep_fingerprint(exp: Path, now: dict[str, Any]) -> None:
    """Write what tells the data of a run from others, or hold it against what was written when the run began.

    Raises:
        UsageError: they are not the same.
    """
    path = exp / DATA
    if path.exists():
        if read_json(path) != now:
            raise UsageError(
                "corpus-changed",
                "the prepared corpus is not the one this run began with",
                where=exp,
                hint="prepare it again as it was, or start a new run with another --exp",
            )
    elif dist.is_main():
        write_json(path, now)
    dist.barrier()


def training_facts(config: RunConfig, train: Sequence[Utterance], updates: int) -> dict[str, str]:
    """What a model card says about how the model came about."""
    return {
        "Trained on": f"{', '.join(config.data.train or ())} of {Path(config.data.dir).name}".removeprefix(" of "),
        "Hours": f"{sum(u.seconds for u in train) / 3600:.2f}",
        "Updates": f"{updates:,}",
    }


def report_rejected(reader: Reader) -> None:
    """Say at the end of a run that some utterances could not be used.

    Raises:
        PartialError: there are such.
    """
    if number := reader.rejected:
        raise PartialError(
            "utterances-failed",
            f"training is done; {number} of {reader.total} utterances could not be read or written and were passed over",
            where=reader.path,
            hint="they are listed there; sew check finds such files before a run",
        )


def _config_there(path: Path, config: LoopConfig) -> LoopConfig:
    try:
        return read_config(type(config), path)
    except UsageError as error:
        raise UsageError(
            "config-of-another-version",
            f"a config that this version of sew cannot go on with ({error.what})",
            where=path,
            hint="give the new run its own --exp, or remove the folder",
        ) from None


def _check_same_run(exp: Path, there: LoopConfig, config: LoopConfig) -> None:
    found = differences(there.model_dump(mode="json"), config.model_dump(mode="json"))
    changed = [key for key in found if not key.startswith(FREE)]
    hint = "give the new run its own --exp, or run the old config to go on, or remove the folder"
    if changed == ["updates"]:
        done = newest_step(exp / CHECKPOINTS)
        reason = _why_not(there.updates, config, done)
        if reason is None:
            log.info(f"{exp}: {config.updates} updates in all in place of {there.updates}")
            return
        raise UsageError("another-run", f"updates {there.updates} -> {config.updates}: {reason}", where=exp, hint=hint)
    if changed:
        shown = ", ".join(f"{key} {then!r} -> {now!r}" for key in changed[:4] for then, now in [found[key]])
        more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
        raise UsageError("another-run", f"another run is in this folder: {shown}{more}", where=exp, hint=hint)


def _why_not(before: int, config: LoopConfig, done: int) -> str | None:
    """Why a run cannot have another number of updates; None when it can."""
    if isinstance(getattr(config, "schedule", None), TriStageSchedule | LinearSchedule):
        return f"the learning rate follows shares of the run, so the updates of a run of {before} are not its beginning"
    if config.updates < done:
        return f"{done} are done"
    return None


def _warn_of_warmup(config: LoopConfig) -> None:
    schedule = getattr(config, "schedule", None)
    if isinstance(schedule, PolynomialSchedule) and config.updates < schedule.warmup_updates:
        log.warn(
            f"{config.updates} updates end within the warm-up of {schedule.warmup_updates}: the learning rate only gets to "
            f"{polynomial(config.updates, config.optim.lr, schedule):.3g} (--set schedule.warmup_updates=...)"
        )


def differences(then: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What two configs have different, by dotted key, sorted: (then, now), None where there is no such key."""
    one, other = _flat(then), _flat(now)
    return {
        key: (one.get(key), other.get(key))
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key)
    }


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _fingerprint(utterances: Sequence[Utterance]) -> dict[str, Any]:
    return {
        "utterances": len(utterances),
        "hours": round(sum(u.seconds for u in utterances) / 3600, 4),
        "speakers": len({u.speaker for u in utterances}),
        "sha256": digest(*(f"{u.id}\t{u.start}\t{u.samples}\t{u.text}" for u in utterances), ""),
    }
