"""The command as a process: signals at any moment, a reader that goes."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from support.sew_command import SEW


@pytest.mark.parametrize("arguments", [["models", "--json"], ["models", "sew-tiny"]])
def test_a_reader_that_goes_is_no_error(arguments: list[str]) -> None:
    process = subprocess.Popen([SEW, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(timeout=300) == 0
    assert process.stderr.read() == b""


def catches(process: subprocess.Popen, number: signal.Signals) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (number - 1) & 1)


def has_mapped(process: subprocess.Popen, library: str) -> bool:
    return library in Path(f"/proc/{process.pid}/maps").read_text()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="watches a process through /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("library", ["", "libtorch_cpu"])  # as soon as the command runs; while torch is being imported
def test_a_stop_signal_before_training_leaves_with_75(number, library: str, prepared: Path, tmp_path: Path) -> None:
    command = [SEW, "pretrain", "--model", "sew-tiny", "--data", str(prepared), "--exp", str(tmp_path / "exp")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 300
    while not (catches(process, number) and has_mapped(process, library)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 75, err
    assert f"stopped by {number.name}" in err and "run the same command" in err and "Traceback" not in err
    assert out == "" and not (tmp_path / "exp" / "checkpoints").exists()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="watches a process through /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_stop_signal_while_the_command_is_being_loaded_leaves_with_75(number) -> None:
    """As soon as there is a handler at all: long before typer is there, let alone torch."""
    command = [sys.executable, "-m", "sewcli", "models"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not catches(process, number):
        assert process.poll() is None
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 75, err
    assert f"stopped by {number.name}" in err and "run the same command" in err and "Traceback" not in err
    assert out == "" and "libtorch" not in loaded


def test_the_command_is_installed_as_the_module_that_catches_signals_first() -> None:
    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"sew": "sewcli.__main__:main"}
    done = subprocess.run([sys.executable, "-m", "sewcli", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "pretrain" in done.stdout
