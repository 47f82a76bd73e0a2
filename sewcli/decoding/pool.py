"""Decoder processes beside the model: a beam search holds the interpreter lock, so threads would stall the GPU.

Workers are forked once the language model and the lexicon are built, and share them; where forking is not safe or not
there, each builds its own (a KenLM binary is then still one shared mapping). Few utterances wait at any time, a worker that
dies is an error and never a hang, and workers go when their parent does. The pipes are our own: the executor of Python
3.11.2 never ends when a worker dies while a long message is on its way to it (CPython issue 94777).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any

import numpy as np

from sewcli.base import dist
from sewcli.base.errors import SewError, UsageError
from sewcli.base.processes import die_with_parent, leave_signals_to_the_parent
from sewcli.decoding.beam import Search
from sewcli.decoding.nbest import Hypothesis
from sewcli.decoding.weights import Weights

Build = Callable[[], Search]  # must be picklable: functools.partial(BeamDecoder, files, vocabulary, options)
Task = tuple[str, np.ndarray, Weights | None]
WAITING = 4  # utterances a worker may have before it


@dataclass(frozen=True)
class Decoded:
    """An utterance's hypotheses, or why there are none, the CPU seconds it took, and the weights it was given."""

    name: str
    hypotheses: list[Hypothesis]
    seconds: float
    error: SewError | None = None
    weights: Weights | None = None


def default_jobs() -> int:
    """A worker for each core but one, at most 8 (a core decodes hundreds of times faster than real time), dealt out over
    the processes that share this machine under `torchrun`.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores - 1, 8) // dist.local_world_size())


class DecoderPool:
    """Decodes emissions in `jobs` processes; 0 decodes in this one. A context manager.

    Args:
        build: makes the decoder.
        jobs: worker processes.

    Raises:
        SewError: whatever the decoder refuses when it is built.
    """

    def __init__(self, build: Build, jobs: int) -> None:
        self.jobs = jobs
        fork = _can_fork()
        self._decoder = None if jobs and not fork else build()
        context = multiprocessing.get_context("fork" if fork else "spawn")
        # All at once: a fork must come before the model's threads and the GPU.
        self._workers = [_Worker(context, build, self._decoder) for _ in range(jobs)]
        try:
            for worker in self._workers:
                worker.begin()
        except BaseException:
            self._end(at_once=True)
            raise

    def put(self, name: str, emission: np.ndarray, weights: Weights | None = None) -> Iterator[Decoded]:
        """Hand over an emission (T, V); yields what is done meanwhile, and blocks while too much is waiting.

        Args:
            name: the utterance.
            emission: (T, V) log-probabilities.
            weights: others than those of the decoder's options.
        """
        if not self._workers:
            assert self._decoder is not None
            yield _timed(self._decoder, name, emission, weights)
            return
        min(self._workers, key=lambda worker: worker.frames).send((name, emission, weights))
        yield from self._results(0)
        while self.waiting > WAITING * self.jobs:
            yield from self._results(None)

    def drain(self) -> Iterator[Decoded]:
        """Yield the rest."""
        while self.waiting:
            yield from self._results(None)

    @property
    def waiting(self) -> int:
        """How many utterances the workers have."""
        return sum(worker.tasks for worker in self._workers)

    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.process.pid or 0 for worker in self._workers]

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(at_once=kind is not None)  # after Ctrl-C or a failure nobody will read what is still decoded

    def _results(self, timeout: float | None) -> Iterator[Decoded]:
        by_pipe = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(by_pipe), timeout):
            assert isinstance(pipe, Connection)
            yield by_pipe[pipe].receive()

    def _end(self, *, at_once: bool) -> None:
        for worker in self._workers:
            worker.end(at_once=at_once)
        for worker in self._workers:
            worker.process.join()


class _Worker:
    """A process and the pipe to it. A thread sends, so that nobody waits until the process has time to read."""

    def __init__(self, context: Any, build: Build, built: Search | None) -> None:
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, build, built), daemon=True)
        self.process.start()
        theirs.close()  # the only copy is now the process's own: both ends learn when the other is gone
        self.tasks, self.frames = 0, 0  # that it has and has not answered
        self._sizes: deque[int] = deque()
        self._unsent: SimpleQueue[Task | None] = SimpleQueue()
        self._sender = Thread(target=self._send, daemon=True)

    def begin(self) -> None:
        """Wait until it can work; threads begin only when all processes are forked.

        Raises:
            SewError: why it cannot.
        """
        if error := self._read():
            raise error
        self._sender.start()

    def send(self, task: Task) -> None:
        """Give it one utterance more."""
        self._sizes.append(len(task[1]))
        self.tasks, self.frames = self.tasks + 1, self.frames + self._sizes[-1]
        self._unsent.put(task)

    def receive(self) -> Decoded:
        """An answer; they come in the order of the tasks."""
        decoded: Decoded = self._read()
        self.tasks, self.frames = self.tasks - 1, self.frames - self._sizes.popleft()
        return decoded

    def end(self, *, at_once: bool) -> None:
        """Let it end when it has done what it has, or at once."""
        if at_once:
            self.process.terminate()
        else:
            self._unsent.put(None)

    def _send(self) -> None:
        with contextlib.suppress(OSError):  # it is gone: whoever reads its answers will be told
            while True:
                self.pipe.send(task := self._unsent.get())
                if task is None:
                    return

    def _read(self) -> Any:
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            raise UsageError(
                "worker-killed",
                "a decoder process died (killed, or out of memory)",
                hint="fewer --jobs or a smaller --beam",
            ) from None


def _serve(pipe: Connection, build: Build, built: Search | None) -> None:
    """The life of a worker: whether it can work, and then an answer to each task."""
    leave_signals_to_the_parent()
    die_with_parent()
    try:
        decoder = built or build()
    except SewError as error:
        pipe.send(error)
        return
    pipe.send(None)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        while task := pipe.recv():
            pipe.send(_timed(decoder, *task))


def _timed(decoder: Search, name: str, emission: np.ndarray, weights: Weights | None) -> Decoded:
    began = time.thread_time()
    try:
        return Decoded(name, decoder.decode(name, emission, weights), time.thread_time() - began, weights=weights)
    except SewError as error:
        return Decoded(name, [], time.thread_time() - began, error, weights)


def _can_fork() -> bool:
    """Not with a GPU in use (its driver does not survive a fork), and not on macOS, whose libraries do not."""
    torch = sys.modules.get("torch")  # not imported here: a spawned worker has no use for it
    gpu_in_use = torch is not None and torch.cuda.is_initialized()
    return "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin" and not gpu_in_use
