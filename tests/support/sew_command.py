"""The `sew` command as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

SEW = str(Path(sys.executable).parent / "sew")


def run_sew(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    options = {"capture_output": True, "text": True, "timeout": 400, "env": environment, **options}
    return subprocess.run([SEW, *map(str, arguments)], check=False, **options)
