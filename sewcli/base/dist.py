"""Ranks: the process's place in a `torchrun` job, read from the environment, and the few collectives the loop needs.

Tensors on GPUs are summed through nccl, and those on the CPU through gloo, in a job on GPUs too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sewcli.base.errors import SewError, UsageError, quoted

if TYPE_CHECKING:
    import torch

STOP = "sew/stop"  # key in the job's store: set once some rank has got a stop signal
PATIENCE = timedelta(minutes=60)  # that a process waits for the others: the slowest step is writing a checkpoint
_STORE: list[Any] = []  # the job's key-value store, from `start` on


def rank() -> int:
    """This process's number in the job, from 0.

    Raises:
        UsageError: RANK and WORLD_SIZE are no numbers, or do not go together.
    """
    found, size = _number("RANK", 0), world_size()
    if found >= size or (size > 1 and not os.environ.get("RANK", "").strip()):
        raise UsageError(
            "invalid-rank",
            f"the environment says WORLD_SIZE={size} and RANK={os.environ.get('RANK', '')}, and ranks count from 0",
            hint="torchrun sets both for each process; in a shell of your own: unset RANK WORLD_SIZE",
        )
    return found


def world_size() -> int:
    """How many processes train together.

    Raises:
        UsageError: WORLD_SIZE is no number.
    """
    return max(1, _number("WORLD_SIZE", 1))


def is_main() -> bool:
    """Whether this is rank 0, the one that writes; never an error, because the log asks it too."""
    return os.environ.get("RANK", "").strip() in ("", "0")


def local_rank() -> int:
    """This process's number on its machine, from 0."""
    return _number("LOCAL_RANK", 0)


def local_world_size() -> int:
    """How many processes of the job are on this machine."""
    return max(1, _number("LOCAL_WORLD_SIZE", 1))


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(
            "invalid-rank",
            f"the environment variable {name} is {quoted(text)}, not a number",
            hint=f"torchrun sets it for each process; in a shell of your own: unset {name}",
        )
    return int(text)


def start(device: torch.device) -> None:
    """Join the process group when run under `torchrun`, to train on `device`.

    Raises:
        UsageError: the other processes cannot be found or reached, or the environment does not say who they are.
    """
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    rank(), local_rank(), local_world_size()  # refused here, if they are no numbers
    if world_size() == 1 or distributed.is_initialized():
        return
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    try:
        store, number, size = next(rendezvous("env://"))
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo", store=store, rank=number, world_size=size, timeout=PATIENCE
        )
        _STORE.append(store)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            "cannot-join-job",
            f"cannot join the {world_size()} processes of this job ({reason})",
            hint="start it with torchrun, which tells each process where the others are",
        ) from None


def stop() -> None:
    """Leave the process group."""
    from torch import distributed

    if world_size() > 1 and distributed.is_initialized():
        _STORE.clear()
        distributed.destroy_process_group()


def ask_to_stop() -> None:
    """Tell all ranks that this one got a stop signal, without a collective: some may be waiting in one, or for data."""
    with suppress(RuntimeError):  # the others will miss us
        if _STORE:
            _STORE[0].set(STOP, "1")


def asked_to_stop() -> bool:
    """Whether some rank has got a stop signal, or the launcher is gone. A question to the store, about 0.1 ms."""
    try:
        return bool(_STORE) and bool(_STORE[0].check([STOP]))
    except RuntimeError:  # `torchrun` keeps the store; who runs the command again must not find us at work
        return True


def sum_(tensor: torch.Tensor) -> torch.Tensor:
    """Sum `tensor` over all ranks, in place."""
    if world_size() > 1:
        from torch import distributed

        with _together():
            distributed.all_reduce(tensor)
    return tensor


def merged(own: Mapping[str, Any]) -> dict[str, Any]:
    """The items of the mappings of all ranks, the same on each; values are those of JSON, and floats arrive exactly."""
    if world_size() == 1:
        return dict(own)
    import torch

    text = json.dumps(dict(own)).encode()
    sizes = torch.zeros(world_size(), dtype=torch.int64)
    sizes[rank()] = len(text)
    ends = sum_(sizes).cumsum(0).tolist()
    letters = torch.zeros(ends[-1], dtype=torch.uint8)  # each rank fills its own part, and the sum is all parts
    letters[ends[rank()] - len(text) : ends[rank()]] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    whole = sum_(letters).numpy().tobytes()
    parts = [json.loads(whole[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return {name: value for part in parts for name, value in part.items()}


def any_rank(flag: bool) -> bool:
    """Whether any rank raised `flag` (every rank gets the same answer)."""
    return any_each([flag])[0]


def any_each(flags: Sequence[bool]) -> list[bool]:
    """Of each flag, whether any rank raised it. The hosts talk among themselves: no GPU is waited for."""
    if world_size() == 1 or not flags:
        return list(flags)
    import torch

    return [bool(count) for count in sum_(torch.tensor(flags, dtype=torch.int32)).tolist()]


def barrier() -> None:
    """Wait until every rank is here."""
    if world_size() > 1:
        from torch import distributed

        with _together():
            distributed.barrier()


@contextmanager
def _together() -> Iterator[None]:
    """A collective; when another process has gone, that is what is said, and not how a socket felt about it."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        if "timed out" in reason.lower() or "timeout" in reason.lower():
            minutes = PATIENCE.total_seconds() / 60
            raise SewError(
                "lost-process",
                f"waited {minutes:g} minutes for another process of this job, which hangs or is cut off ({reason})",
                hint="look at the last lines of each process's log; run the same command to go on from the last checkpoint",
            ) from None
        raise SewError(
            "lost-process",
            f"lost touch with the other processes of this job ({reason})",
            hint="the log of the one that ended first says why; run the same command to go on from the last checkpoint",
        ) from None
