"""An experiment folder: its resolved config, the fingerprint of its data, its device.

`exp/<name>/` holds config.yaml, data.json, checkpoints/, metrics.jsonl, tensorboard/ and model/ (see DESIGN: one folder, one
run; the same command goes on where it stopped, another config is refused).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sewcli.base import dist, log
from sewcli.base.config import dump_yaml, read_yaml
from sewcli.base.errors import PartialError, UsageError
from sewcli.base.files import read_json, write_json, write_text
from sewcli.base.lock import hold
from sewcli.data.reader import Reader
from sewcli.data.utterances import Utterance
from sewcli.training.config import RunConfig

if TYPE_CHECKING:
    import torch


# What may change between a run and its continuation without changing any update.
FREE = ("checkpoint", "log_every", "tensorboard", "health", "average", "data.threads", "data.max_rejected")


def open_experiment(exp: Path, config: RunConfig) -> None:
    """Take the folder for this process, and write `config.yaml` or check that the one there is this run's.

    Raises:
        UsageError: another run lives in this folder, or is at work in it.
    """
    path = exp / "config.yaml"
    if dist.is_main():
        hold(exp, busy="another process is training in this folder", mend="wait for it, or give this run its own --exp")
    if path.exists():
        then, now = _flat(read_yaml(path)), _flat(read_yaml_text(dump_yaml(config)))
        changed = sorted(k for k in then.keys() | now.keys() if then.get(k) != now.get(k) and not k.startswith(FREE))
        if changed:
            shown = ", ".join(f"{k} {then.get(k)!r} -> {now.get(k)!r}" for k in changed[:4])
            more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
            raise UsageError(
                f"another run is in this folder: {shown}{more}",
                where=exp,
                mend="give the new run its own --exp, or run the old config to go on, or remove the folder",
            )
    elif dist.is_main():
        write_text(path, dump_yaml(config))
    dist.barrier()


def record_data(exp: Path, train: Sequence[Utterance], valid: Sequence[Utterance]) -> None:
    """Keep counts, hours and a fingerprint of the cuts; a run must go on with the cuts it began with.

    Raises:
        UsageError: the prepared corpus has changed under a run.
    """
    now = {"train": _fingerprint(train), "valid": _fingerprint(valid)}
    path = exp / "data.json"
    if path.exists():
        if read_json(path) != now:
            raise UsageError(
                "the prepared corpus is not the one this run began with",
                where=exp,
                mend="prepare it again as it was, or start a new run with another --exp",
            )
    elif dist.is_main():
        write_json(path, now)
    dist.barrier()
    for name, facts in now.items():
        log.info(f"{name}: {facts['utterances']} utterances, {facts['hours']:.2f} h, {facts['speakers']} speakers")


def training_facts(config: RunConfig, train: Sequence[Utterance], updates: int) -> dict[str, str]:
    """What a model card says about how the model came about."""
    return {
        "Trained on": f"{', '.join(config.data.train or ())} of {Path(config.data.dir).name}".removeprefix(" of "),
        "Hours": f"{sum(u.seconds for u in train) / 3600:.2f}",
        "Updates": f"{updates:,}",
    }


def report_rejected(reader: Reader) -> None:
    """Say at the end of a run that some utterances could not be read.

    Raises:
        PartialError: there are such.
    """
    if number := reader.rejected:
        raise PartialError(
            f"training is done; {number} of {len(reader.utterances)} utterances could not be read and were passed over",
            where=reader.path,
            mend="they are listed there; sew check finds such files before a run",
        )


def choose_device(name: str) -> torch.device:
    """`auto` is the GPU of this rank when there is one, else the CPU.

    Raises:
        UsageError: a device that is not there.
    """
    import torch

    if name == "auto":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"cannot use device {name!r} ({reason})", mend="--device auto, cpu or cuda") from None
    return device


def read_yaml_text(text: str) -> dict[str, Any]:
    """The mapping in a YAML text of our own."""
    import yaml

    value = yaml.safe_load(text)
    assert isinstance(value, dict)
    return value


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _fingerprint(utterances: Sequence[Utterance]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for u in utterances:
        digest.update(f"{u.id}\t{u.start}\t{u.samples}\t{u.text}\n".encode())
    return {
        "utterances": len(utterances),
        "hours": round(sum(u.seconds for u in utterances) / 3600, 4),
        "speakers": len({u.speaker for u in utterances}),
        "sha256": digest.hexdigest(),
    }
