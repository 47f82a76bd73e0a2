"""What stands beside the figures of every benchmark: the command, the day, the machine and the versions."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sewcli.base.machine import processor


def circumstances(
    packages: Sequence[str], *, command: str | None = None, about: str = "", python: bool = True
) -> dict[str, Any]:
    """The common head of a result.

    Args:
        packages: whose versions matter.
        command: what was typed, where that shall not be read from the process itself.
        about: what else is to be said of the machine: threads, other work on it.
        python: whether Python's version matters too.
    """
    return {
        "command": command or command_line(),
        "date": today(),
        "machine": processor() + (f", {about}" if about else ""),
        "versions": versions(packages, python=python),
    }


def short_circumstances(command: str) -> dict[str, Any]:
    """The head of results that come of training: threads in place of versions, of which torch's alone matters."""
    return {
        "command": command,
        "date": today(),
        "machine": processor(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "torch": version("torch"),
    }


def command_line() -> str:
    """The script that runs, with its arguments."""
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def today() -> str:
    """The day, in UTC."""
    return datetime.now(UTC).date().isoformat()


def versions(packages: Sequence[str], *, python: bool = True) -> dict[str, str]:
    """Of installed packages, and of Python."""
    return {name: version(name) for name in packages} | ({"python": platform.python_version()} if python else {})
