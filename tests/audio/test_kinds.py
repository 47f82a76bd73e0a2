"""What is known by its first bytes: never heard as samples, whatever comes after them."""

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.refusals import refused

from sewcli.audio import kinds, wav
from sewcli.audio.io import verify
from sewcli.audio.streams import PIPE, open_stream
from sewcli.base.errors import DataError

RNG = np.random.default_rng(2)


def zipped() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a.wav", b"RIFF" * 99)
    return held.getvalue()


def tarred() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.wav"))
    return held.getvalue()


FOREIGN = {
    "ZIP": zipped(),
    "tar": tarred(),
    "gzip": b"\x1f\x8b\x08\0",
    "xz": b"\xfd7zXZ\x00",
    "a program": b"\x7fELF\2\1\1",
    "JPEG": b"\xff\xd8\xff\xe0",
    "PNG": b"\x89PNG\r\n",
    "PDF": b"%PDF-1.7\n%\xe2\xe3",
    "SQLite": b"SQLite format 3\x00",
    "NumPy": b"\x93NUMPY\1\0",
    "HDF5": b"\x89HDF\r\n",
    "MIDI": b"MThd\0\0\0\6",
    "safetensors": struct.pack("<Q", 40) + b'{"a":{"dtype":"F32"}}',
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "Parquet": b"PAR1\x15\4",
    "WebP": b"RIFF\x10\0\0\0WEBPVP8 ",
    "HEIF": b"\0\0\0\x18ftypheic",
    "playlist": b"#EXTM3U\nhttp://a/b.ts\n",
}


@pytest.mark.fault("input-6")
@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_sound_is_refused_by_name(tmp_path: Path, name: str) -> None:
    content = FOREIGN[name] + RNG.bytes(40_000)
    with pytest.raises(DataError, match=f"stdin: .*{name}.*, not sound"), open_stream(PIPE, pipe=io.BytesIO(content)):
        pass
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match=rf"cannot be read as sound \(it is .*{name}"):
        verify(tmp_path / "a.wav")


@pytest.mark.fault("input-6")
@pytest.mark.parametrize("text", ["a,b\n", "\ufeffid,text\n", "Это не звук\n"])
def test_text_is_refused_whatever_its_ending(tmp_path: Path, text: str) -> None:
    """libsndfile takes any content of some endings for samples."""
    for encoding in ("utf-8", "utf-16"):
        content = (text + "id,text\n" * 3000).encode(encoding) if encoding == "utf-8" or text.isascii() else b""
        for name in ("a.au", "a.snd", "a.vox", "a.gsm", "a.wav", "a.mp3") if content else ():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DataError, match="it is text"):
                verify(tmp_path / name)


@pytest.mark.fault("input-6")
def test_no_ending_makes_samples_of_what_has_no_header(tmp_path: Path) -> None:
    for name in ("a.au", "a.snd"):
        (tmp_path / name).write_bytes(RNG.bytes(9000))
        with refused(DataError, "audio-without-header"):
            verify(tmp_path / name)


def test_raw_samples_are_still_raw_samples() -> None:
    """No kind of two bytes is believed without a second frame."""
    for first in (
        b"\xff\xf1\x50\x40",
        b"\x0bw\x33\x22",
        b"\x47\x40\x11\x10",
        b"\xff\xfb\x90\x00",
        b"MZ\x90\x7f",
        b"BM",
    ):
        samples = RNG.integers(-3000, 3000, 9000).astype("<i2")
        content = first + samples.tobytes()
        with open_stream(PIPE, pipe=io.BytesIO(content)) as stream:
            made = np.concatenate(list(stream.blocks))[:, 0]
        np.testing.assert_array_equal(made * 32768, np.frombuffer(content, dtype="<i2"))


def held(form: str = "WAV", coding: str = "PCM_16", channels: int = 1, endian: str = "FILE") -> bytes:
    file = io.BytesIO()
    wave = RNG.uniform(-0.5, 0.5, (16_000, channels))
    soundfile.write(file, wave, 16_000, format=form, subtype=coding, endian=endian)
    return file.getvalue()


def heard(content: bytes) -> np.ndarray:
    with open_stream(PIPE, mode="split", pipe=io.BytesIO(content)) as stream:
        return np.concatenate(list(stream.blocks))


def filed(content: bytes, folder: Path) -> np.ndarray:
    (folder / "a.wav").write_bytes(content)
    with open_stream(folder / "a.wav", mode="split") as stream:
        return np.concatenate(list(stream.blocks))


