"""The batch plan is a function of (seed, epoch); every utterance comes once an epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewcli.base.errors import UsageError
from sewcli.data.plan import BatchPlan

lengths = st.lists(st.integers(1, 400_000), min_size=1, max_size=200)


@given(lengths, st.integers(1, 2_000_000), st.integers(1, 9), st.integers(0, 5))
def test_every_utterance_once_and_no_batch_too_large(samples, micro_samples, micro_batches, epoch) -> None:
    plan = BatchPlan(samples, micro_samples, micro_batches, seed=3)
    updates = plan.epoch(epoch)
    flat = [i for update in updates for micro in update for i in micro]
    assert sorted(flat) == list(range(len(samples)))
    assert all(len(update) == micro_batches for update in updates[:-1]) and 1 <= len(updates[-1]) <= micro_batches
    for update in updates:
        for micro in update:
            assert len(micro) == 1 or len(micro) * max(samples[i] for i in micro) <= micro_samples
    assert plan.epoch(epoch) == updates


def test_epochs_and_seeds_differ() -> None:
    samples = list(np.random.default_rng(0).integers(16_000, 250_000, 300))
    plan = BatchPlan(samples, 1_400_000, 4, seed=1)
    assert plan.epoch(0) != plan.epoch(1)
    assert BatchPlan(samples, 1_400_000, 4, seed=2).epoch(0) != plan.epoch(0)


def test_little_padding() -> None:
    samples = np.random.default_rng(0).gamma(4, 40_000, 2000).astype(int).tolist()
    micros = [m for update in BatchPlan(samples, 1_400_000, 1, seed=1).epoch(0) for m in update]
    padded = sum(len(m) * max(samples[i] for i in m) for m in micros)
    assert padded / sum(samples) < 1.12


def test_nothing_to_train_on() -> None:
    with pytest.raises(UsageError):
        BatchPlan([], 1, 1, seed=1)
