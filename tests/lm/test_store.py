"""Arrays within a budget: small ones in memory, large ones in files that have no name and leave none behind."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.refusals import refused

from sewcli.base.errors import UsageError
from sewcli.lm.store import ARRAYS, Store, is_mapped


@pytest.mark.parametrize("memory", [1 << 30, 8 * ARRAYS, 0])
def test_pieces_come_back_whatever_the_budget(memory: int, tmp_path: Path) -> None:
    store = Store(tmp_path, memory)
    pieces = [np.arange(n, dtype=np.int64) + n for n in (3, 0, 1, 500)]
    with store.writer(np.int64) as writer:
        for piece in pieces:
            writer.add(piece)
        array = writer.finish()
    assert array.tolist() == np.concatenate(pieces).tolist()
    assert is_mapped(array) == is_mapped(array[3:]) == (memory < array.nbytes * ARRAYS) == bool(store.spilled)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("memory", [1 << 30, 0])
def test_zeros_can_be_written_to(memory: int, tmp_path: Path) -> None:
    array = Store(tmp_path, memory).zeros(1000, np.int32)
    assert not array.any()
    array[10:20] += 7
    assert array.sum() == 70 and is_mapped(array) == (memory == 0)


def test_nothing_written_is_an_empty_array(tmp_path: Path) -> None:
    with Store(tmp_path, 0).writer(np.float64) as writer:
        array = writer.finish()
    assert array.shape == (0,) and array.dtype == np.float64
    assert len(Store(tmp_path, 0).zeros(0, np.bool_)) == 0


def test_a_full_disk_is_told_before_a_page_of_it_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with refused(UsageError, "no-disk-space") as caught:
        Store(tmp_path, 0).zeros(1000, np.int64)
    assert caught.value.where == tmp_path


def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "import sys, time, numpy as np; from pathlib import Path; from sewcli.lm.store import Store\n"
        "store = Store(Path(sys.argv[1]), 0); array = store.zeros(1 << 20, np.int64); array[:] = 1\n"
        "print(store.spilled, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and int(process.stdout.readline()) == 8 << 20
        process.send_signal(signal.SIGKILL)
    assert not list(tmp_path.iterdir())
