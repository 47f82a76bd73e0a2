"""Locks: who holds a folder, and for how long after its process was killed."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sewcli.base.errors import UsageError
from sewcli.base.lock import hold

HOLDER = """
import os, signal, sys, time
from pathlib import Path
from sewcli.base.lock import hold
hold(Path(sys.argv[1]), busy="busy", hint="wait")
if os.fork() == 0:  # a worker: has the descriptor too
    time.sleep(float(sys.argv[2]))
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _killed_holder(folder: Path, worker_seconds: float) -> None:
    code = subprocess.run([sys.executable, "-c", HOLDER, str(folder), str(worker_seconds)], check=False).returncode
    assert code == -signal.SIGKILL


def test_workers_of_a_killed_process_may_take_a_moment_to_end(tmp_path: Path) -> None:
    _killed_holder(tmp_path, 0.3)
    hold(tmp_path, busy="busy", hint="wait")


def test_a_folder_that_stays_locked_is_refused(tmp_path: Path) -> None:
    _killed_holder(tmp_path, 4)
    with pytest.raises(UsageError, match=r"busy.*folder-locked") as refused:
        hold(tmp_path, busy="busy", hint="wait")
    assert refused.value.hint == "wait"
