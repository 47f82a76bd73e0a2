"""Ranks: the process's place in a `torchrun` job, read from the environment, and the few collectives the loop needs.

GPUs talk through nccl and CPUs through gloo: which of them is the device's to say, not the machine's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sewcli.base.errors import UsageError

if TYPE_CHECKING:
    import torch


def rank() -> int:
    """This process's number in the job, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this is rank 0, the one that writes."""
    return rank() == 0


def local_rank() -> int:
    """This process's number on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_world_size() -> int:
    """How many processes of the job are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def start(device: torch.device) -> None:
    """Join the process group when run under `torchrun`, to train on `device`.

    Raises:
        UsageError: the other processes cannot be found or reached.
    """
    import torch
    from torch import distributed

    if world_size() == 1 or distributed.is_initialized():
        return
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group("nccl" if on_gpu else "gloo")
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"cannot join the {world_size()} processes of this job ({reason})",
            mend="start it with torchrun, which tells each process where the others are",
        ) from None


def stop() -> None:
    """Leave the process group."""
    from torch import distributed

    if world_size() > 1 and distributed.is_initialized():
        distributed.destroy_process_group()


def sum_(tensor: torch.Tensor) -> torch.Tensor:
    """Sum `tensor` over all ranks, in place."""
    if world_size() > 1:
        from torch import distributed

        distributed.all_reduce(tensor)
    return tensor


def any_rank(flag: bool) -> bool:
    """Whether any rank raised `flag` (every rank gets the same answer)."""
    if world_size() == 1:
        return flag
    import torch
    from torch import distributed

    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    return bool(sum_(torch.tensor([int(flag)], device=device)).item())


def barrier() -> None:
    """Wait until every rank is here."""
    if world_size() > 1:
        from torch import distributed

        distributed.barrier()
