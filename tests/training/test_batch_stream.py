"""Batches for a GPU are page-locked by the threads that read, each once, and are otherwise the same."""

import threading

import numpy as np
import pytest
import torch
from tiny_task import TinyTask, tiny_config

from sewcli.training.batch_stream import loaded_updates
from sewcli.training.checkpoint import TrainingState


def test_readers_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def lock(tensor: torch.Tensor) -> torch.Tensor:
        threads.append(threading.current_thread().name)
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", lock)
    plain, pinned = (loaded_updates(TinyTask(tiny_config()), TrainingState(), lambda: False, pin=p) for p in (0, 1))
    expected = next(plain)
    assert threads == []
    found = next(pinned)
    assert threads and all(name.startswith("read-ahead") for name in threads)
    assert (found.step, found.after, found.of_all_ranks) == (expected.step, expected.after, expected.of_all_ranks)
    assert len(found.batches) == found.of_all_ranks > 0
    for (number, batch, weight), (other_number, other, other_weight) in zip(
        found.batches, expected.batches, strict=True
    ):
        assert (number, weight, batch.ids) == (other_number, other_weight, other.ids)
        assert np.array_equal(batch.waves, other.waves) and np.array_equal(batch.lengths, other.lengths)
    plain.close(), pinned.close()
