"""`sew submit`: a training or a decoding goes to a Slurm cluster, and comes back to the queue until it is done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sewcli.base.errors import UsageError, nearest
from sewcli.cli import options, show

if TYPE_CHECKING:
    from submitit import AutoExecutor

VERBS = ("pretrain", "finetune", "distill", "decode")  # which share their work among the processes of a job
FOLDER = Path("jobs")


def submit(
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND...", help="pretrain, finetune, distill or decode, with their options."),
    ],
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs a machine.")] = 1,
    tasks: Annotated[
        int | None, typer.Option(min=1, help="Processes a machine.", show_default="one a GPU, or one")
    ] = None,
    cpus: Annotated[int, typer.Option(min=1, help="CPU cores a process.")] = 8,
    hours: Annotated[float, typer.Option(min=0.01, help="Time limit; at its end the job is queued again.")] = 24.0,
    grace: Annotated[int, typer.Option(min=1, help="Seconds ahead of the limit at which it saves and leaves.")] = 300,
    requeues: Annotated[int, typer.Option(min=0, help="How often it may run into the limit.")] = 100,
    slurm: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Another option of sbatch (may be repeated).")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Logs and job files; all machines must see it.")] = FOLDER,
    cluster: Annotated[str, typer.Option(help="slurm, or local: processes on this machine, to try it out.")] = "slurm",
    json: options.Json = False,
) -> None:
    """Run a command as a Slurm job, a process a GPU (with submitit: the extra `slurm`).

    The config is checked before anything is queued. Ahead of the time limit,
    and when it is preempted, the job saves and leaves, is queued again by
    itself, and goes on to the very same weights. Prints the job's number and
    where its log is.

        sew submit --nodes 2 --gpus 8 -- pretrain --model sew-d-mid
        sew submit --gpus 4 --slurm partition=long -- finetune --config 100h
        sew submit --cluster local --gpus 0 -- pretrain --model sew-micro
    """
    if grace >= 3600 * hours:
        raise UsageError(
            "invalid-grace", f"--grace {grace} s is not within the {hours:g} hours", hint="--hours or --grace"
        )
    if command[0] not in VERBS:
        near = nearest(command[0], VERBS)
        raise UsageError(
            "not-a-job-command", f"sew {command[0]} is no command for a job{near}", hint=f"one of {', '.join(VERBS)}"
        )
    executor = _executor(folder, cluster, requeues)
    parameters: dict[str, Any] = {
        "name": f"sew-{command[0]}",
        "nodes": nodes,
        "gpus_per_node": gpus,
        "tasks_per_node": tasks or max(1, gpus),
        "cpus_per_task": cpus,
        "timeout_min": max(1, round(60 * hours)),
        "slurm_signal_delay_s": grace,
        "slurm_additional_parameters": dict(map(_pair, slurm or ())),
    }
    _check(command)

    from sewcli.cli.job import Job

    try:
        executor.update_parameters(**parameters)
        job = executor.submit(Job(command))
    except (ValueError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        raise UsageError(
            "job-refused", f"the job was not taken ({str(error).splitlines()[0]})", hint="look at the options"
        ) from None
    logs = [str(job.paths.stderr).replace("_0_log", f"_{rank}_log") for rank in range(nodes * (tasks or max(1, gpus)))]
    if json:
        show.objects({"job": job.job_id, "logs": logs})
    else:
        show.line(f"job {job.job_id}, its log: {logs[0]}")


def _executor(folder: Path, cluster: str, requeues: int) -> AutoExecutor:
    try:
        import submitit
    except ImportError:
        raise UsageError("package-missing", "submitit is not installed", hint="pip install 'sewcli[slurm]'") from None
    from sewcli.base.files import os_errors_as_usage_errors

    if cluster not in ("slurm", "local"):
        raise UsageError("no-such-cluster", f"no cluster {cluster!r}", hint="--cluster slurm, or --cluster local")
    try:
        with os_errors_as_usage_errors(folder):
            return submitit.AutoExecutor(
                folder, cluster, slurm_max_num_timeout=requeues, local_max_num_timeout=requeues
            )
    except RuntimeError:
        raise UsageError(
            "no-slurm",
            "no Slurm here (there is no srun)",
            hint="run this on a machine of the cluster, or try --cluster local",
        ) from None


def _check(command: list[str]) -> None:
    """Have the command show its config: a mistake in it shall be told now, not when the job's turn has come."""
    if command[0] == "decode":
        return
    shown = [sys.executable, "-m", "sewcli.cli.app", *command, "--print-config"]
    done = subprocess.run(shown, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)

    import yaml

    data = Path(yaml.safe_load(done.stdout)["data"]["dir"])
    if not data.is_dir():
        raise UsageError(
            "folder-not-found", "no such data folder", where=data, hint="first run: sew prep, or give --data"
        )


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UsageError(
            "slurm-not-key-value",
            f"--slurm {text!r} is not of the form KEY=VALUE",
            hint="for example --slurm account=speech",
        )
    return key.lstrip("-"), value
