"""8 to 16 kHz: what is in the band keeps its level, and nothing appears above it."""

import numpy as np
import pytest

from sewcli.audio.resample import to_16k

SECONDS = 2.0
EDGE = 1600  # samples at 16 kHz at both ends, where the filter meets silence


def tone(hertz: float, rate: int) -> np.ndarray:
    """A sine of amplitude 0.5 in float64, shape (rate * SECONDS,)."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * SECONDS)) / rate)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("hertz", [60.0, 300.0, 1000.0, 3000.0, 3400.0])
def test_tones_are_those_of_a_16_khz_recording(hertz: float, kind: type) -> None:
    wave = to_16k(tone(hertz, 8000).astype(kind), 8000)
    expected = tone(hertz, 16_000)
    assert wave.dtype == kind and wave.shape == expected.shape
    middle = slice(EDGE, -EDGE)
    level = 20 * np.log10(np.sqrt(np.mean(wave[middle].astype(np.float64) ** 2) / np.mean(expected[middle] ** 2)))
    assert abs(level) < 0.1
    error = np.abs(wave[middle] - expected[middle]).max()  # neither a delay nor distortion
    assert 20 * np.log10(error / 0.5) < -80


@pytest.mark.parametrize("hertz", [1000.0, 3000.0, 3600.0])
def test_nothing_above_the_band(hertz: float) -> None:
    wave = to_16k(tone(hertz, 8000), 8000)[EDGE:-EDGE]
    spectrum = np.abs(np.fft.rfft(wave * np.blackman(len(wave))))
    frequencies = np.fft.rfftfreq(len(wave), 1 / 16_000)
    images = spectrum[frequencies > 4100].max() / spectrum.max()
    assert 20 * np.log10(images) < -60


def test_noise_keeps_its_power_per_hertz() -> None:
    noise = np.random.default_rng(0).standard_normal(160_000) * 0.1
    wave = to_16k(noise, 8000)
    spectrum = np.abs(np.fft.rfft(wave)) ** 2
    frequencies = np.fft.rfftfreq(len(wave), 1 / 16_000)
    inside, above = spectrum[frequencies < 3600].mean(), spectrum[frequencies > 4100].mean()
    reference = (np.abs(np.fft.rfft(noise)) ** 2)[np.fft.rfftfreq(len(noise), 1 / 8000) < 3600].mean() * 4
    assert abs(10 * np.log10(inside / reference)) < 0.1
    assert 10 * np.log10(above / inside) < -60


def test_16_khz_is_left_alone() -> None:
    wave = tone(1000, 16_000)
    assert to_16k(wave, 16_000) is wave