def changed(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + value.to_bytes(4, "little") + content[at + 4 :]


@pytest.mark.fault("input-5", "input-28")
@pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize(
    "coding",
    ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"],
)
def test_a_wav_in_a_pipe_is_the_file(tmp_path: Path, form: str, coding: str, endian: str) -> None:
    try:
        content = held(form, coding, endian=endian)
    except (soundfile.LibsndfileError, ValueError):
        assert form == "WAVEX" or endian == "BIG" or coding == "GSM610"  # libsndfile does not write these
        return
    np.testing.assert_array_equal(heard(content), filed(content, tmp_path))
    oddly = content[:12] + b"JUNK" + (5).to_bytes(4, endian.lower()) + b"12345\0" + content[12:] + b"LIST\4\0\0\0INFO"
    np.testing.assert_array_equal(heard(oddly), heard(content))
    cut = content[: len(content) * 6 // 10]
    for read in (heard, lambda cut: filed(cut, tmp_path)):
        with pytest.raises(DataError, match="truncated"):
            read(cut)


@pytest.mark.fault("input-28")
@pytest.mark.parametrize("size", [0, 36, 100, 0xFFFFFFFF, 0x7FFFFFFF])
def test_the_size_of_the_riff_is_not_needed(tmp_path: Path, size: int) -> None:
    content = held()
    odd = changed(content, 4, size)
    np.testing.assert_array_equal(heard(odd), heard(content))
    np.testing.assert_array_equal(filed(odd, tmp_path), heard(content))


@pytest.mark.fault("report-39", "input-28")
@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_length_that_nobody_knew(tmp_path: Path, size: int) -> None:
    content = held(channels=2)
    odd = changed(changed(content, 4, 0), content.index(b"data") + 4, size)
    np.testing.assert_array_equal(heard(odd), heard(content))
    np.testing.assert_array_equal(filed(odd, tmp_path), heard(content))


@pytest.mark.fault("input-28")
@pytest.mark.parametrize("channels", [0, 1025, 65_535])
def test_impossible_channels_are_refused_in_a_pipe_as_in_a_file(tmp_path: Path, channels: int) -> None:
    content = bytearray(held())
    struct.pack_into("<H", content, 22, channels)
    struct.pack_into("<H", content, 32, channels * 2 % 65_536)
    for read in (heard, lambda content: filed(content, tmp_path)):
        with pytest.raises(DataError):
            read(bytes(content))


@pytest.mark.parametrize("length", [0, 5, 12, 15, 22, 36, 43])
def test_a_pipe_that_ends_in_its_header(length: int) -> None:
    with pytest.raises(DataError, match=r"ends in its header|text, not sound|holds no samples|cannot be read as sound"):
        heard(held()[:length])


def test_a_header_of_megabytes_is_kept_on_disk(tmp_path: Path) -> None:
    content = held()
    large = content[:12] + b"JUNK" + (2 * wav.KEPT).to_bytes(4, "little") + bytes(2 * wav.KEPT) + content[12:]
    np.testing.assert_array_equal(heard(large), heard(content))


def test_bw64_is_rf64(tmp_path: Path) -> None:
    content = held("RF64")
    np.testing.assert_array_equal(filed(b"BW64" + content[4:], tmp_path), filed(content, tmp_path))
    np.testing.assert_array_equal(heard(b"BW64" + content[4:]), heard(content))
    with pytest.raises(DataError, match="truncated"):
        filed(b"BW64" + content[4:-2], tmp_path)


def test_every_format_of_libsndfile_is_none_of_these() -> None:
    for form in soundfile.available_formats():
        if form in ("RAW", "SD2"):
            continue  # without a header, or with one in another file
        content = io.BytesIO()
        soundfile.write(content, np.zeros(8000), 8000, format=form)
        kind = kinds.of(content.getvalue()[:9000])
        assert kind is not None and kind.reader == kinds.SOUND, form


@pytest.mark.fault("input-6")
@pytest.mark.parametrize("form", sorted(soundfile.available_formats().keys() - {"RAW", "SD2"}))
def test_every_format_of_libsndfile_is_read_from_a_pipe(tmp_path: Path, form: str) -> None:
    content = io.BytesIO()
    soundfile.write(content, RNG.uniform(-0.5, 0.5, 8000), 8000, format=form)
    np.testing.assert_array_equal(heard(content.getvalue()), filed(content.getvalue(), tmp_path))
