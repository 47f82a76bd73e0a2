"""Span masks: the counts and shares that fairseq's draw has."""

import numpy as np
import pytest

from sewcli.nn.masking import channel_mask, span_mask


def masks(batch: int, frames: int, draws: int = 200, **changes) -> np.ndarray:
    settings = {"probability": 0.65, "length": 10, **changes}
    return np.stack([span_mask(np.random.default_rng(seed), batch, frames, **settings) for seed in range(draws)])


def mean_run(mask: np.ndarray) -> float:
    starts = mask & ~np.pad(mask, ((0, 0), (0, 0), (1, 0)))[..., :-1]
    return (mask.sum(2) / starts.sum(2)).mean()  # of the rows' mean runs


@pytest.mark.parametrize(
    ("batch", "frames", "share", "run"),
    [(1, 499, 0.49, 14.7), (8, 499, 0.45, 8.3), (16, 499, 0.44, 7.1), (8, 99, 0.40, 6.1)],
)
def test_shares_and_runs_of_pretraining(batch: int, frames: int, share: float, run: float) -> None:
    drawn = masks(batch, frames)
    assert drawn.mean() == pytest.approx(share, abs=0.01)
    assert mean_run(drawn) == pytest.approx(run, rel=0.02)


@pytest.mark.parametrize(("width", "probability", "low", "high"), [(512, 0.5, 0.39, 0.44), (512, 0.25, 0.22, 0.26)])
def test_shares_of_channels(width: int, probability: float, low: float, high: float) -> None:
    drawn = [channel_mask(np.random.default_rng(s), 1, width, probability=probability, length=64) for s in range(400)]
    assert low < np.mean(drawn) < high


@pytest.mark.parametrize("frames", [1, 2, 3, 9, 10, 11, 12, 13, 25, 99])
def test_rows_are_equal_and_not_empty_however_short(frames: int) -> None:
    drawn = masks(5, frames)
    counts = drawn.sum(2)
    assert (counts == counts[:, :1]).all() and (counts > 0).all()


def test_nothing_is_masked_in_the_padding() -> None:
    lengths = [99, 60, 31, 12]
    drawn = masks(4, 99, lengths=lengths, min_masks=0)
    for row, length in enumerate(lengths):
        assert not drawn[:, row, length:].any()
    counts = drawn.sum(2)
    assert (counts == counts[:, :1]).all() and counts.max() > 0


def test_zero_probability_masks_nothing() -> None:
    assert not masks(3, 50, probability=0.0, min_masks=0).any()


def test_a_single_row_is_whole_spans_from_the_allowed_starts() -> None:
    drawn = masks(1, 40, draws=2000, probability=0.25)[:, 0]  # one or two spans
    for mask in drawn:
        edges = np.flatnonzero(np.diff(np.pad(mask.astype(int), 1)))
        assert ((edges[1::2] - edges[::2]) >= 10).all()
    assert not drawn[:, 39].any() and drawn[:, 0].any() and drawn[:, 38].any()  # starts come from [0, T - length)


def test_the_generator_decides() -> None:
    a, b, c = (span_mask(np.random.default_rng(s), 4, 200, probability=0.65, length=10) for s in (1, 1, 2))
    assert (a == b).all() and (a != c).any()
