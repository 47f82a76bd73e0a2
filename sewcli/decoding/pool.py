"""Decoder processes beside the model: a beam search holds the interpreter lock, so threads would stall the GPU.

Workers are forked once the language model and the lexicon are built, and share them; where forking is not safe or not
there, each builds its own (a KenLM binary is then still one shared mapping). Few utterances wait at any time, a worker that
dies is an error and never a hang, and workers go when their parent does.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import numpy as np

from sewcli.base import dist
from sewcli.base.errors import SewError, UsageError
from sewcli.base.processes import die_with_parent, leave_signals_to_the_parent
from sewcli.decoding.beam import Search
from sewcli.decoding.nbest import Hypothesis
from sewcli.decoding.weights import Weights

Build = Callable[[], Search]  # must be picklable: functools.partial(BeamDecoder, files, vocabulary, options)
T = TypeVar("T")
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
        self._running: set[Future[Decoded]] = set()
        self._decoder: Search | None = None
        self._executor: ProcessPoolExecutor | None = None
        if jobs and not _can_fork():
            self._executor = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start, (build, None))
        else:
            self._decoder = build()
            if jobs:
                context = multiprocessing.get_context("fork")
                self._executor = ProcessPoolExecutor(jobs, context, _start, (build, self._decoder))
        if self._executor:
            # A task for each starts them all now: a fork must come before the model's threads and the GPU.
            for ready in [self._executor.submit(_ready) for _ in range(jobs)]:
                if error := self._guarded(ready.result):
                    self._executor.shutdown()
                    raise error

    def put(self, name: str, emission: np.ndarray, weights: Weights | None = None) -> Iterator[Decoded]:
        """Hand over an emission (T, V); yields what is done meanwhile, and blocks while too much is waiting.

        Args:
            name: the utterance.
            emission: (T, V) log-probabilities.
            weights: others than those of the decoder's options.
        """
        if self._executor is None:
            assert self._decoder is not None
            yield _timed(self._decoder, name, emission, weights)
            return
        executor = self._executor
        self._running.add(self._guarded(lambda: executor.submit(_work, name, emission, weights)))
        while self._running and (len(self._running) > WAITING * self.jobs or any(f.done() for f in self._running)):
            yield from self._finished()

    def drain(self) -> Iterator[Decoded]:
        """Yield the rest."""
        while self._running:
            yield from self._finished()

    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return list(self._executor._processes) if self._executor else []

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is None:
            return
        if kind is not None:  # Ctrl-C or a failure: do not wait for what nobody will read
            for process in list((self._executor._processes or {}).values()):
                process.terminate()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _finished(self) -> Iterator[Decoded]:
        done, self._running = wait(self._running, return_when=FIRST_COMPLETED)
        for future in done:
            yield self._guarded(future.result)

    @staticmethod
    def _guarded(action: Callable[[], T]) -> T:
        try:
            return action()
        except BrokenProcessPool:
            raise UsageError(
                "a decoder process died (killed, or out of memory)", mend="fewer --jobs or a smaller --beam"
            ) from None


_DECODER: Search | SewError | None = None  # of this worker, or why it has none


def _start(build: Build, built: Search | None) -> None:
    global _DECODER  # noqa: PLW0603 - a process pool has no other place for the state of a worker
    leave_signals_to_the_parent()
    die_with_parent()
    try:
        _DECODER = built or build()
    except SewError as error:
        _DECODER = error


def _ready() -> SewError | None:
    """Why this worker cannot work."""
    return _DECODER if isinstance(_DECODER, SewError) else None


def _work(name: str, emission: np.ndarray, weights: Weights | None) -> Decoded:
    assert isinstance(_DECODER, Search)
    return _timed(_DECODER, name, emission, weights)


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
