"""A file that was cut off is never read as whole: every format and coding that libsndfile can write, cut at three places."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewcli.audio.io import open_channels, probe, read_channels, read_wave, verify
from sewcli.audio.lengths import extent
from sewcli.base.errors import DataError

SAMPLES = 8000
NO_LENGTH = {
    "PVF": "its header is the format's name, channels, rate and bits",
    "IRCAM": "its header has the rate, channels and coding, no length",
    "PAF": "its header has the byte order, rate, coding and channels, no length",
    "XI": "libsndfile writes a length of 0",
}
UNREADABLE = {
    "RAW": "no header: refused whole as well",
    "SD2": "its header is in another file, the resource fork of the Macintosh",
    "DWVW_12": "libsndfile cannot go back and forth in it: refused whole as well",
    "DWVW_16": "as DWVW_12",
    "DWVW_24": "as DWVW_12",
}
CASES = [
    (form, coding)
    for form in soundfile.available_formats()
    if form not in UNREADABLE
    for coding in soundfile.available_subtypes(form)
    if coding not in UNREADABLE
]


def made(form: str, coding: str, channels: int = 1) -> bytes:
    """Half a second of noise; not all pairs of libsndfile's list can be written, and some at a certain rate only."""
    noise = np.random.default_rng(0).normal(0, 0.1, (SAMPLES, channels)).astype(np.float32)
    for rate in (16_000, 8_000):
        held = io.BytesIO()
        try:
            soundfile.write(held, noise, rate, format=form, subtype=coding)
        except (soundfile.LibsndfileError, ValueError):
            continue
        return held.getvalue()
    return b""


@pytest.mark.fault("input-5")
@pytest.mark.parametrize(("form", "coding"), CASES)
def test_a_cut_off_file_is_not_read_as_whole(tmp_path: Path, form: str, coding: str) -> None:
    content, path = made(form, coding), tmp_path / "a.bin"
    if not content or (form == "NIST" and coding in ("PCM_24", "PCM_32")):
        assert form in ("MP3", "WAV", "NIST"), "libsndfile cannot write these three layers of MPEG in these two formats"
        return
    path.write_bytes(content)
    whole = verify(path).samples
    assert abs(whole - SAMPLES) <= 320  # codings in blocks are padded
    for keep in (0.3, 0.6, 0.93):
        path.write_bytes(content[: int(keep * len(content))])
        if form in NO_LENGTH:
            assert verify(path).samples < whole
            assert extent(io.BytesIO(content)) is None or extent(io.BytesIO(content)).end is None
            continue
        for read in (verify, read_channels, opened):
            with pytest.raises(DataError, match=r"truncated|cannot be read as sound|damaged|holds no samples"):
                read(path)


def opened(path: Path) -> None:
    with open_channels(path) as (_, blocks):
        for _ in blocks:
            pass


@pytest.mark.fault("input-5")
@pytest.mark.parametrize(
    "form", ["AIFF", "AU", "CAF", "RF64", "W64", "WAV", "WAVEX", "SVX", "VOC", "AVR", "MAT4", "MAT5", "MPC2K"]
)
def test_one_byte_less_is_enough(tmp_path: Path, form: str) -> None:
    """And it is seen without reading the samples."""
    content, path = made(form, "PCM_16"), tmp_path / "a.bin"
    end = extent(io.BytesIO(content)).end
    assert end is not None and len(content) - 9 < end <= len(content)  # padding, or the block that ends a VOC
    for read in (probe, verify, lambda path: read_wave(path, samples=100, rate=probe(path).rate)):
        path.write_bytes(content[:end])
        read(path)
        path.write_bytes(content[: end - 1])
        with pytest.raises(DataError, match="truncated: 7999 of 8000 samples can be read"):
            read(path)


