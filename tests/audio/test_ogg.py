"""Ogg pages: libsndfile reads a cut-off or damaged file as a shorter one; nothing here does."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewcli.audio import ogg
from sewcli.audio.io import encode_vorbis, probe, read_wave, verify
from sewcli.base.errors import DataError


@pytest.fixture(scope="module")
def vorbis() -> bytes:
    """20 seconds of noise: many pages."""
    return encode_vorbis(0.1 * np.random.default_rng(0).standard_normal(320_000), serial=7)


@pytest.fixture
def path(tmp_path: Path, vorbis: bytes) -> Path:
    (tmp_path / "noise.ogg").write_bytes(vorbis)
    return tmp_path / "noise.ogg"


def _pages(vorbis: bytes) -> list[int]:
    return [start for start in range(len(vorbis)) if vorbis.startswith(b"OggS\0", start)]


def test_a_whole_file(path: Path) -> None:
    assert ogg.fault(path) is None
    info = verify(path)
    assert (info.samples, info.rate, info.channels, info.format) == (320_000, 16_000, 1, "OGG")


def test_files_of_others_are_whole_too(tmp_path: Path) -> None:
    for name, kind in (("a.ogg", "VORBIS"), ("b.ogg", "OPUS")):
        soundfile.write(tmp_path / name, np.zeros((16_000, 2)), 16_000, format="OGG", subtype=kind)
        assert verify(tmp_path / name).channels == 2


@pytest.mark.parametrize("where", ["middle", "last byte", "between pages", "in a head", "in a capture pattern"])
def test_cut_off(path: Path, vorbis: bytes, where: str) -> None:
    pages = _pages(vorbis)
    assert len(pages) > 10
    length = {
        "middle": len(vorbis) // 2,
        "last byte": len(vorbis) - 1,
        "between pages": pages[-1],
        "in a head": pages[-1] + 10,
        "in a capture pattern": pages[-1] + 2,
    }[where]
    path.write_bytes(vorbis[:length])
    assert 0 < probe(path).samples < 320_000  # libsndfile has nothing to say
    with pytest.raises(
        DataError, match=r"noise.ogg: truncated: .* \[audio-truncated\]\n  hint: copy or download it again"
    ):
        verify(path)


def test_damaged(path: Path, vorbis: bytes) -> None:
    path.write_bytes(vorbis[:50_000] + bytes([vorbis[50_000] ^ 1]) + vorbis[50_001:])
    assert probe(path).samples == 320_000
    with pytest.raises(DataError, match=r"damaged: the page at byte \d+ does not give its checksum"):
        verify(path)
    path.write_bytes(vorbis + b"\n<html>")
    with pytest.raises(DataError, match=f"damaged: no Ogg page at byte {len(vorbis)}"):
        verify(path)


def test_the_serial_number_is_all_that_differs(path: Path, vorbis: bytes) -> None:
    other = ogg.renumbered(vorbis, 8)
    assert other != vorbis and ogg.renumbered(other, 7) == vorbis
    wave = read_wave(path)
    path.write_bytes(other)
    assert verify(path).samples == 320_000 and np.array_equal(read_wave(path), wave)


def test_the_same_samples_give_the_same_bytes(vorbis: bytes) -> None:
    assert encode_vorbis(0.1 * np.random.default_rng(0).standard_normal(320_000), serial=7) == vorbis


def test_a_stretch_is_the_same_read_alone_or_with_all(path: Path) -> None:
    whole = read_wave(path)
    for start, samples in ((0, 100), (12_345, 16_000), (200_001, 1), (304_000, 16_000)):
        assert np.array_equal(read_wave(path, start=start, samples=samples), whole[start : start + samples])
