"""Containers and codings that PyAV reads: the samples in their places, cut-off files, pipes, and what is missing without it."""

import builtins
import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from media_files import CONTAINERS, encode, noise

from sewcli.audio import kinds, media
from sewcli.audio.io import open_channels, probe, read_blocks, read_channels, read_wave, verify
from sewcli.audio.opening import guessed_seconds
from sewcli.audio.streams import PIPE, open_stream
from sewcli.base.errors import DataError

STATED = {
    "m4a",
    "mp4",
    "mov",
    "webm",
    "mkv",
    "mka",
    "wma",
    "flv",
    "avi",
    "wv",
    "tta",
    "alac.m4a",
    "3gp",
    "mp3.wav",
    "g722.wav",
    "flac.oga",
}  # have their sizes
DELAYED = {
    "mts": 1024,
    "flv": 1024,
    "aac": 1024,
    "ac3": 256,
    "avi": 256,
    "mpg": 481,
    "wma": -2048,
    "amr": 40,
    "3gp": -10,
    "mp3.wav": 1105,
    "g722.wav": 22,
}  # nobody says so
EXACT = {"mov", "mka", "wv", "tta", "alac.m4a"}


def samples_of(path: Path) -> np.ndarray:
    with open_channels(path) as (info, blocks):
        wave = np.concatenate(list(blocks))
    assert len(wave) == info.samples and wave.shape[1] == info.channels
    return wave.T


def lag(wave: np.ndarray, made: np.ndarray) -> int:
    """By how many samples `made` comes late."""
    size = len(wave) + len(made)
    product = np.fft.irfft(np.conj(np.fft.rfft(wave, size)) * np.fft.rfft(made, size), size)
    late = int(np.argmax(product))
    return late - size if late > size // 2 else late


@pytest.mark.fault("report-47")
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("ending", CONTAINERS)
def test_every_container_gives_its_samples_in_their_places(tmp_path: Path, ending: str, channels: int) -> None:
    if channels == 2 and ending in ("amr", "3gp", "g722.wav"):
        return  # one channel is all that AMR and G.722 have
    wave, path = noise(ending, channels=channels), tmp_path / f"a.{ending}"
    path.write_bytes(encode(ending, wave))
    info = probe(path)
    assert (info.rate, info.channels) == (CONTAINERS[ending][2], channels)
    made = samples_of(path)
    assert made.dtype == np.float32 and info.samples == made.shape[1]
    late = [lag(a, b) for a, b in zip(wave, made, strict=True)]
    assert max(map(abs, (late - DELAYED.get(ending, 0) for late in late))) <= (6 if ending in ("amr", "3gp") else 0)
    if ending not in DELAYED and ending != "mkv":
        assert made.shape == wave.shape
    if ending in EXACT:
        np.testing.assert_allclose(made, wave, atol=2**-14)
    np.testing.assert_array_equal(read_channels(path)[0], made)
    np.testing.assert_array_equal(np.concatenate(list(read_blocks(path, channel=channels - 1))), made[-1])
    np.testing.assert_array_equal(read_wave(path, start=3000, samples=2000, rate=info.rate), made[0, 3000:5000])


@pytest.mark.fault("report-47", "input-6")
@pytest.mark.parametrize("ending", CONTAINERS)
def test_a_pipe_gives_what_the_file_gives(tmp_path: Path, ending: str) -> None:
    content, path = encode(ending, noise(ending)), tmp_path / "a"
    path.write_bytes(content)
    with open_stream(path) as stream:
        expected = np.concatenate(list(stream.blocks))
    assert abs(len(expected) - 16_000) < 1700
    with open_stream(PIPE, pipe=io.BytesIO(content)) as stream:
        np.testing.assert_array_equal(np.concatenate(list(stream.blocks)), expected)


