"""Span masks: the counts and shares that fairseq's draw has."""

import math

import numpy as np
import pytest

from sewcli.nn.masking import equalise, frame_indices, near_edges, span_lengths, span_mask


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
    drawn = [
        span_mask(np.random.default_rng(s), 1, width, probability=probability, length=64, min_spans=0)
        for s in range(400)
    ]
    assert low < np.mean(drawn) < high


@pytest.mark.parametrize("frames", [1, 2, 3, 9, 10, 11, 12, 13, 25, 99])
def test_rows_are_equal_and_not_empty_however_short(frames: int) -> None:
    drawn = masks(5, frames)
    counts = drawn.sum(2)
    assert (counts == counts[:, :1]).all() and (counts > 0).all()


def test_nothing_is_masked_in_the_padding() -> None:
    lengths = [99, 60, 31, 12]
    drawn = masks(4, 99, lengths=lengths, min_spans=0)
    for row, length in enumerate(lengths):
        assert not drawn[:, row, length:].any()
    counts = drawn.sum(2)
    assert (counts == counts[:, :1]).all() and counts.max() > 0


def test_zero_probability_masks_nothing() -> None:
    assert not masks(3, 50, probability=0.0, min_spans=0).any()


def test_a_single_row_is_whole_spans_from_the_allowed_starts() -> None:
    drawn = masks(1, 40, draws=2000, probability=0.25)[:, 0]  # one or two spans
    for mask in drawn:
        edges = np.flatnonzero(np.diff(np.pad(mask.astype(int), 1)))
        assert ((edges[1::2] - edges[::2]) >= 10).all()
    assert not drawn[:, 39].any() and drawn[:, 0].any() and drawn[:, 38].any()  # starts come from [0, T - length)


def test_the_generator_decides() -> None:
    a, b, c = (span_mask(np.random.default_rng(s), 4, 200, probability=0.65, length=10) for s in (1, 1, 2))
    assert (a == b).all() and (a != c).any()


SHAPES = {
    "uniform(1,31)": {"shape": "uniform", "length": 16, "spread": 15},
    "poisson(15)": {"shape": "poisson", "length": 15},
    "normal(15,10)": {"shape": "normal", "length": 15, "spread": 10},
    "static 15": {"length": 15},
}


def moments(name: str) -> tuple[float, float]:
    """(mean, standard deviation) of a length of at least one frame, summed over its distribution."""
    below = lambda x: 0.5 * (1 + math.erf((x - 15) / 10 / math.sqrt(2)))  # noqa: E731
    shares = {
        "uniform(1,31)": lambda n: (1 <= n <= 31) / 31,
        "poisson(15)": lambda n: math.exp(n * math.log(15) - 15 - math.lgamma(n + 1)) if n >= 0 else 0.0,
        "normal(15,10)": lambda n: below(n + 0.5) - below(n - 0.5),
        "static 15": lambda n: float(n == 15),
    }[name]
    lengths = range(-60, 100)
    mean = sum(max(n, 1) * shares(n) for n in lengths)
    return mean, math.sqrt(sum((max(n, 1) - mean) ** 2 * shares(n) for n in lengths))


@pytest.mark.parametrize("name", SHAPES)
def test_lengths_of_spans(name: str) -> None:
    drawn = span_lengths(np.random.default_rng(0), 100_000, **{"shape": "static", "spread": 0.0, **SHAPES[name]})
    mean, deviation = moments(name)
    assert drawn.mean() == pytest.approx(mean, abs=0.1) and drawn.std() == pytest.approx(deviation, abs=0.1)
    assert drawn.min() >= 1 and (name != "uniform(1,31)" or (drawn.min(), drawn.max()) == (1, 31))


@pytest.mark.parametrize("name", SHAPES)
def test_spans_apart_never_touch_and_all_places_are_used(name: str) -> None:
    """One row, so that no frame is cut away: runs are the spans, and their lengths those that were drawn."""
    settings = {**SHAPES[name], "overlap": False, "probability": 0.037 * SHAPES[name]["length"]}
    rng, runs, shares, covered = np.random.default_rng(1), [], [], np.zeros(499)
    for _ in range(400):
        mask = span_mask(rng, 1, 499, **settings)[0]
        edges = np.flatnonzero(np.diff(np.pad(mask.astype(int), 1)))
        runs += (edges[1::2] - edges[::2]).tolist()
        shares.append(mask.mean())
        covered += mask
    mean, deviation = moments(name)
    assert np.mean(runs) == pytest.approx(mean, abs=0.6) and np.std(runs) == pytest.approx(deviation, abs=0.5)
    assert np.mean(shares) == pytest.approx(0.037 * mean, abs=0.015)  # nearly all spans find room
    assert covered[20:-20].min() > 0.6 * covered[20:-20].mean(), "some places are never masked"


def test_spans_that_find_no_room_are_left_out() -> None:
    mask = span_mask(np.random.default_rng(0), 1, 30, probability=1.0, length=10, overlap=False)[0]
    edges = np.flatnonzero(np.diff(np.pad(mask.astype(int), 1)))
    assert set((edges[1::2] - edges[::2]).tolist()) == {10} and 1 <= len(edges) // 2 <= 2


@pytest.mark.parametrize("reach", [1, 3, 20])
def test_frames_near_edges(reach: int) -> None:
    mask = span_mask(np.random.default_rng(0), 6, 99, probability=0.65, length=10, equal=False)
    mask[0], mask[1, :30], mask[2, 60:] = True, True, True  # a whole row, and spans that reach the ends
    near = near_edges(mask, reach)
    for row, own in zip(mask, near, strict=True):
        outside = np.flatnonzero(~row)
        for frame in range(99):
            expected = row[frame] and len(outside) > 0 and np.abs(outside - frame).min() <= reach
            assert own[frame] == expected, (frame, outside)


def test_cut_rows_keep_their_frames_and_have_equal_numbers() -> None:
    mask = span_mask(np.random.default_rng(0), 6, 99, probability=0.65, length=10, equal=False)
    counts = mask.sum(1)
    assert counts.min() < counts.max()
    cut = equalise(np.random.default_rng(1), mask)
    assert (cut.sum(1) == counts.min()).all() and not (cut & ~mask).any()
    indices = frame_indices(cut)
    assert indices.shape == (6, counts.min()) and all((cut[row].nonzero()[0] == indices[row]).all() for row in range(6))
