"""Files and pipes as streams of 16 kHz blocks."""

import io
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from support.refusals import refused

from sewcli.audio import mpeg
from sewcli.audio.io import BLOCK
from sewcli.audio.streams import PIPE, open_stream
from sewcli.base.errors import DataError

RNG = np.random.default_rng(1)


def read(source: str | Path, **options: object) -> np.ndarray:
    with open_stream(source, **options) as stream:
        blocks = list(stream.blocks)
    assert all(block.dtype == np.float32 and block.ndim == 2 and len(block) for block in blocks)
    assert all(block.shape[1] == stream.channels for block in blocks)
    return np.concatenate(blocks)


def sound(seconds: float, rate: int, channels: int) -> np.ndarray:
    return RNG.uniform(-0.5, 0.5, (int(seconds * rate), channels)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels(tmp_path: Path, rate: int, channels: int) -> None:
    wave = sound(1.3 if rate > 16_000 else 40, rate, channels)  # 40 s are several blocks
    path = tmp_path / "a.wav"
    soundfile.write(path, wave, rate, subtype="FLOAT")
    whole = wave if rate == 16_000 else soxr.resample(wave, rate, 16_000, quality="VHQ")
    np.testing.assert_allclose(read(path, mode="split"), whole, atol=1e-6)
    np.testing.assert_allclose(read(path)[:, 0], whole.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("ending", "subtype"),
    [
        *[("wav", "PCM_24"), ("flac", "PCM_16"), ("ogg", "VORBIS"), ("ogg", "OPUS"), ("mp3", "MPEG_LAYER_III")],
        *[("aiff", "PCM_16"), ("au", "ULAW"), ("caf", "PCM_16"), ("w64", "PCM_16"), ("rf64", "PCM_16")],
    ],
)
def test_any_format_from_a_file_and_a_pipe(tmp_path: Path, ending: str, subtype: str) -> None:
    wave = np.sin(np.arange(48_000) * 0.05).astype(np.float32)[:, None] * [0.5, 0.25]
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, wave, 48_000, subtype=subtype)
    from_file = read(path, mode="split")
    assert from_file.shape[1] == 2
    assert abs(len(from_file) - 16_000) < 1200  # MP3 pads
    assert np.abs(from_file[4000:12000]).max() == pytest.approx(0.5, abs=0.02)
    from_pipe = read(PIPE, mode="split", pipe=io.BytesIO(path.read_bytes()))
    np.testing.assert_allclose(from_pipe, from_file, atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("quality", [0.0, 0.9])
def test_mp3_of_any_rate_in_a_pipe(tmp_path: Path, rate: int, quality: float) -> None:
    """MPEG-1, 2 and 2.5: each has other first bytes."""
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound(0.6, rate, 1), rate, compression_level=quality)
    made = read(PIPE, pipe=io.BytesIO(path.read_bytes()))
    np.testing.assert_allclose(made, read(path), atol=1e-6)


@pytest.mark.parametrize("head", [b"\xff\xff\xff\xff", b"\xff\xfb\xff\xfb", b"\xff\xe3\x18\xc4", b"\xff\xfb\x90\x00"])
def test_raw_samples_are_not_taken_for_mp3(head: bytes) -> None:
    """The last two are headers of MP3, after which no other one comes."""
    assert (mpeg.frame_bytes(head) is not None) == (head[2] != 0xFF)
    samples = RNG.integers(-100, 100, 5_000).astype("<i2")
    samples[:2] = np.frombuffer(head, dtype="<i2")
    for length in (2, 100, 5_000):
        made = read(PIPE, pipe=io.BytesIO(samples[:length].tobytes()))
        np.testing.assert_array_equal(made[:, 0] * 32768, samples[:length])


@pytest.mark.parametrize("text", ["This is no sound.\n" * 100, "id,text\n", "Это не звук, а текст\n" * 9])
def test_text_is_not_sound(text: str) -> None:
    with pytest.raises(DataError, match="text, not sound"):
        read(PIPE, pipe=io.BytesIO(text.encode()))


