"""`sew` in forks of a process that has imported everything: real processes and exit codes, without the seconds of import.

A fork can send itself a SIGKILL before its n-th file operation below a folder, so that a test can kill it anywhere.
"""

import atexit
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

IMPORTED = ("lhotse", "soundfile", "soxr", "sewcli.cli.app", "sewcli.corpora.preparation", "sewcli.data.check")
OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit code (negative: the signal), file operations below the folder, and what it said."""

    code: int
    operations: int
    out: str
    err: str


class Forks:
    """The process that is forked."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def sew(self, *arguments: object, below: Path | None = None, kill_before: int | None = None) -> Ran:
        """Run a command to its end, or to its death.

        Args:
            arguments: as typed.
            below: count the file operations on paths that begin with this.
            kill_before: SIGKILL when it is about to do the operation of this number, counted from 1.
        """
        task = {"arguments": [str(a) for a in arguments], "below": str(below or ""), "kill_before": kill_before}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return Ran(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=30)


@cache
def forks() -> Forks:
    """The one process of these tests."""
    process = Forks()
    atexit.register(process.close)
    return process


def _serve() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)


def _run(task: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        said = {name: Path(folder) / name for name in ("out", "err", "operations")}
        child = os.fork()
        if child == 0:
            _become(task, said)
        _, status = os.waitpid(child, 0)
        texts = {name: path.read_text() if path.exists() else "" for name, path in said.items()}
        operations = len(texts.pop("operations"))
        return {"code": os.waitstatus_to_exitcode(status), "operations": operations, **texts}


def _become(task: dict[str, Any], said: dict[str, Path]) -> None:
    from sewcli.cli import app

    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(said[name], os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    counted = os.open(said["operations"], os.O_WRONLY | os.O_CREAT)
    numbers = itertools.count(1)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in OPERATIONS and str(arguments[0]).startswith(task["below"]):
            if next(numbers) == task["kill_before"]:
                os.kill(os.getpid(), signal.SIGKILL)
            os.write(counted, b".")

    if task["below"]:
        sys.addaudithook(hook)
    sys.argv = ["sew", *task["arguments"]]
    code = 0
    try:
        app.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
