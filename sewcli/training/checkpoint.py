"""Checkpoints: `checkpoints/step-<n>/` with weights, optimizer state and a `state.json` of hashes; `DONE` is written last.

No pickle anywhere. A folder counts only with its `DONE` and with every hash as written; a damaged one is passed over for
the one before, and said so. One whose hashes hold, but whose content no run of this model writes, was not damaged by
chance: it is refused before anything of it reaches the model or the optimizer.
"""

from __future__ import annotations

import platform
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, FiniteFloat, NonNegativeInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sewcli import __version__
from sewcli.base.errors import DataError
from sewcli.base.files import (
    atomic_folder,
    os_errors_as_usage_errors,
    read_object,
    remove_leftovers,
    retry_once_cleaned,
    sha256,
    write_json,
)
from sewcli.base.log import warn
from sewcli.data.plan import Position

STEP = re.compile(r"^step-(\d+)$")
WEIGHTS, OPTIMIZER, STATE, DONE = "model.safetensors", "optimizer.safetensors", "state.json", "DONE"
COUNT, MOMENTS = "step", ("exp_avg", "exp_avg_sq")  # what AdamW keeps of a parameter
SCALER = {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}
RESTORE = "restore a copy, or remove this checkpoint: the same command then goes on from the one before"


@dataclass(frozen=True)
class TrainingState:
    """Where a run is: `step` updates are done, the next comes from `position`; `best` is the best validation so far.

    `validation_due`: a stop signal came before the validation of this step was finished.
    """

    step: int = 0
    position: Position = Position()
    best: float | None = None
    validation_due: bool = False
    scaler: dict[str, float] | None = None
    """State of the fp16 loss scale, when there is one."""


def save(
    folder: Path, state: TrainingState, model: torch.nn.Module, optimizer: torch.optim.Optimizer, *, keep: int
) -> Path:
    """Write `folder/step-<n>` durably, then remove all but the newest `keep`.

    On a full disk the older checkpoints beyond the newest whole one are removed to make room, and the write is tried once more.
    """
    target = folder / f"step-{state.step}"

    def write() -> None:
        with atomic_folder(target) as temporary, os_errors_as_usage_errors(target):
            save_file(_weights(model), temporary / WEIGHTS)
            save_file(_optimizer_tensors(model, optimizer), temporary / OPTIMIZER)
            record = asdict(state) | {
                "versions": {"sew": __version__, "torch": torch.__version__, "python": platform.python_version()},
                "sha256": {name: sha256(temporary / name) for name in (WEIGHTS, OPTIMIZER)},
            }
            write_json(temporary / STATE, record)
            (temporary / DONE).write_text(f"{sha256(temporary / STATE)}\n")

    remove_leftovers(folder)
    retry_once_cleaned(write, lambda: _prune(folder, keep=1))
    _prune(folder, keep)
    return target


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; damaged ones are named in a warning.

    Raises:
        DataError: there are checkpoints, and none of them is whole; or the state of one is not a run's.
    """
    faults = []
    for candidate in reversed(_folders(folder)):
        fault = find_fault(candidate)
        if fault is None:
            return candidate
        faults.append(f"{candidate}: {fault}")
        warn(f"{candidate}: {fault}; passed over")
    if faults:
        raise DataError(
            "no-whole-checkpoint",
            f"no checkpoint is whole ({faults[0].split(': ', 1)[1]})",
            where=folder,
            hint="restore a copy, or remove this folder to start the run again",
        )
    return None


def last(folder: Path, number: int) -> list[Path]:
    """The newest `number` checkpoints, the oldest of them first.

    Raises:
        DataError: there are fewer, or one of them is damaged.
    """
    found = _folders(folder)
    if len(found) < number:
        raise DataError(
            "too-few-checkpoints",
            f"{number} checkpoints are wanted, and there are {len(found)}",
            where=folder,
            hint="a run keeps as many as checkpoint.keep says; use fewer",
        )
    chosen = found[-number:]
    for newer, candidate in enumerate(reversed(chosen)):
        if fault := find_fault(candidate):
            raise DataError(
                "checkpoint-damaged",
                fault,
                where=candidate,
                hint=f"{newer} newer ones are whole; use these, or restore a copy",
            )
    return chosen


def newest_step(folder: Path) -> int:
    """Updates done at the newest checkpoint, whole or not; 0 when there is none."""
    found = _folders(folder)
    return int(found[-1].name.removeprefix("step-")) if found else 0


def find_fault(checkpoint: Path) -> str | None:
    """What is damaged or missing in a checkpoint folder; None when it is whole.

    Raises:
        DataError: `state.json` is as it was written, and not the state of a run.
    """
    if not (checkpoint / DONE).is_file():
        return "not finished (no DONE)"
    for name in (STATE, WEIGHTS, OPTIMIZER):
        if not (checkpoint / name).is_file():
            return f"{name} is missing"
    if (checkpoint / DONE).read_bytes().strip() != sha256(checkpoint / STATE).encode():
        return f"{STATE} is damaged (its sha256 differs from the one in {DONE})"
    for name, digest in _read_record(checkpoint).sha256.items():
        if sha256(checkpoint / name) != digest:
            return f"{name} is damaged (its sha256 differs from the one in {STATE})"
    return None


def load(checkpoint: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
    """Put a whole checkpoint's weights and optimizer state in place.

    Raises:
        DataError: the checkpoint is of another model, or no run wrote what it holds.
    """
    record = _read_record(checkpoint)
    weights = read_weights(checkpoint, model)
    moments = _read_tensors(checkpoint / OPTIMIZER)
    _check_moments(checkpoint / OPTIMIZER, moments, dict(model.named_parameters()), record.step)
    model.load_state_dict(weights)
    _restore_optimizer(model, optimizer, moments)
    position = Position(record.position.epoch, record.position.offset)
    return TrainingState(record.step, position, record.best, record.validation_due, record.scaler)


def read_weights(checkpoint: Path, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a whole checkpoint.

    Raises:
        DataError: they are not those of this model.
    """
    weights, own = _read_tensors(checkpoint / WEIGHTS), _weights(model)
    if wrong := sorted(k for k in own.keys() | weights.keys() if _form(own.get(k)) != _form(weights.get(k))):
        raise DataError(
            "weights-misfit",
            f"weights of another model ({wrong[0]} and {len(wrong) - 1} others differ)",
            where=checkpoint / WEIGHTS,
            hint=RESTORE,
        )
    return weights


