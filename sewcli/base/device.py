"""Which device a process computes on: what `--device` says, and its rank in a `torchrun` job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sewcli.base import dist
from sewcli.base.errors import UsageError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> torch.device:
    """`auto` is the GPU of this rank when there is one, else the CPU.

    Raises:
        UsageError: a device that is not there, or one GPU for several processes.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = torch.device(device_of_rank(name, gpus, dist.local_rank(), dist.local_world_size()))
    try:
        torch.empty(1, device=device)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            "no-such-device", f"cannot use device {device} ({reason})", hint="--device cpu, or another GPU"
        ) from None
    return device


def device_of_rank(name: str, gpus: int, rank: int, processes: int) -> str:
    """`cpu` or `cuda:N` for what --device says.

    Args:
        name: auto, cpu, cuda or cuda:N.
        gpus: how many this machine has.
        rank: number of this process among those on this machine.
        processes: how many of them there are.

    Raises:
        UsageError: no such device, or one GPU for several processes.
    """
    kind, colon, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (colon and (kind != "cuda" or not index.isdecimal())):
        raise UsageError("no-such-device", f"cannot use device {name!r}", hint="--device auto, cpu, cuda or cuda:N")
    if kind == "cpu" or (kind == "auto" and not gpus):
        return "cpu"
    if not gpus:
        raise UsageError(
            "no-such-device", f"cannot use device {name!r}: no GPU here that PyTorch can use", hint="--device cpu"
        )
    if index and processes > 1:
        raise UsageError(
            "device-shared", f"{name} for {processes} processes", hint="--device cuda gives each a GPU of its own"
        )
    if processes > gpus:
        has = f"{gpus} GPU{'s' * (gpus > 1)}"
        raise UsageError(
            "device-shared",
            f"{processes} processes, but this machine has {has}",
            hint=f"torchrun --nproc-per-node {gpus}, or --device cpu",
        )
    number = int(index) if index else rank
    if number >= gpus:
        raise UsageError(
            "no-such-device", f"cannot use device {name!r}: the last GPU here is cuda:{gpus - 1}", hint="--device cuda"
        )
    return f"cuda:{number}"
