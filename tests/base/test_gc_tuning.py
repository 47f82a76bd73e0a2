"""The collector rests while libraries are imported, and no longer."""

import subprocess
import sys


def test_it_searches_seldom_until_the_work_begins() -> None:
    code = """
import gc
from sewcli.base import gc_tuning
from sewcli.base.memory import keep_freed_memory
usual = gc.get_threshold()
gc_tuning.relax()
print(gc.get_threshold()[0] > 10 * usual[0], gc.get_threshold()[1:] == usual[1:])
keep_freed_memory()
print(gc.get_threshold() == usual, gc.get_freeze_count() > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\nTrue True\n"