class _Place(BaseModel):
    model_config = ConfigDict(strict=True)

    epoch: NonNegativeInt
    offset: NonNegativeInt


class _Record(BaseModel):
    """What `state.json` holds, beside versions."""

    model_config = ConfigDict(strict=True)

    step: NonNegativeInt
    position: _Place
    best: FiniteFloat | None
    validation_due: bool
    scaler: dict[str, int | FiniteFloat] | None
    sha256: dict[str, str]


def _read_record(checkpoint: Path) -> _Record:
    path = checkpoint / STATE
    try:
        record = _Record.model_validate(read_object(path))
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"])
        reason = f"{name}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
        raise DataError("invalid-checkpoint", f"not the state of a run ({reason})", where=path, hint=RESTORE) from None
    if record.sha256.keys() != {WEIGHTS, OPTIMIZER}:
        raise DataError("invalid-checkpoint", f"sha256 is not of {WEIGHTS} and {OPTIMIZER}", where=path, hint=RESTORE)
    if checkpoint.name != f"step-{record.step}":
        raise DataError(
            "invalid-checkpoint", f"the state of update {record.step} in {checkpoint.name}", where=path, hint=RESTORE
        )
    if record.scaler is not None and record.scaler.keys() != SCALER:
        raise DataError(
            "invalid-checkpoint", f"scaler does not have {', '.join(sorted(SCALER))}", where=path, hint=RESTORE
        )
    return record


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise DataError(
            "safetensors-damaged", f"not safetensors ({type(error).__name__}: {error})", where=path, hint=RESTORE
        ) from None


def _form(tensor: torch.Tensor | None) -> tuple[torch.Size, torch.dtype] | None:
    return None if tensor is None else (tensor.shape, tensor.dtype)


def _check_moments(
    where: Path, tensors: dict[str, torch.Tensor], parameters: dict[str, torch.nn.Parameter], step: int
) -> None:
    """Refuse what AdamW's kernels would read beyond its end, and counts of steps that cannot be."""
    for name, tensor in tensors.items():
        owner, _, part = name.rpartition(":")
        parameter = parameters.get(owner)
        if parameter is None or part not in (COUNT, *MOMENTS):
            raise DataError(
                "optimizer-misfit", f"{name} is not of a parameter of this model", where=where, hint=RESTORE
            )
        if lacking := [p for p in (COUNT, *MOMENTS) if f"{owner}:{p}" not in tensors]:
            raise DataError(
                "optimizer-misfit", f"{owner}:{lacking[0]} is missing beside {name}", where=where, hint=RESTORE
            )
        expected = (torch.Size(), torch.float32) if part == COUNT else _form(parameter)
        if _form(tensor) != expected:
            found, wanted = ((tuple(f[0]), f[1]) for f in (_form(tensor), expected) if f)
            raise DataError("optimizer-misfit", f"{name} is {found}, and must be {wanted}", where=where, hint=RESTORE)
        if part == COUNT and not 0 <= float(tensor) <= step:
            raise DataError(
                "optimizer-misfit", f"{name} = {float(tensor):g} after {step} updates", where=where, hint=RESTORE
            )


def _weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}


def _optimizer_tensors(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, parameter in model.named_parameters():
        for part, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{name}:{part}"] = torch.as_tensor(value).detach().contiguous()
    return tensors


def _restore_optimizer(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        owner, _, part = name.rpartition(":")
        parameter = parameters[owner]
        optimizer.state[parameter][part] = tensor.to(parameter.device)  # the count of steps too: AdamW is fused


def _folders(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("step-*") if STEP.match(path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def _prune(folder: Path, keep: int) -> None:
    for old in _folders(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
