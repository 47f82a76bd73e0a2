"""SPHERE files of every kind, written from their fields; and real ones, where they are at hand."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sewcli.corpora.miniatures.shorten import shorten

PCM = {
    **{"channel_count": "-i 2", "sample_rate": "-i 8000", "sample_n_bytes": "-i 2", "sample_byte_format": "-s2 01"},
    "sample_coding": "-s3 pcm",
}
ULAW = {**PCM, "sample_n_bytes": "-i 1", "sample_byte_format": "-s1 1", "sample_coding": "-s4 ulaw"}
SHORTENED = {**ULAW, "sample_coding": "-s27 ulaw,embedded-shorten-v2.00"}


def head(fields: Mapping[str, str | None], size: int = 1024) -> bytes:
    """A header: fields of None are left out."""
    lines = [f"{name} {value}\n" for name, value in fields.items() if value is not None]
    return b"NIST_1A\n" + f"{size:7d}\n{''.join(lines)}end_head\n".encode("latin-1").ljust(size - 8)


def ulaw_values() -> np.ndarray:
    """The 16-bit value of each u-law code, by ITU-T G.711: int64, shape (256,)."""
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude)


def speech(samples: int = 3000) -> np.ndarray:
    """u-law codes of something that can be predicted, every code among them: uint8, shape (samples, 2)."""
    clock = np.arange(samples)[:, None]
    wave = 20_000 * np.sin(clock * [0.05, 0.11]) * np.sin(clock * 0.001)
    codes = np.abs(wave[..., None] - ulaw_values()).argmin(axis=-1).astype(np.uint8)
    codes[:256, 0] = np.arange(min(samples, 256))
    return codes


def shortened(codes: np.ndarray) -> bytes:
    """A shorten-compressed file."""
    return head({**SHORTENED, "sample_count": f"-i {len(codes)}"}) + shorten(codes)


def real_files(folder: str) -> list[Path]:
    """The files of one folder of real speech: below $SEW_REAL, or shared/real beside the checkout. Often none."""
    place = Path(os.environ.get("SEW_REAL") or Path(__file__).absolute().parents[3] / "shared" / "real")
    return sorted((place / folder).glob("*.sph"))


def needs(folder: str) -> pytest.MarkDecorator:
    """Skips where that folder of real speech is absent: the project keeps no copy."""
    return pytest.mark.skipif(not real_files(folder), reason=f"no real speech in {folder}/ (set SEW_REAL)")
