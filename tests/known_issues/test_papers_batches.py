"""The papers' recipes pack micro-batches as fairseq does: multiples of 8, nothing cropped away for company."""

from collections.abc import Sequence

import numpy as np
import pytest
from fairseq_batches import batch_by_size, librispeech_like
from hypothesis import given
from hypothesis import strategies as st

from sewcli.data.plan import BatchPlan
from sewcli.training.batch_stream import plan_batches
from sewcli.training.config import BatchConfig

CROP = 250_000


@pytest.mark.fault("F2")
@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=300), st.integers(400_000, 3_000_000), st.integers(1, 9))
def test_micro_batches_are_fairseqs(samples: list[int], limit: int, multiple: int) -> None:
    plan = BatchPlan(samples, limit, 1, seed=3, multiple=multiple, jitter=0.0)
    ours = sorted(sorted(samples[i] for i in update[0]) for update in plan.epoch(2))
    ordered = sorted(samples, reverse=True)
    theirs = sorted(sorted(ordered[i] for i in batch) for batch in batch_by_size(ordered, limit, multiple))
    assert ours == theirs


@pytest.mark.fault("F2")
@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=200), st.integers(2, 9), st.floats(0, 0.3))
def test_larger_micro_batches_are_multiples(samples: list[int], multiple: int, jitter: float) -> None:
    plan = BatchPlan(samples, 1_400_000, 3, seed=1, multiple=multiple, jitter=jitter)
    batches = [batch for update in plan.epoch(0) for batch in update]
    assert sorted(i for batch in batches for i in batch) == list(range(len(samples)))
    assert all(len(batch) < multiple or len(batch) % multiple == 0 for batch in batches)


# Seconds of audio an update of fairseq's own compiled packing on the same kind of lengths: 4947 and 3794 in pre-training
# (cropped to the shortest of a micro-batch), 1043 in fine-tuning (whole utterances).
@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    ("batch", "cropped", "seconds"),
    [
        (BatchConfig(seconds=5600, micro_seconds=87.5, multiple=8, jitter=0), True, 4947),
        (BatchConfig(seconds=5600, micro_seconds=175, multiple=8, jitter=0), True, 3794),
        (BatchConfig(seconds=1600, micro_seconds=200, multiple=8, jitter=0), False, 1043),
    ],
)
def test_an_update_has_the_audio_that_it_has_in_fairseq(batch: BatchConfig, cropped: bool, seconds: int) -> None:
    lengths = librispeech_like(70_000 if cropped else 28_539, seed=0)
    if cropped:
        lengths = [min(length, CROP) for length in lengths if length >= 32_000]

    def audio_an_update(sizes: list[int], batches: Sequence[Sequence[int]]) -> float:
        used = sum(len(b) * min(sizes[i] for i in b) if cropped else sum(sizes[i] for i in b) for b in batches)
        return used / len(batches) * batch.micro_batches / 16_000

    ours = [micro_batch for update in plan_batches(lengths, batch, seed=1).epoch(0) for micro_batch in update]
    ordered = sorted(lengths, reverse=True)
    theirs = batch_by_size(ordered, int(batch.micro_seconds * 16_000), 8)
    assert audio_an_update(lengths, ours) == pytest.approx(audio_an_update(ordered, theirs), rel=1e-9)
    assert audio_an_update(lengths, ours) == pytest.approx(seconds, rel=0.01)


@pytest.mark.fault("F2")
def test_equal_lengths_still_change_company() -> None:
    samples = [CROP] * 50 + np.random.default_rng(0).integers(100_000, CROP, 50).tolist()
    plan = BatchPlan(samples, 1_400_000, 1, seed=1, multiple=8, jitter=0.0)
    assert {frozenset(u[0]) for u in plan.epoch(0)} != {frozenset(u[0]) for u in plan.epoch(1)}
