"""Micro-batches of waves and labels, read ahead by threads while the model works.

Reading a FLAC releases the interpreter lock, so threads are enough; the order is the plan's, and a batch is a function of
its key, so that what was read ahead and thrown away by a kill changes nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from sewcli.base.rng import numpy_rng
from sewcli.data.utterances import Utterance

if TYPE_CHECKING:
    import torch
    from _typeshed import DataclassInstance

T = TypeVar("T")
R = TypeVar("R")
B = TypeVar("B", bound="DataclassInstance")
ASK_EVERY = 0.1  # seconds between two looks at a stop, while data are waited for
PATIENCE = 2.0  # seconds that the end of an iteration waits for readers still at work


@dataclass(frozen=True)
class WaveBatch:
    """Right-padded waves. Shapes: waves (B, S) float32, lengths (B,) int64 in samples."""

    ids: tuple[str, ...]
    waves: np.ndarray
    lengths: np.ndarray

    @property
    def samples(self) -> int:
        """True samples, without padding."""
        return int(self.lengths.sum())


@dataclass(frozen=True)
class LabelledBatch(WaveBatch):
    """Waves with label ids. Shapes: labels (sum of label_lengths,) int64, label_lengths (B,) int64."""

    labels: np.ndarray
    label_lengths: np.ndarray


def cropped_batch(ids: Sequence[str], waves: Sequence[np.ndarray], longest: int, seed: int, *parts: int) -> WaveBatch:
    """Every utterance cropped at a random place to the shortest of them (at most `longest` samples): no padding at all."""
    size = min([longest, *map(len, waves)])
    rng = numpy_rng(seed, "crop", *parts)
    offsets = [int(rng.integers(0, len(wave) - size + 1)) for wave in waves]
    pieces = np.stack([wave[o : o + size] for wave, o in zip(waves, offsets, strict=True)])
    return WaveBatch(tuple(ids), pieces, np.full(len(waves), size, dtype=np.int64))


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """An array on a device; a GPU is not waited for, and one that is `pinned` is not copied first."""
    import torch  # which reading alone does without

    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def pinned(batch: B) -> B:
    """The same batch (a dataclass) with its arrays in page-locked memory, from which a GPU copies by itself.

    For the threads that read: page-locking and copying on the way to the device would keep it waiting.
    """
    import torch

    arrays = {name: value for name, value in vars(batch).items() if isinstance(value, np.ndarray)}
    locked = {name: torch.from_numpy(array).pin_memory().numpy() for name, array in arrays.items()}
    return replace(batch, **locked)


def padded_waves(waves: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Right-pad with zeros. Returns (B, S) float32 and the lengths (B,) int64."""
    lengths = np.array([len(wave) for wave in waves], dtype=np.int64)
    padded = np.zeros((len(waves), int(lengths.max())), dtype=np.float32)
    for row, wave in zip(padded, waves, strict=True):
        row[: len(wave)] = wave
    return padded, lengths


def labelled_batch(
    utterances: Sequence[Utterance], waves: Sequence[np.ndarray], labels: Sequence[Sequence[int]]
) -> LabelledBatch:
    """Whole utterances with their waves and label ids."""
    padded, lengths = padded_waves(waves)
    return LabelledBatch(
        ids=tuple(u.id for u in utterances),
        waves=padded,
        lengths=lengths,
        labels=np.concatenate([np.asarray(ids, dtype=np.int64) for ids in labels]),
        label_lengths=np.array([len(ids) for ids in labels], dtype=np.int64),
    )


def read_ahead(
    items: Iterable[T],
    load: Callable[[T], R],
    *,
    threads: int = 2,
    ahead: int = 4,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[T, R]]:
    """Yield (item, load(item)) in order, up to `ahead` of them loading in the background.

    `stop` is asked while an item is waited for: once it says yes, the iteration ends there and what hangs is left behind.
    """
    readers = _Readers(load, threads)
    waiting: deque[tuple[T, Future[R]]] = deque()

    def arrived() -> bool:
        while not waiting[0][1].done():
            if stop():
                return False
            wait([waiting[0][1]], timeout=ASK_EVERY)
        return True

    try:
        for item in items:
            waiting.append((item, readers.submit(item)))
            if len(waiting) > ahead:
                if not arrived():
                    return
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting and arrived():
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()
        readers.close()


class _Readers(Generic[T, R]):
    """Threads that load. An executor would wait at its end, and again at the end of the process, for a read that hangs."""

    def __init__(self, load: Callable[[T], R], threads: int) -> None:
        self._load = load
        self._tasks: SimpleQueue[tuple[T, Future[R]] | None] = SimpleQueue()
        self._threads = [Thread(target=self._work, name=f"read-ahead-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, item: T) -> Future[R]:
        future: Future[R] = Future()
        self._tasks.put((item, future))
        return future

    def close(self) -> None:
        """End the threads; one that is at work still is waited for a moment."""
        for _ in self._threads:
            self._tasks.put(None)
        deadline = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            item, future = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._load(item))
                except BaseException as error:
                    future.set_exception(error)
