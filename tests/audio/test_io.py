"""Reading sound: exact samples, and an error that names the file for everything else."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.refusals import refused

from sewcli.audio.io import BLOCK, encode_flac, probe, read_blocks, read_wave, verify
from sewcli.base.errors import DataError
from sewcli.base.sample_rate import SAMPLE_RATE


@pytest.fixture
def samples() -> np.ndarray:
    """Noise, which FLAC cannot squeeze: int16, shape (20000,)."""
    return np.random.default_rng(0).integers(-(2**15), 2**15, 20_000).astype(np.int16)


@pytest.fixture
def flac(tmp_path: Path, samples: np.ndarray) -> Path:
    path = tmp_path / "noise.flac"
    path.write_bytes(encode_flac(samples))
    return path


def read_all_blocks(path: Path) -> np.ndarray:
    return np.concatenate(list(read_blocks(path)))


def test_samples_come_back_exactly(flac: Path, samples: np.ndarray) -> None:
    wave = read_wave(flac)
    assert wave.dtype == np.float32 and wave.shape == samples.shape
    assert np.array_equal(wave * 32768, samples)
    assert np.array_equal(read_wave(flac, start=1234, samples=777), wave[1234:2011])
    assert np.array_equal(read_wave(flac, start=19_999), wave[-1:])


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_blocks_are_the_wave_in_pieces(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"long.{suffix}"
    noise = np.random.default_rng(0).integers(-999, 999, (2 * BLOCK + 5, 2)).astype(np.int16)
    soundfile.write(path, noise, 8000)
    blocks = list(read_blocks(path, channel=1))
    assert [len(block) for block in blocks] == [BLOCK // 2] * 4 + [5] and blocks[0].dtype == np.float32
    assert np.array_equal(np.concatenate(blocks) * 32768, noise[:, 1])
    part = np.concatenate(list(read_blocks(path, start=7, samples=BLOCK + 1)))
    assert np.array_equal(part * 32768, noise[7 : BLOCK + 8, 0])
    with pytest.raises(DataError, match="no channel 2: the file has 2"):
        next(read_blocks(path, channel=2))


@pytest.mark.parametrize("channels", [1, 2])
def test_truncated_wav(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "cut.wav"
    soundfile.write(path, np.full((20_000, channels), 0.1), SAMPLE_RATE, subtype="PCM_16")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for read in (read_wave, verify, lambda p: list(read_blocks(p))):
        with pytest.raises(DataError, match=r"truncated: \d+ of 20000 samples can be read"):
            read(path)
    at = whole.index(b"data") + 4
    for unknown in (0xFFFFFFFF, 0x7FFFF000):  # written to a pipe
        path.write_bytes(whole[:at] + unknown.to_bytes(4, "little") + whole[at + 4 :])
        assert verify(path).samples == 20_000


def test_header(flac: Path) -> None:
    info = probe(flac)
    assert (info.rate, info.channels, info.samples, info.format) == (SAMPLE_RATE, 1, 20_000, "FLAC")
    assert info.seconds == 1.25
    assert verify(flac) == info


def test_floats_are_rounded_and_clipped(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(encode_flac(np.array([0.0, 1.5, -1.5, 1.4 / 32768, -1.6 / 32768])))
    assert (read_wave(tmp_path / "a.flac") * 32768).tolist() == [0, 32767, -32768, 1, -2]


@pytest.mark.parametrize("suffix", ["flac", "wav", "ogg"])
def test_channels_are_picked_not_mixed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"stereo.{suffix}"
    tone = 0.5 * np.sin(np.arange(8000) * 0.1)
    soundfile.write(path, np.stack([np.zeros(8000), tone], axis=1), 8000)
    assert np.abs(read_wave(path, channel=0, rate=8000)).max() < 0.01
    assert np.allclose(read_wave(path, channel=1, rate=8000)[500:7500], tone[500:7500], atol=0.05)
    assert verify(path).channels == 2
    with pytest.raises(DataError, match=r"no channel 2: the file has 2"):
        read_wave(path, channel=2, rate=8000)


def test_another_rate_is_never_resampled_in_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "telephone.wav", np.zeros(800), 8000)
    with pytest.raises(DataError, match=r"telephone.wav.*8000 Hz, not 16000 Hz.*\n.*hint: convert it"):
        read_wave(tmp_path / "telephone.wav")


def _missing(_path: Path) -> None:
    pass


def _garbage(path: Path) -> None:
    path.write_bytes(b"RIFFnonsense" * 100)


def _folder(path: Path) -> None:
    path.mkdir()


def _no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0), SAMPLE_RATE, format="WAV")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_missing, "no such sound file"),
        (lambda path: path.write_bytes(b""), "an empty file"),
        (_garbage, "cannot be read as sound"),
        (_folder, "cannot be read as sound"),
        (_no_samples, "holds no samples"),
    ],
)
@pytest.mark.parametrize("read", [probe, read_wave, verify, read_all_blocks])
def test_what_is_not_sound(tmp_path: Path, make, reason: str, read) -> None:
    path = tmp_path / "bad.flac"
    make(path)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: {reason}"):
        read(path)


@pytest.mark.parametrize("keep", [0.999, 0.9, 0.5, 0.1])
def test_truncated_flac(flac: Path, keep: float) -> None:
    whole = flac.read_bytes()
    flac.write_bytes(whole[: int(len(whole) * keep)])
    assert probe(flac).samples == 20_000  # the header alone does not tell
    for read in (read_wave, verify, read_all_blocks):
        with pytest.raises(DataError, match=r"noise.flac: (truncated|cannot be read as sound)"):
            read(flac)


@pytest.mark.parametrize("lost", [1, 2, 30_000])
@pytest.mark.parametrize("read", [probe, verify, read_wave])
def test_truncated_sphere(tmp_path: Path, samples: np.ndarray, read, lost: int) -> None:
    path = tmp_path / "talk.sph"
    soundfile.write(path, samples, SAMPLE_RATE, format="NIST", subtype="PCM_16")
    assert np.array_equal(read_wave(path) * 32768, samples)
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    left = 20_000 - -(-lost // 2)
    with pytest.raises(DataError, match=f"truncated: {left} of 20000 samples can be read"):
        read(path)


def test_one_flipped_bit_in_the_middle_is_found(flac: Path) -> None:
    damaged = bytearray(flac.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    flac.write_bytes(damaged)
    for read in (verify, read_all_blocks):
        with pytest.raises(DataError, match=r"noise.flac: (damaged|truncated|cannot be read as sound)"):
            read(flac)


def test_damage_that_still_decodes_is_found_by_the_checksum(flac: Path) -> None:
    damaged = bytearray(flac.read_bytes())
    damaged[30] ^= 1  # inside the MD5 of STREAMINFO: every frame is fine, the sum is not
    flac.write_bytes(damaged)
    assert len(read_wave(flac)) == 20_000
    for read in (verify, read_all_blocks):
        with refused(DataError, "audio-damaged"):
            read(flac)


def test_flac_of_unknown_length(flac: Path) -> None:
    piped = bytearray(flac.read_bytes())
    piped[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples: 0 is "unknown"
    piped[22:26] = bytes(4)
    flac.write_bytes(piped)
    for read in (probe, read_wave, verify):
        with refused(DataError, "audio-length-unknown"):
            read(flac)


def test_nan_and_infinity(tmp_path: Path) -> None:
    for name, value in (("nan", np.nan), ("infinity", np.inf)):
        wave = np.zeros(500, dtype=np.float32)
        wave[321] = value
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, wave, SAMPLE_RATE, subtype="FLOAT")
        for read in (read_wave, verify):
            with pytest.raises(DataError, match=f"{name}.wav.*NaN or infinite"):
                read(path)
        assert np.isfinite(read_all_blocks(path)).sum() == 499  # left for the caller to find


@pytest.mark.parametrize(("start", "count"), [(19_000, 1001), (20_000, None), (-1, 10), (0, 0), (30_000, 5)])
def test_beyond_the_end(flac: Path, start: int, count: int | None) -> None:
    with pytest.raises(DataError, match=r"the file has 20000[\s\S]*sew prep again"):
        read_wave(flac, start=start, samples=count)
    with pytest.raises(DataError, match=r"the file has 20000[\s\S]*sew prep again"):
        next(read_blocks(flac, start=start, samples=count))
