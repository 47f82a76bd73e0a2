"""Training jobs in forks of a process that has imported everything: real ranks, real signals, seconds of import saved.

A job is a process group: torchrun's own agent (torch.distributed's elastic_launch) and its ranks, or one process alone.
"""

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

IMPORTED = (
    *("soundfile", "torch.distributed.launcher.api", "torch.utils.tensorboard", "sewcli.cli.app"),
    *("sewcli.training.pretrain", "sewcli.training.finetune", "torch._dynamo", "numpy.random"),
)


@dataclass
class Job:
    """A job that runs, or has run. `code`: its exit code (negative: the signal) once it has ended."""

    pid: int
    folder: Path
    ranks: int
    code: int | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def rank_codes(self) -> dict[int, str]:
        """The exit code that each rank left with by itself; of those that were killed there is none."""
        return {int(path.name[5:]): path.read_text() for path in self.folder.glob("code-*")}

    def send(self, number: signal.Signals, rank: int | None) -> None:
        """A signal to one rank, or to the one process that there is."""
        pid = self.pid if rank is None else int((self.folder / f"pid-{rank}").read_text())
        os.kill(pid, number)

    def ended(self) -> bool:
        if self.code is None:
            self.code = _server().ask("poll", self.pid)
        return self.code is not None

    def wait(self, seconds: float = 300) -> int:
        self._until(self.ended, seconds, 0.01)
        assert self.code is not None
        return self.code

    def until(self, happened: Callable[[], object], seconds: float = 300, *, pause: float = 0.002) -> None:
        """Wait for something that happens before this job ends (a file appears)."""
        self._until(lambda: happened() or self.ended(), seconds, pause)
        assert happened(), f"the job ended before it happened: {self.code}\n{self.log}"

    def kill(self) -> None:
        """SIGKILL to the launcher and all ranks at once; returns when none is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        self._until(lambda: not _alive(self.pid), 60, 0.01)

    def _until(self, happened: Callable[[], object], seconds: float, pause: float) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, self.log
            time.sleep(pause)


def start(arguments: list[str], folder: Path, ranks: int = 1) -> Job:
    """Start `sew` with arguments, as one process or under torchrun's agent; `folder` is for its log."""
    folder.mkdir(parents=True)
    pid = _server().ask("start", {"arguments": arguments, "folder": str(folder), "ranks": ranks})
    return Job(pid, folder, ranks)


def _alive(group: int) -> bool:
    """Whether any process of a group runs; one that nobody has waited for yet does not."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _parent, of = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state != "Z":
                return True
    return False


class _Server:
    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, *question):
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=30)


@cache
def _server() -> _Server:
    server = _Server()
    atexit.register(server.close)
    return server


def _serve() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        verb, value = json.loads(line)
        if verb == "start":
            answer = os.fork()
            if answer == 0:
                _become(**value)
        else:
            ended, status = os.waitpid(value, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        print(json.dumps(answer), flush=True)


def _become(arguments: list[str], folder: str, ranks: int) -> None:
    os.setsid()
    log = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(log, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if ranks == 1:
        _sew(arguments, folder)
        os._exit(0)
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(1, 1, ranks, rdzv_backend="c10d", rdzv_endpoint="localhost:0", run_id=str(os.getpid()))
    config.max_restarts, config.monitor_interval, config.start_method = 0, 0.05, "fork"
    try:
        elastic_launch(config, _sew)(arguments, folder)
    except BaseException as error:
        print(f"launcher: {type(error).__name__}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def _sew(arguments: list[str], folder: str) -> None:
    from sewcli.__main__ import main

    rank = os.environ.get("RANK", "0")
    Path(folder, f"pid-{rank}.new").write_text(str(os.getpid()))
    os.replace(f"{folder}/pid-{rank}.new", f"{folder}/pid-{rank}")
    sys.argv = ["sew", *arguments]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    Path(folder, f"code-{rank}").write_text(str(code))
    if code:
        os._exit(code)


if __name__ == "__main__":
    _serve()
