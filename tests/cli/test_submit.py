"""`sew submit` through submitit's local executor: real processes, two ranks, preempted in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.sew_command import run_sew

SETS = ["batch.seconds=8", "batch.micro_seconds=4", "checkpoint.every=3", "data.min_seconds=0.6", "tensorboard=false"]


def pretrain(prepared: Path, exp: Path) -> list[str]:
    return [
        *("pretrain", "--model", "sew-micro", "--data", str(prepared), "--exp", str(exp), "--updates", "12"),
        *("--device", "cpu", *(word for setting in SETS for word in ("--set", setting))),
    ]


def tasks_of(controller: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{controller}/task/{controller}/children").read_text().split()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _to(file) -> dict:
    return {"capture_output": False, "stdout": file, "stderr": subprocess.STDOUT}


def wait_for(path: Path, controller: int, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert alive(controller) and time.monotonic() < deadline, f"no {path}"
        time.sleep(0.005)


def undisturbed(prepared: Path, exp: Path, tasks: int) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(tasks)] if tasks > 1 else []
    command = [sys.executable, *torchrun, "-m", "sewcli.cli.app", *pretrain(prepared, exp)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(1500)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the tasks are found in /proc")
@pytest.mark.parametrize("tasks", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_preempted_job_is_queued_again_and_ends_with_the_same_weights(
    tasks: int, prepared: Path, tmp_path: Path
) -> None:
    local = ("--cluster", "local", "--gpus", "0", "--tasks", str(tasks), "--hours", "1")
    with open(tmp_path / "out", "wb") as out:  # not a pipe: the job's own processes would hold it open
        run_sew(
            *("submit", *local, "--folder", str(tmp_path / "jobs"), "--json"), *_command(prepared, tmp_path), **_to(out)
        )
    row = json.loads((tmp_path / "out").read_text().splitlines()[0])
    controller, logs = int(row["job"]), [Path(log) for log in row["logs"]]
    assert len(logs) == tasks
    wait_for(tmp_path / "cut/checkpoints/step-3/DONE", controller)
    running = tasks_of(controller)
    assert len(running) == tasks
    for task in running:
        os.kill(task, signal.SIGUSR2)  # what Slurm sends to all processes of a job
    deadline = time.monotonic() + 700
    while alive(controller) and time.monotonic() < deadline:
        time.sleep(0.05)
    told = logs[0].read_text()
    assert "run the same command to go on" in told and "going on from update" in told, told
    assert not any("Traceback" in log.read_text() for log in logs)
    undisturbed(prepared, tmp_path / "whole", tasks)
    for file in ("model.safetensors", "optimizer.safetensors"):
        there, expected = (tmp_path / exp / "checkpoints/step-12" / file for exp in ("cut", "whole"))
        assert there.read_bytes() == expected.read_bytes()


def _command(prepared: Path, folder: Path) -> list[str]:
    return ["--", *pretrain(prepared, folder / "cut")]


def test_what_slurm_is_given(tmp_path: Path) -> None:
    """There is no Slurm here: the two programs of it that are called only keep the script."""
    for name, script in {"srun": "", "sbatch": f"cp $1 {tmp_path}/script; echo Submitted batch job 42"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    options = ("--nodes", "2", "--gpus", "8", "--hours", "1.5", "--grace", "200", "--slurm", "partition=long")
    done = run_sew("submit", *options, "--folder", str(tmp_path / "jobs"), "--", "decode", env=environment)
    assert done.returncode == 0 and "job 42, its log: " in done.stdout, done.stderr
    script = (tmp_path / "script").read_text()
    for line in ("nodes=2", "gpus-per-node=8", "ntasks-per-node=8", "time=90", "signal=USR2@200", "partition=long"):
        assert f"#SBATCH --{line}\n" in script, script


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--", "prep", "librispeech"), "sew prep is no command for a job"),
        (("--cluster", "lokal", "--", "decode"), "no cluster 'lokal'"),
        (("--hours", "0.05", "--", "decode"), "--grace 300 s is not within the 0.05 hours"),
        (("--cluster", "local", "--", "pretrain", "--set", "optim.lrr=1"), "did you mean 'lr'"),
        (("--cluster", "local", "--slurm", "account", "--", "decode"), "KEY=VALUE"),
        (("--cluster", "slurm", "--", "decode"), "no Slurm here"),
    ],
)
def test_mistakes_are_told_before_anything_is_queued(arguments, said, tmp_path: Path) -> None:
    done = run_sew("submit", *arguments, cwd=tmp_path, env={**os.environ, "PATH": "/nowhere"})
    assert done.returncode == 2 and said in " ".join(done.stderr.split()), done.stderr
    assert not list(tmp_path.glob("**/*.pkl"))
