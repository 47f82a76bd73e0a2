"""Measures of sound: the same however it is cut into blocks, and a flat top is one that a converter cut."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sewcli.audio.io import read_blocks
from sewcli.audio.measure import FLAT, FULL_SCALE, LARGEST, measure

LEVELS = st.sampled_from([0.0, 0.5, 0.98, LARGEST, 1.0, 3.0, -1.0, -0.97, -7.0])


def flat_by_hand(samples: list[float]) -> int:
    """Runs one by one."""
    found, run = 0, 0
    clipped = [min(max(x, -1.0), LARGEST) for x in samples]
    for i, x in enumerate([*clipped, math.nan]):
        if i and x == clipped[i - 1]:
            run += 1
        else:
            found += run if run >= FLAT and abs(clipped[i - 1]) >= np.float32(FULL_SCALE) else 0
            run = 1
    return found


@given(st.lists(LEVELS, min_size=1, max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_flat_tops_are_counted_across_blocks(samples: list[float], cuts: list[int]) -> None:
    wave = np.array(samples, dtype=np.float32)
    places = [0, *sorted(min(cut, len(wave)) for cut in cuts), len(wave)]
    blocks = [wave[a:b] for a, b in pairwise(places) if b > a]
    measures = measure(blocks)
    assert round(measures.clipped * len(wave)) == flat_by_hand(samples)
    assert measures == measure([wave]) or measures.rms == pytest.approx(measure([wave]).rms)
    assert measures.digest == measure([wave]).digest
    assert measures.rms == pytest.approx(wave.astype(np.float64).std(), abs=1e-6)
    assert measures.offset == pytest.approx(wave.astype(np.float64).mean())


def test_equal_samples_are_no_signal() -> None:
    for level in (0.0, 0.1, -1 / 3):
        measures = measure([np.full(70_000, level, dtype=np.float32)] * 3)
        assert measures.rms == 0.0 and measures.decibels == -math.inf
    assert measure([np.array([0.1, 0.1 + 2**-15], dtype=np.float32)]).rms > 0


def test_level_of_a_sine() -> None:
    sine = np.sin(np.arange(16_000) * 2 * np.pi * 100 / 16_000).astype(np.float32)
    assert measure([0.1 * sine + 0.25]).decibels == pytest.approx(-20 - 3.01, abs=0.01)
    assert measure([0.1 * sine + 0.25]).offset == pytest.approx(0.25)


def test_nan_and_infinity_are_counted_and_spoil_nothing() -> None:
    wave = np.tile(np.array([0.5, -0.5], dtype=np.float32), 500)
    bad = wave.copy()
    bad[[3, 700]] = np.nan, -np.inf
    measures = measure([bad[:600], bad[600:]])
    assert measures.not_finite == 2 and measures.samples == 1000
    assert measures.rms == pytest.approx(0.5, abs=0.001) and measures.clipped == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.flac", {}), ("a.wav", {"subtype": "ULAW"}), ("a.wav", {"subtype": "FLOAT"}), ("a.ogg", {})],
)
def test_a_clipped_recording_in_every_format(tmp_path: Path, name: str, options: dict) -> None:
    time = np.arange(32_000) / 16_000
    voice = 0.5 * np.sin(2 * np.pi * 130 * time) + 0.4 * np.sin(2 * np.pi * 1170 * time + 1)
    voice += 0.01 * np.random.default_rng(0).standard_normal(len(time))
    for gain, clipped in ((1.0, False), (4.0, True)):
        soundfile.write(tmp_path / name, np.clip(gain * voice, -1, LARGEST), 16_000, **options)
        assert (measure(read_blocks(tmp_path / name)).clipped > 0.01) == clipped


def test_a_peak_at_full_scale_is_no_flat_top(tmp_path: Path) -> None:
    low = np.sin(2 * np.pi * 30 * np.arange(16_000) / 16_000)  # nine samples in a row above 0.98, each another
    soundfile.write(tmp_path / "low.wav", low * LARGEST, 16_000, subtype="PCM_16")
    assert measure(read_blocks(tmp_path / "low.wav")).clipped == 0
