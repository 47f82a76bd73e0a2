"""Two high-water marks: the most memory that a process has held, and the most products a second that a machine makes."""

from __future__ import annotations

import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
HIGH_WATER = b"5"  # what the kernel takes as: set VmHWM to what is held now (proc(5))
SIZES, TRIALS = (1024, 2048), 5
GPU_SIZES = (4096, 8192)


class MemoryMark:
    """Memory above what was held when this was made, in bytes: of the process, or on a GPU of torch's allocator."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
            return
        with suppress(OSError):  # another system, or not allowed: the mark of loading may then hide that of running
            CLEAR.write_bytes(HIGH_WATER)
        self._before = _status("VmRSS") or _most()

    def above(self) -> int:
        """The most that was held since."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._before
        return max(0, (_status("VmHWM") or _most()) - self._before)


def product_peak(device: torch.device, precision: str) -> float | None:
    """Operations a second in the best of some square matrix products; None for a precision without a type in torch."""
    types = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision not in types:
        return None
    best = 0.0
    with torch.inference_mode():
        for size in GPU_SIZES if device.type == "cuda" else SIZES:
            matrix = torch.full((size, size), 0.5, dtype=types[precision], device=device)
            for _ in range(TRIALS):
                _wait(device)
                began = time.perf_counter()
                matrix @ matrix
                _wait(device)
                best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _status(key: str) -> int | None:
    """A line of this process's status, in bytes."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), None)


def _most() -> int:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else kilobytes * 1024
