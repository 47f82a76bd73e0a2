"""k2's own environment: where it is there, its tests are quick; where it is not, they are long and make it."""

import subprocess
from pathlib import Path

import pytest

from sewcli.alignment.k2.worker import find_python
from sewcli.base.errors import UsageError

CHECKOUT = Path(__file__).parents[2]


def is_there() -> bool:
    try:
        find_python()
    except UsageError:
        return False
    return True


NEEDS_K2 = [pytest.mark.timeout(1800)] if is_there() else [pytest.mark.timeout(1800), pytest.mark.long]


def make_k2() -> Path:
    """The interpreter with k2, made when it is missing."""
    if not is_there():
        subprocess.run([CHECKOUT / ".ci" / "make-k2", CHECKOUT / ".k2"], cwd=CHECKOUT, check=True, timeout=1700)
    return find_python()


WITH_MODIFIED_TOPOLOGY = """#!/bin/sh
exec {python} -c '
import os, runpy, sys
import k2
graph_of = k2.ctc_graph
k2.ctc_graph = lambda labels, modified: graph_of(labels, modified=True)
sys.path.insert(0, os.path.dirname(sys.argv[1]))
runpy.run_path(sys.argv[1], run_name="__main__")
' "$1"
"""


def wrong_python(folder: Path) -> Path:
    """An interpreter whose k2 needs no blank between equal neighbours: real k2, wrong alignments."""
    script = folder / "python-wrong"
    script.write_text(WITH_MODIFIED_TOPOLOGY.format(python=make_k2()))
    script.chmod(0o755)
    return script
