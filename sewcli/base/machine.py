"""What computes here, and what a time was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

LISTED = Path("/proc/cpuinfo")
DECISIVE = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def usual_threads() -> int:
    """Threads that a program takes here: OMP_NUM_THREADS, or the processors that this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else len(os.sched_getaffinity(0))


def processor() -> str:
    """The CPU's name."""
    lines = LISTED.read_text(encoding="utf-8").splitlines() if LISTED.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def instructions() -> list[str]:
    """Those of its instruction sets that decide how fast matrix products are (x86 on Linux)."""
    flags = set(LISTED.read_text(encoding="utf-8").split()) if LISTED.exists() else set()
    return [name for name in DECISIVE if name in flags]
