"""Work spread over processes: results in order, a worker that dies is an error and never a hang, none outlives us."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from sewcli.base.errors import SewError

T = TypeVar("T")
R = TypeVar("R")
PR_SET_PDEATHSIG = 1
WAITING = 4  # tasks a worker may have before it: enough to keep it busy, few enough to stop soon


def in_processes(
    work: Callable[[T], R], items: Iterable[T], jobs: int, *, fresh: bool = False, preload: tuple[str, ...] = ()
) -> Iterator[R]:
    """Yield `work(item)` for each item, in their order, from `jobs` processes.

    Args:
        work: a function that can be pickled (of a module, or a functools.partial of one).
        items: its arguments.
        jobs: how many processes.
        fresh: each item in a process that has done nothing before.
        preload: modules that the processes' common parent imports once.

    Raises:
        SewError: a worker was killed. Whatever `work` raises is raised here.
    """
    context = multiprocessing.get_context("forkserver")  # forks a process that holds no threads and no library's state
    context.set_forkserver_preload([__name__, *preload])
    waiting: deque[Future[R]] = deque()
    try:
        with ProcessPoolExecutor(
            jobs, context, _start, (os.getpid(),), max_tasks_per_child=1 if fresh else None
        ) as pool:
            try:
                for item in items:
                    waiting.append(pool.submit(work, item))
                    if len(waiting) > WAITING * jobs:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenProcessPool:
        raise SewError(
            "worker-killed",
            "a worker process was killed (out of memory?)",
            hint="run the same command again, with fewer --jobs",
        ) from None


def leave_signals_to_the_parent() -> None:
    """In a worker: what reaches the whole group (Ctrl-C, a scheduler's SIGUSR1) is the parent's to handle; SIGTERM ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def die_with_parent() -> None:
    """In a worker (Linux): end when the process that forked it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _start(owner: int) -> None:
    leave_signals_to_the_parent()
    _end_with(owner)


def _end_with(owner: int) -> None:
    """End this worker when the process `owner` ends: its parent is the fork server, which does not tell."""
    import threading
    import time

    def watch() -> None:
        while True:
            try:
                os.kill(owner, 0)
            except OSError:
                os._exit(1)
            time.sleep(0.5)

    threading.Thread(target=watch, daemon=True).start()
