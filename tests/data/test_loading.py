"""Reading ahead: in order, errors where they belong, and nobody waits for a read that hangs once told to stop."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sewcli.data.loading import read_ahead


def test_in_order_with_the_errors_in_their_place() -> None:
    def load(item: int) -> int:
        time.sleep(0.01 * (item % 3))
        if item == 7:
            raise ValueError("seven")
        return item * item

    found = []
    with pytest.raises(ValueError, match="seven"):
        for item, square in read_ahead(range(20), load, threads=3):
            found.append((item, square))
    assert found == [(n, n * n) for n in range(7)]


def test_no_more_than_asked_for_is_read_ahead() -> None:
    begun = []
    items = read_ahead(range(100), begun.append, threads=2, ahead=4)
    next(items)
    time.sleep(0.1)
    assert 1 <= len(begun) <= 5
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


def test_a_stop_ends_the_wait_and_not_what_has_come(tmp_path: Path) -> None:
    """A FIFO that nobody writes to: its reader hangs in the kernel."""
    os.mkfifo(tmp_path / "never")
    found, began = [], time.monotonic()

    begun = threading.Event()

    def load(item: int) -> int:
        if item == 5:
            begun.set()
            (tmp_path / "never").read_bytes()
        return item

    for item, _ in read_ahead(range(10), load, stop=lambda: len(found) == 5 and begun.wait(20)):
        found.append(item)
    assert found == [0, 1, 2, 3, 4] and time.monotonic() - began < 20
    with open(tmp_path / "never", "wb", buffering=0):  # let the thread go
        pass


def test_a_read_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    code = f"""
from sewcli.data.loading import read_ahead
for _ in read_ahead([1], lambda item: open({str(tmp_path / "never")!r}).read(), stop=lambda: True):
    raise SystemExit("something came")
print("left")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")