@pytest.mark.parametrize("form", ["WAV", "MP3", "RAW"])
def test_a_named_pipe_is_a_pipe(tmp_path: Path, form: str) -> None:
    held, wave = io.BytesIO(), sound(1.0, 16_000, 1)
    soundfile.write(held, wave, 16_000, format=form, **({"subtype": "PCM_16"} if form == "RAW" else {}))
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writing = threading.Thread(target=lambda: path.write_bytes(held.getvalue()))
    writing.start()
    made = read(path)
    writing.join()
    np.testing.assert_array_equal(made, read(PIPE, pipe=io.BytesIO(held.getvalue())))


def test_many_channels_cost_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((5000, 500), dtype=np.int16), 16_000)
    with open_stream(path, mode="split") as stream:
        assert max(block.size for block in stream.blocks) <= BLOCK


@pytest.mark.parametrize(
    ("subtype", "step"), [("PCM_U8", 2**-7), ("PCM_16", 2**-15), ("PCM_24", 2**-23), ("PCM_32", 0)]
)
def test_a_wav_in_a_pipe_is_read_as_it_comes(subtype: str, step: float) -> None:
    wave, held = sound(1.0, 8_000, 2), io.BytesIO()
    soundfile.write(held, wave, 8_000, format="WAV", subtype=subtype)
    content = held.getvalue()
    unknown = content[:4] + b"\xff\xff\xff\xff" + content[8:40] + b"\xff\xff\xff\xff" + content[44:]  # as ffmpeg does
    expected = soxr.resample(wave, 8_000, 16_000, quality="VHQ")
    for stream in (content, unknown):
        np.testing.assert_allclose(read(PIPE, mode="split", pipe=io.BytesIO(stream)), expected, atol=2 * step + 1e-6)


def test_raw_samples_in_a_pipe() -> None:
    samples = RNG.integers(-(2**15), 2**15, 30_001).astype("<i2")
    for extra in (b"", b"\1"):  # a writer that was stopped within a sample
        made = read(PIPE, pipe=io.BytesIO(samples.tobytes() + extra))
        np.testing.assert_array_equal(made[:, 0] * 32768, samples)
    made = read(PIPE, pipe=io.BytesIO(samples.tobytes()), rate=8000)
    np.testing.assert_allclose(
        made[:, 0], soxr.resample(samples / np.float32(32768), 8000, 16_000, quality="VHQ"), atol=1e-6
    )


@pytest.mark.parametrize("make_head", [lambda: b"", lambda: wav_head(16_000)], ids=["raw", "wav"])
def test_a_microphone_is_heard_before_it_ends(make_head: Callable[[], bytes]) -> None:
    read_end, write_end = os.pipe()
    second = np.ones(16_000, dtype="<i2").tobytes()
    writer = os.fdopen(write_end, "wb", buffering=0)
    reader = os.fdopen(read_end, "rb")
    writing = threading.Thread(target=lambda: writer.write(make_head() + second))
    writing.start()
    with open_stream(PIPE, pipe=reader) as stream:
        heard, began = 0, time.monotonic()
        while heard < 12_000:  # the pipe is open still: what is read does not wait for its end
            heard += len(next(stream.blocks))
        assert time.monotonic() - began < 60
        writing.join()
        writer.close()
        heard += sum(len(block) for block in stream.blocks)
    assert heard == 16_000


def wav_head(rate: int) -> bytes:
    held = io.BytesIO()
    soundfile.write(held, np.zeros(1, dtype=np.int16), rate, format="WAV")
    head, unknown = held.getvalue(), b"\xff\xff\xff\x7f"
    return head[:4] + unknown + head[8:40] + unknown


@pytest.mark.parametrize("content", [b"", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0", b"fLaC and no more", b"OggS"])
def test_nothing_to_hear_in_a_pipe(content: bytes) -> None:
    with pytest.raises(DataError):
        read(PIPE, pipe=io.BytesIO(content))


def test_nan_in_the_middle(tmp_path: Path) -> None:
    wave = sound(40, 16_000, 1)
    wave[500_000] = np.nan
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    with pytest.raises(DataError, match="NaN"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [1, 2_000_000])
def test_an_impossible_rate(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100, dtype=np.int16), rate)
    with refused(DataError, "impossible-sample-rate"):
        read(tmp_path / "a.wav")