@pytest.mark.fault("input-5", "report-47")
@pytest.mark.parametrize("ending", CONTAINERS)
def test_a_container_that_is_cut_off(tmp_path: Path, ending: str) -> None:
    """Streams of frames state no length: what is left of them is read."""
    content, path = encode(ending, noise(ending, 3.0)), tmp_path / "a"
    path.write_bytes(content)
    whole = verify(path).samples
    for keep in (0.3, 0.6, 0.93, 0.995):
        path.write_bytes(content[: int(keep * len(content))])
        try:
            read = verify(path).samples
        except DataError as error:
            assert str(error.where).endswith("a")
            assert "truncated" in error.what or ending in ("tta", "flac.oga", *CONTAINERS.keys() - STATED), error
        else:
            assert ending not in STATED and read <= whole, f"{read} of {whole} are taken for all"


@pytest.mark.fault("report-47")
def test_a_recording_of_a_browser_states_no_size(tmp_path: Path) -> None:
    """Matroska and fragmented MP4 of a live stream."""
    path = tmp_path / "live"
    for ending, options in (
        ("webm", {"live": "1"}),
        ("m4a", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "200000"}),
    ):
        content = encode(ending, noise(ending, 3.0), **options)
        path.write_bytes(content)
        assert abs(verify(path).seconds - 3) < 0.1
        path.write_bytes(content[: int(0.6 * len(content))])
        with pytest.raises(DataError, match="truncated"):
            verify(path)


@pytest.mark.fault("report-47")
def test_without_pyav_the_container_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, path = encode("m4a", noise("m4a")), tmp_path / "talk.m4a"
    path.write_bytes(content)
    imported = builtins.__import__

    def without(name: str, *others: object) -> object:
        if name == "av":
            raise ImportError(name)
        return imported(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        DataError,
        match=r"talk.m4a: an MP4 file.*PyAV.*\n.*pip install 'sewcli\[media\]', or convert it: ffmpeg -i .*talk.m4a talk.wav",
    ):
        probe(path)
    with pytest.raises(DataError, match="stdin: an MP4 file"), open_stream(PIPE, pipe=io.BytesIO(content)):
        pass


def test_a_length_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.webm"
    path.write_bytes(encode("webm", noise("webm")))
    assert probe(path).samples == 48_000
    monkeypatch.setattr(media.MediaSound, "measure", lambda _self: pytest.fail("counted again"))
    assert probe(path) == verify(path)


@pytest.mark.parametrize("ending", CONTAINERS)
def test_lengths_for_a_progress_bar_decode_nothing(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(encode(ending, noise(ending, 3.0)))
    monkeypatch.setattr(media.MediaSound, "measure", lambda _self: pytest.fail("decoded"))
    assert abs(guessed_seconds(path) - 3) < 0.5


def test_a_container_opens_no_other_file(tmp_path: Path) -> None:
    """Playlists and lists of files are text, whatever their ending."""
    (tmp_path / "b.aac").write_bytes(encode("aac", noise("aac")))
    for text in (f"#EXTM3U\n{tmp_path}/b.aac\n", f"ffconcat version 1.0\nfile {tmp_path}/b.aac\n"):
        for name in ("a.m4a", "a.mp4", "a.m3u8"):
            (tmp_path / name).write_text(text)
            with pytest.raises(DataError, match=r"cannot be read as sound \(it is (text|a playlist)\)"):
                verify(tmp_path / name)


@pytest.mark.parametrize("ending", [ending for ending in CONTAINERS if ending not in ("mpg", "mts", "aac", "ac3")])
def test_known_by_the_first_bytes(ending: str) -> None:
    content = encode(ending, noise(ending))
    assert kinds.of(content[: kinds.HEAD]).reader not in (kinds.SOUND, kinds.NONE)


def test_damage_never_ends_in_anything_but_an_error_or_sound(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    path = tmp_path / "a"
    for ending in CONTAINERS:
        content = encode(ending, noise(ending, 0.3))
        for _ in range(6):
            damaged = bytearray(content)
            for at in rng.integers(0, len(content), 20):
                damaged[at] = rng.integers(256)
            path.write_bytes(damaged)
            with contextlib.suppress(DataError):
                verify(path)
