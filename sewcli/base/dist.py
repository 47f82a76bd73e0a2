"""Ranks: the process's place in a `torchrun` job, read from the environment, and the few collectives the loop needs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

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


def start() -> None:
    """Join the process group when run under `torchrun` (nccl with a GPU, gloo without)."""
    import torch
    from torch import distributed

    if world_size() > 1 and not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


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

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return bool(sum_(torch.tensor([int(flag)], device=device)).item())


def barrier() -> None:
    """Wait until every rank is here."""
    if world_size() > 1:
        from torch import distributed

        distributed.barrier()
