"""What runs in each process of a job on a cluster: a `sew` command, and its way back into the queue.

Ahead of the time limit, and where a job is preempted, submitit's signal comes. It is handed on as SIGUSR1, so that the
command saves and leaves with 75; then submitit puts the job into the queue again, and there the same command goes on.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import FrameType
from typing import Any

from sewcli.base.errors import EXIT_REQUEUE


@dataclass
class Job:
    """A command to run with its ranks set; `arguments` are what follows `sew`."""

    arguments: Sequence[str]

    def __call__(self) -> int:
        """Run it; returns 0. Another exit code is that of the process, and then the job has failed."""
        from submitit import JobEnvironment
        from submitit.helpers import TorchDistributedEnvironment

        main = import_module("sewcli.cli.app").main  # by name: the app has `sew submit`, which has this
        if JobEnvironment().num_tasks > 1:
            TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        came: list[int] = []
        number = signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]

        def hand_on(received: int, frame: FrameType | None) -> None:
            came.append(received)
            signal.raise_signal(signal.SIGUSR1)

        requeue = signal.signal(number, hand_on)
        sys.argv = ["sew", *self.arguments]
        try:
            main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
            if code == EXIT_REQUEUE and came:
                signal.signal(number, requeue)
                signal.raise_signal(number)  # submitit's own handler leaves, on the first rank
                return 0
            if code:
                raise
        return 0

    def checkpoint(self) -> Any:
        """What submitit queues again: the same command, which finds its own checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
