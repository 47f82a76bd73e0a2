"""Waves of a micro-batch at other speeds, in rooms and with noise: by the formulas, and by their keys alone."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sewcli.base.config import build
from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.data import augmentation
from sewcli.data.augmentation import Augmentation, in_room, with_noise
from sewcli.data.augmentation_config import AugmentationConfig


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(16_000 * seconds)) / 16_000)).astype(np.float32)


def decibels(signal: np.ndarray, noise: np.ndarray) -> float:
    return 10 * float(np.log10(np.mean(signal.astype(float) ** 2) / np.mean(noise.astype(float) ** 2)))


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    folder = tmp_path / "noise"
    (folder / "deep").mkdir(parents=True)
    samples = np.random.default_rng(0).normal(0, 0.05, 8_000)
    soundfile.write(folder / "hiss.wav", samples, 8_000)
    soundfile.write(folder / "deep" / "hum.flac", np.stack([tone(50), tone(60)], 1), 16_000)
    return folder


def everything(waves, step, number, fits=lambda place, samples: True):
    return waves, step, number, fits


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_another_speed_is_another_length_and_pitch(speed: float) -> None:
    change = Augmentation(AugmentationConfig(speeds=(speed,)), 1)
    (wave,) = change(*everything([tone(1000)], 0, 0))
    assert len(wave) == pytest.approx(16_000 / speed, abs=1) and wave.dtype == np.float32
    loudest = np.abs(np.fft.rfft(wave)).argmax() * 16_000 / len(wave)
    assert loudest == pytest.approx(1000 * speed, rel=2e-3)


def test_labels_that_would_no_longer_fit_keep_the_speed() -> None:
    change = Augmentation(AugmentationConfig(speeds=(1.25,)), 1)
    waves = [tone(300), tone(400)]
    kept, fast = change(waves, 3, 4, lambda place, samples: place == 1 or samples >= 16_000)
    assert kept is waves[0] and len(fast) == 12_800


@pytest.mark.parametrize("snr", [-5.0, 0.0, 17.5])
def test_noise_has_the_ratio_that_it_is_mixed_at(snr: float) -> None:
    wave, noise = tone(500, 2.0), np.random.default_rng(1).normal(0, 0.2, 5_000).astype(np.float32)
    mixed = with_noise(wave, noise, snr, 4_321)
    assert decibels(wave, mixed - wave) == pytest.approx(snr, abs=0.01)
    silence = np.zeros(100, dtype=np.float32)
    assert with_noise(silence, noise, snr, 0) is silence and with_noise(wave, silence, snr, 0) is wave


def test_a_room_keeps_length_power_and_place() -> None:
    rng = np.random.default_rng(2)
    wave = np.zeros(4_000, dtype=np.float32)
    wave[1_000] = 1.0
    response = np.zeros(3_000)
    response[40], response[540] = 0.5, -0.25  # 40 samples to the ear, an echo 500 later
    found = in_room(wave, response)
    assert int(np.abs(found).argmax()) == 1_000 and found[1_500] / found[1_000] == pytest.approx(-0.5, abs=1e-6)
    speech = rng.normal(0, 0.1, 20_000).astype(np.float32)
    found = in_room(speech, response)
    assert found.shape == speech.shape and decibels(speech, found) == pytest.approx(0, abs=0.01)
    one = np.zeros(10)
    one[3] = 2.0
    np.testing.assert_allclose(in_room(speech, one), speech, atol=1e-7)


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # lhotse
def test_a_draw_is_a_function_of_its_key_alone(noise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "ROOMS", 4)
    config = AugmentationConfig(speeds=(0.9, 1.0, 1.1), noise=str(noise), noise_share=0.7, reverberation=0.5)
    waves = [tone(200 + 100 * n) for n in range(6)]
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, again = Augmentation(config, 5), Augmentation(config, 5)
    assert torch.equal(torch.get_rng_state(), before)  # dropout draws what it would have drawn
    first(*everything(waves, 0, 0))
    torch.rand(3)
    for step, number in ((4, 1), (9, 0)):
        for a, b in zip(first(*everything(waves, step, number)), again(*everything(waves, step, number)), strict=True):
            np.testing.assert_array_equal(a, b)
    other = Augmentation(config, 6)(*everything(waves, 4, 1))
    assert any(not np.array_equal(a, b) for a, b in zip(other, again(*everything(waves, 4, 1)), strict=True))
    lengths = {len(wave) for step in range(8) for wave in again(*everything(waves, step, 0))}
    assert len(lengths) == 3


def test_nothing_is_changed_by_default() -> None:
    assert not AugmentationConfig().changes and not AugmentationConfig(speeds=(1.0,)).changes
    assert AugmentationConfig(speeds=(0.9, 1.0)).changes and AugmentationConfig(reverberation=0.1).changes
    assert build(AugmentationConfig, {"speeds": "0.9,1,1.1", "snr": "3,9"}).speeds == (0.9, 1.0, 1.1)


def test_what_cannot_be_is_refused(tmp_path: Path, noise: Path) -> None:
    with pytest.raises(UsageError, match="down to 5 dB"):
        build(AugmentationConfig, {"snr": [10, 5]})
    with pytest.raises(UsageError, match="less than or equal to 2"):
        build(AugmentationConfig, {"speeds": [3]})
    with pytest.raises(UsageError, match="no such folder of noise"):
        Augmentation(AugmentationConfig(noise=str(tmp_path / "nowhere")), 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no sound file"):
        Augmentation(AugmentationConfig(noise=str(tmp_path / "empty")), 1)
    (noise / "broken.wav").write_bytes(b"RIFF" + bytes(60))
    with pytest.raises(SewError) as caught:
        Augmentation(AugmentationConfig(noise=str(noise)), 1)
    assert caught.value.where == noise / "broken.wav"
