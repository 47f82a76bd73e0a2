"""Killed anywhere, the same command goes on and ends with the same weights, bit for bit."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.sew_command import SEW

CLOCKED = ("audio_per_second", "memory_mb")


def pretrain(prepared: Path, exp: Path) -> list[str]:
    sets = ["batch.seconds=8", "batch.micro_seconds=4", "checkpoint.every=3", "valid_every=5", "data.min_seconds=0.6"]
    return [
        *(SEW, "pretrain", "--model", "sew-micro", "--data", str(prepared), "--exp", str(exp), "--updates", "12"),
        *(word for setting in sets for word in ("--set", setting)),
    ]


def finetune(prepared: Path, exp: Path) -> list[str]:
    sets = ["batch.seconds=8", "batch.micro_seconds=4", "checkpoint.every=3", "valid_every=5", "extractor_gradient=1.0"]
    return [
        *(SEW, "finetune", "--model", "sew-micro", "--data", str(prepared), "--exp", str(exp), "--updates", "12"),
        *(word for setting in sets for word in ("--set", setting)),
    ]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment, check=False)


def stop_after(command: list[str], exp: Path, step: int, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Start the command and send it a signal as soon as its checkpoint `step` is there."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 300
    while not (exp / "checkpoints" / f"step-{step}" / "DONE").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.002)
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def final_weights(exp: Path) -> bytes:
    return (exp / "checkpoints" / "step-12" / "model.safetensors").read_bytes()


def losses(exp: Path) -> list[dict]:
    rows = [json.loads(line) for line in (exp / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row.get("kind") != "speed"]
    return [{k: v for k, v in row.items() if k not in CLOCKED} for row in rows]


@pytest.mark.parametrize("command", [pretrain, finetune])
def test_a_sigkill_changes_nothing_in_the_end(command, prepared: Path, tmp_path: Path) -> None:
    whole = run(command(prepared, tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    killed = stop_after(command(prepared, tmp_path / "cut"), tmp_path / "cut", 6, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    again = run(command(prepared, tmp_path / "cut"))
    assert again.returncode == 0, again.stderr
    assert "going on from update" in again.stderr
    assert final_weights(tmp_path / "cut") == final_weights(tmp_path / "whole")
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "cut/model" / name).read_bytes() == (tmp_path / "whole/model" / name).read_bytes()
    done = run(command(prepared, tmp_path / "cut"))
    assert done.returncode == 0 and "all 12 updates are done" in done.stderr


def test_sigterm_saves_and_leaves_with_75(prepared: Path, tmp_path: Path) -> None:
    stopped = stop_after(pretrain(prepared, tmp_path / "exp"), tmp_path / "exp", 3, signal.SIGTERM)
    assert stopped.returncode == 75, stopped.stderr
    assert "run the same command to go on" in stopped.stderr and "Traceback" not in stopped.stderr


def test_only_damaged_checkpoints_are_an_error_of_the_data(prepared: Path, tmp_path: Path) -> None:
    command = pretrain(prepared, tmp_path / "exp")
    assert run(command).returncode == 0
    for weights in (tmp_path / "exp" / "checkpoints").glob("step-*/model.safetensors"):
        content = bytearray(weights.read_bytes())
        content[-100] ^= 4
        weights.write_bytes(content)
    refused = run(command)
    assert refused.returncode == 3, refused.stderr
    assert "model.safetensors is damaged" in refused.stderr and "Traceback" not in refused.stderr


def test_another_config_in_the_same_folder_is_refused(prepared: Path, tmp_path: Path) -> None:
    command = pretrain(prepared, tmp_path / "exp")
    assert run(command).returncode == 0
    refused = run([*command, "--seed", "7"])
    assert refused.returncode == 2 and "seed 1 -> 7" in refused.stderr


def test_two_processes_cannot_train_in_one_folder(prepared: Path, tmp_path: Path) -> None:
    command = pretrain(prepared, tmp_path / "exp")
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "exp" / "config.yaml").exists():
            assert first.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        second = run(command)
        assert second.returncode == 2 and "another process is training in this folder" in second.stderr
    finally:
        first.kill()
        first.wait()
