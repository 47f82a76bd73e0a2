"""Pickles that would run code: each calls something that leaves a canary, or worse."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import torch


class Runs:
    """What a hostile pickle is: an object whose rebuilding calls a function."""

    def __init__(self, function: Callable, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def hostile(canary: Path) -> dict[str, object]:
    return {
        "system": Runs(os.system, f"touch {canary}"),
        "exec": Runs(exec, f"open({str(canary)!r}, 'w')"),
        "eval": Runs(eval, f"open({str(canary)!r}, 'w')"),
        "getattr": Runs(getattr, dict, "get"),
        "subprocess": Runs(subprocess.check_output, ["touch", str(canary)]),
        "import": Runs(__import__, "antigravity"),
        "open": Runs(open, str(canary), "w"),
        "torch.load": Runs(torch.load, str(canary)),
        "torch hub": Runs(torch.hub.load, str(canary), "x"),
        "large": Runs(bytearray, 1 << 40),
    }
