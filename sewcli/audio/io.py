"""Sound files: the only place that opens them (libsndfile: FLAC, WAV, OGG and others; SPHERE with `audio/sphere.py`).

Nothing is resampled or mixed down in silence: a wrong rate, an absent channel, a cut-off end or a NaN is an error that
names the file. Shapes: S samples of one channel; waves are float32 in [-1, 1).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import soundfile

from sewcli.audio import ogg
from sewcli.audio.lengths import skip_id3
from sewcli.audio.opening import COPY_AGAIN, AudioInfo, Sound, opened, truncated, unreadable
from sewcli.audio.packed import Source, content_of
from sewcli.base.errors import DataError
from sewcli.base.sample_rate import SAMPLE_RATE

TAGS = 1 << 24  # bytes of ID3 tags that are looked behind: with a picture they take a megabyte or two
MOST_AT_ONCE = 1 << 22  # samples of each channel: four minutes
BLOCK = 1 << 18  # samples decoded at a time, of all channels: 16 s, so that an hour-long file costs no memory


def probe(path: Source) -> AudioInfo:
    """Read the header alone.

    Raises:
        DataError: missing, empty, not a sound file, or without samples.
    """
    with opened(path) as (_, info):
        return info


def read_wave(
    path: Source,
    *,
    start: int = 0,
    samples: int | None = None,
    channel: int = 0,
    rate: int = SAMPLE_RATE,
    short: int = 0,
) -> np.ndarray:
    """Read one channel, from sample `start` on, `samples` of them (None: to the end).

    Args:
        path: a sound file, or one in an archive.
        start, samples: which samples.
        channel: from 0.
        rate: Hz that the file must have.
        short: by so many samples the stretch may reach beyond the file, and is then read to its end.

    Returns:
        float32, shape (S,), in [-1, 1).

    Raises:
        DataError: missing, empty, truncated, unreadable, another rate, no such channel, NaN or infinite samples.
    """
    with opened(path) as (sound, info):
        if info.rate != rate:
            raise DataError(
                "wrong-sample-rate",
                f"the sample rate is {info.rate} Hz, not {rate} Hz",
                where=path,
                hint=_resample_hint(rate),
            )
        wanted = _wanted(path, info, start, samples, channel, short)
        try:
            _skip(sound, start)
            wave = _read(sound, wanted)
        except (soundfile.LibsndfileError, OSError) as error:
            raise unreadable(path, error) from None
    if len(wave) < wanted:
        raise truncated(path, start + len(wave), info.samples)
    picked = np.ascontiguousarray(wave[:, channel])
    if not np.isfinite(picked).all():
        raise DataError(
            "nan-samples", "holds samples that are NaN or infinite", where=path, hint="export the recording again"
        )
    return picked


def read_channels(path: Source) -> tuple[np.ndarray, AudioInfo]:
    """Decode a whole file into memory, all its channels.

    Returns:
        float32, shape (channels, S), in [-1, 1), and what its header says.

    Raises:
        DataError: as `verify`.
    """
    with opened(path, say=True) as (sound, info):
        waves = np.concatenate([_as_float(block) for block in _blocks(sound, path, info, 0, info.samples)])
    if not np.isfinite(waves).all():
        raise DataError(
            "nan-samples", "holds samples that are NaN or infinite", where=path, hint="export the recording again"
        )
    return np.ascontiguousarray(waves.T), info


def read_blocks(path: Source, *, start: int = 0, samples: int | None = None, channel: int = 0) -> Iterator[np.ndarray]:
    """Read as `read_wave` does, at whatever rate, a block at a time: hours cost no memory.

    Damage that only the checksum of a whole file shows is found when the whole file is asked for, after the last block.

    Yields:
        float32, shape (at most BLOCK,), in [-1, 1); NaN and infinities are left for the caller to find.

    Raises:
        DataError: missing, empty, truncated, unreadable, damaged, no such channel or samples.
    """
    with opened(path) as (sound, info):
        wanted = _wanted(path, info, start, samples, channel)
        for block in _blocks(sound, path, info, start, wanted):
            yield _as_float(np.ascontiguousarray(block[:, channel]))


@contextmanager
def open_channels(path: Source) -> Iterator[tuple[AudioInfo, Iterator[np.ndarray]]]:
    """Read all channels from the first sample to the last, a block at a time: hours cost no memory.

    Yields:
        What the header says, and blocks, float32, shape (n, channels), in [-1, 1); NaN and infinities are left in.

    Raises:
        DataError: as `read_blocks`; what is found in the middle of the file, while the blocks are read.
    """
    with opened(path, say=True) as (sound, info):
        yield info, (_as_float(block) for block in _blocks(sound, path, info, 0, info.samples))


def verify(path: Source) -> AudioInfo:
    """Decode the whole file, as a check that training will be able to read it to its last sample.

    A 16-bit FLAC carries the MD5 of its samples, and Ogg pages carry checksums, so that damage in the middle is found too.

    Raises:
        DataError: as `read_wave`, or damaged.
    """
    with opened(path, say=True) as (sound, info):
        for block in _blocks(sound, path, info, 0, info.samples):
            if not np.isfinite(block).all():
                raise DataError(
                    "nan-samples",
                    "holds samples that are NaN or infinite",
                    where=path,
                    hint="export the recording again",
                )
    return info


def encode_flac(wave: np.ndarray, *, rate: int = SAMPLE_RATE) -> bytes:
    """A mono 16-bit FLAC, to be written by the caller, because libsndfile does not tell when a disk is full.

    Args:
        wave: int16, or float in [-1, 1), which is rounded and clipped; shape (S,).
        rate: Hz.
    """
    return encode_flac_blocks([wave], rate=rate)[1]


def encode_flac_blocks(waves: Iterable[np.ndarray], *, rate: int = SAMPLE_RATE) -> tuple[int, bytes]:
    """The number of samples, and what `encode_flac` makes of `waves`, joined."""
    encoded, samples = io.BytesIO(), 0
    with soundfile.SoundFile(encoded, "w", rate, 1, format="FLAC", subtype="PCM_16") as sound:
        for wave in waves:
            as_is = wave.dtype == np.int16
            sound.write(wave if as_is else np.clip(np.rint(wave * 32768.0), -32768, 32767).astype(np.int16))
            samples += len(wave)
    return samples, encoded.getvalue()


def encode_vorbis(wave: np.ndarray, *, serial: int, rate: int = SAMPLE_RATE) -> bytes:
    """A mono Ogg Vorbis, the same bytes for the same samples and serial number.

    Args:
        wave: float in [-1, 1); shape (S,).
        serial: of the Ogg stream.
        rate: Hz.
    """
    encoded = io.BytesIO()
    with soundfile.SoundFile(encoded, "w", rate, 1, format="OGG", subtype="VORBIS") as sound:
        for start in range(0, len(wave), BLOCK):  # libvorbis overflows the stack on minutes at a time
            sound.write(wave[start : start + BLOCK])
    return ogg.renumbered(encoded.getvalue(), serial)


def _wanted(path: Source, info: AudioInfo, start: int, samples: int | None, channel: int, short: int = 0) -> int:
    """How many samples to read, once it is certain that the file has them."""
    if not 0 <= channel < info.channels:
        raise DataError("no-such-channel", f"no channel {channel}: the file has {info.channels}", where=path)
    wanted = info.samples - start if samples is None else samples
    if 0 < start + wanted - info.samples <= short and start < info.samples:
        wanted = info.samples - start
    if start < 0 or wanted <= 0 or start + wanted > info.samples:
        raise DataError(
            "samples-out-of-range",
            f"samples {start} to {start + wanted} were asked for, the file has {info.samples}",
            where=path,
            hint="the file has changed since it was prepared: run sew prep again",
        )
    return wanted


def _skip(sound: Sound, samples: int) -> None:
    """Go on behind so many samples; libsndfile cannot go to a place in some codings (G.721, NMS ADPCM, XI)."""
    if not samples:
        return
    try:
        sound.seek(samples)
    except soundfile.LibsndfileError:
        while samples and len(part := sound.read(min(samples, BLOCK), dtype="float32", always_2d=True)):
            samples -= len(part)


def _read(sound: Sound, wanted: int) -> np.ndarray:
    """So many samples of all channels, or as many as there are: what a header claims is not asked of the memory at once."""
    if wanted <= MOST_AT_ONCE:
        return np.asarray(sound.read(wanted, dtype="float32", always_2d=True))
    parts = []
    while wanted and len(part := sound.read(min(wanted, MOST_AT_ONCE), dtype="float32", always_2d=True)):
        parts.append(part)
        wanted -= len(part)
    return np.concatenate(parts) if parts else np.zeros((0, sound.channels), dtype=np.float32)


def _blocks(sound: Sound, path: Source, info: AudioInfo, start: int, wanted: int) -> Iterator[np.ndarray]:
    """Blocks of all channels, shape (n, channels): int16 of a whole FLAC with a checksum, which is then held against it."""
    checked = wanted == info.samples and info.format == "FLAC" and sound.subtype == "PCM_16"
    expected = _flac_md5(path) if checked else None
    digest, read = hashlib.md5(usedforsecurity=False), 0
    try:
        _skip(sound, start)
        while read < wanted:
            most = max(BLOCK // info.channels, 1)
            block = sound.read(min(most, wanted - read), dtype="int16" if expected else "float32", always_2d=True)
            if not len(block):
                raise truncated(path, start + read, info.samples)
            read += len(block)
            if expected:
                digest.update(block.astype("<i2", copy=False).tobytes())
            yield block
    except (soundfile.LibsndfileError, OSError) as error:
        raise unreadable(path, error) from None
    if wanted == info.samples and info.format == "OGG" and (fault := ogg.fault(path)):
        raise DataError("audio-truncated", fault, where=path, hint=COPY_AGAIN)
    if expected and digest.digest() != expected:
        raise DataError(
            "audio-damaged", "damaged: its samples do not give the checksum in its header", where=path, hint=COPY_AGAIN
        )


def _as_float(block: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1) of float32 or int16."""
    return block / np.float32(32768) if block.dtype == np.int16 else block


def _flac_md5(path: Source) -> bytes | None:
    """The MD5 in the STREAMINFO block that opens every FLAC, or None where the encoder left it out (all zeros)."""
    head = content_of(path, 42)
    if head[:3] == b"ID3":
        head = content_of(path, skip_id3(io.BytesIO(content_of(path, TAGS))) + 42)[-42:]
    digest = head[26:]
    return digest if head[:4] == b"fLaC" and len(digest) == 16 and any(digest) else None


def _resample_hint(rate: int) -> str:
    return f"convert it, for example: sox IN -r {rate} -c 1 -b 16 OUT.flac"