@pytest.mark.fault("input-5")
@pytest.mark.parametrize("order", ["LITTLE", "BIG"])
@pytest.mark.parametrize("form", ["WAV", "AU", "MAT4"])
def test_either_order_of_bytes(tmp_path: Path, form: str, order: str) -> None:
    path = tmp_path / "a.bin"
    soundfile.write(path, np.zeros(SAMPLES), 16_000, format=form, subtype="PCM_16", endian=order)
    content = path.read_bytes()
    assert verify(path).samples == SAMPLES
    path.write_bytes(content[:-2])
    with pytest.raises(DataError, match="truncated: 7999 of 8000"):
        verify(path)


def with_size(content: bytes, size: int) -> bytes:
    at = content.index(b"data") + 4
    return content[:at] + size.to_bytes(4, "little") + content[at + 4 :]


@pytest.mark.fault("report-39")
@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 44])
def test_a_length_that_nobody_knew_is_read_to_the_end_and_said(tmp_path: Path, capfd, size: int) -> None:
    content, path = made("WAV", "PCM_16"), tmp_path / "a.wav"
    path.write_bytes(content)
    verify(path)
    assert "length" not in capfd.readouterr().err
    path.write_bytes(with_size(content, size))
    assert verify(path).samples == SAMPLES
    assert "a.wav: its header does not state a length: read to the end of the file" in capfd.readouterr().err


@pytest.mark.fault("input-5")
@pytest.mark.parametrize("size", [SAMPLES * 2 + 2, 1 << 24, 0xB0000000])
def test_a_length_that_is_too_large_is_a_file_cut_off(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(with_size(made("WAV", "PCM_16"), size))
    with pytest.raises(DataError, match=f"truncated: 8000 of {size // 2} samples"):
        verify(path)


def id3(size: int) -> bytes:
    return b"ID3\4\0\0" + bytes([0, 0, size >> 7, size & 127]) + bytes(size)


@pytest.mark.fault("report-42", "report-43")
@pytest.mark.parametrize("before", [b"", id3(1000), id3(10) + id3(300)], ids=["plain", "tag", "tags"])
@pytest.mark.parametrize("form", ["WAV", "FLAC", "WAVEX"])
def test_valid_oddities(tmp_path: Path, form: str, before: bytes) -> None:
    """Tags before the header, a chunk of odd size with its pad byte, bytes after the samples."""
    content, path = made(form, "PCM_16"), tmp_path / "a.bin"
    if form != "FLAC":
        content = content[:12] + b"LIST\x05\0\0\0INFOx\0" + content[12:] + b"LIST\4\0\0\0INFO"
    path.write_bytes(before + content)
    assert verify(path).samples == SAMPLES
    path.write_bytes(before + content[:9000])
    with pytest.raises(DataError, match=r"truncated|lost sync"):
        verify(path)


def rewritten(form: str, magic: bytes, skip: int, size: bytes) -> bytes:
    content = made(form, "PCM_16")
    at = content.index(magic) + skip
    return content[:at] + size + content[at + len(size) :]


@pytest.mark.fault("report-39")
@pytest.mark.parametrize(
    ("form", "magic", "skip", "sizes"),
    [
        ("CAF", b"data", 4, ["ff" * 8]),
        ("AU", b".snd", 8, ["00000000", "ffffffff", "7fffffff"]),
        ("AIFF", b"SSND", 4, ["00000000", "ffffffff", "7fffffff", "7f000008"]),
        ("RF64", b"ds64", 16, ["00" * 8, "ff" * 8]),
        ("W64", b"data\xf3", 16, ["00" * 8, "ff" * 8, "ff" * 7 + "7f"]),
    ],
)
def test_lengths_that_other_formats_do_not_know(
    tmp_path: Path, form: str, magic: bytes, skip: int, sizes: list[str]
) -> None:
    expected, path = made(form, "PCM_16"), tmp_path / "a.bin"
    path.write_bytes(expected)
    wave = read_channels(path)[0]
    for size in sizes:
        path.write_bytes(rewritten(form, magic, skip, bytes.fromhex(size)))
        np.testing.assert_array_equal(read_channels(path)[0], wave)
