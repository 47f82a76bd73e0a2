"""The fused kernels compiled for an H200: the compiler takes them, and they fit into its registers."""

import json
import os
import subprocess
import sys
from pathlib import Path

from support import interpreted_triton


@interpreted_triton.on_linux
def test_kernels_compile_for_hopper(tmp_path: Path) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    script = Path(__file__).with_name("compile_for_hopper.py")
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(kernels) == 6
    for kernel in kernels:
        assert kernel["tensor_cores"] and kernel["shared_bytes"] <= 227 * 1024, kernel
        assert kernel["spilled_bytes"] == 0, kernel
