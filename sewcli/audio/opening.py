"""How sound files are opened and what their headers are held against: one place for every reader of `audio/io.py`.

What the first bytes say it is (`kinds`) decides who reads it: libsndfile, SPHERE's own header, PyAV, or nobody. Its samples
must be as many as it states (`lengths`, `boxes`).
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import numpy as np
import soundfile

from sewcli.audio import kinds, lengths, sphere
from sewcli.audio.media import MediaSound, require, stated_seconds
from sewcli.audio.packed import Packed, Source
from sewcli.audio.views import Behind
from sewcli.base import log
from sewcli.base.errors import DataError
from sewcli.base.regular import require_regular

COPY_AGAIN = "copy or download it again"
UNKNOWN = 1 << 62  # what libsndfile counts in a FLAC that was encoded through a pipe
LOOKED_AT = 9000  # bytes by which a file is known: two frames of AAC, AC-3 or MP3, two packets of an MPEG stream
WIDTHS = {
    "PCM_S8": 1,
    "PCM_U8": 1,
    "ULAW": 1,
    "ALAW": 1,
    "PCM_16": 2,
    "PCM_24": 3,
    "PCM_32": 4,
    "FLOAT": 4,
    "DOUBLE": 8,
}
HEADERLESS = (".gsm", ".vox")  # endings that say what the samples are, and whose files say nothing else
UNSUPPORTED = 4  # libsndfile knows the container and not the coding in it


class Sound(Protocol):
    """What `soundfile.SoundFile` and `MediaSound` have in common."""

    frames: int
    samplerate: int
    channels: int
    format: str
    subtype: str

    def seek(self, place: int) -> int:
        """Go to a sample."""

    def read(self, frames: int, *, dtype: str, always_2d: bool) -> np.ndarray:
        """Samples from there on, shape (at most `frames`, channels)."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What the header of a sound file says. `samples` counts one channel."""

    rate: int
    channels: int
    samples: int
    format: str

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.samples / self.rate


@contextmanager
def opened(path: Source, *, say: bool = False) -> Iterator[tuple[Sound, AudioInfo]]:
    """An open sound file and what its header says; `say`: log a length that the header does not state.

    Raises:
        DataError: missing, empty, not a sound file, without samples, cut off.
    """
    with ExitStack() as stack:
        file = _file(path)
        stack.callback(file.close)
        base = lengths.skip_id3(file)
        file.seek(base)
        head = file.read(LOOKED_AT)
        kind = kinds.of(head)
        if kind is not None and kind.reader == kinds.NONE:
            raise DataError(
                "not-a-sound-file", f"cannot be read as sound (it is {kind.name})", where=path, hint=kind.hint
            )
        if kind is not None and kind.reader != kinds.SOUND:
            media = _media(path, file, base, kind)
            extent = lengths.extent(file)
            if extent is not None and extent.is_cut_off:
                raise _cut_off(path, media, extent)
            yield media, AudioInfo(media.samplerate, media.channels, media.frames, media.format)
            return
        if kind is None and kinds.is_text(head):
            raise DataError(
                "not-a-sound-file", "cannot be read as sound (it is text)", where=path, hint="give it a sound file"
            )
        header = _sphere_header(path, head)
        extent = None if header else lengths.extent(file)
        sound = _open(path, file, base, head, header, extent, stack)
        # libsndfile counts what is there: less than a SPHERE header promises, or also what comes after the last sample.
        samples = sound.frames if header is None or header.samples is None else header.samples
        if extent is not None and extent.is_cut_off:
            raise _cut_off(path, sound, extent)
        if min(samples, sound.frames) <= 0 or sound.samplerate <= 0:
            raise DataError("no-samples", "holds no samples", where=path, hint=COPY_AGAIN)
        if samples >= UNKNOWN:
            raise DataError(
                "audio-length-unknown",
                "its header does not say how long it is",
                where=path,
                hint="encode it again, to a file",
            )
        if sound.frames < samples:
            raise truncated(path, sound.frames, samples)
        if say and extent is not None and extent.end is None:
            log.info(f"{shown(path)}: its header does not state a length: read to the end of the file")
        yield sound, AudioInfo(sound.samplerate, sound.channels, samples, "NIST" if header else sound.format)


def guessed_seconds(path: Source) -> float:
    """About how long a recording is, for a progress bar: by its header, or by its container, without decoding it.

    Raises:
        DataError: as `opened`.
    """
    with ExitStack() as stack:
        file = _file(path)
        stack.callback(file.close)
        base = lengths.skip_id3(file)
        file.seek(base)
        kind = kinds.of(file.read(LOOKED_AT))
        if kind is not None and kind.reader not in (kinds.SOUND, kinds.NONE):
            require(kind.name, shown(path))
            return stated_seconds(io.BufferedReader(Behind(file, b"", base)), kind.reader)
    with opened(path) as (_, info):
        return info.seconds


def truncated(path: Source, read: int, stated: int) -> DataError:
    """Of a file with fewer samples than its header states."""
    return DataError(
        "audio-truncated", f"truncated: {read} of {stated} samples can be read", where=path, hint=COPY_AGAIN
    )


def unreadable(path: Source, error: Exception) -> DataError:
    """Of a file that a decoder gave up."""
    reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    if "possibly a pipe" in reason:  # what libsndfile says of an MP3 without a whole frame
        reason = "no whole frame of MPEG audio"
    return DataError(
        "not-a-sound-file", f"cannot be read as sound ({str(reason).strip().rstrip('.')})", where=path, hint=COPY_AGAIN
    )


def shown(path: Source) -> str:
    """Its name in a line of the log; bytes that are not UTF-8 are spelled out."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _file(path: Source) -> BinaryIO:
    """The file's bytes: as they lie on the disk, or out of an archive."""
    if isinstance(path, Packed):
        content = path.read_bytes()
        if not content:
            raise DataError("file-empty", "an empty file", where=path, hint=COPY_AGAIN)
        return io.BufferedReader(Behind(io.BytesIO(content)))
    try:
        require_regular(path)
        if Path(path).stat().st_size == 0:
            raise DataError("file-empty", "an empty file", where=path, hint=COPY_AGAIN)
        return open(path, "rb")
    except FileNotFoundError:
        raise DataError("file-not-found", "no such sound file", where=path) from None
    except (OSError, ValueError) as error:  # ValueError: odd names
        raise unreadable(path, error) from None


def _sphere_header(path: Source, head: bytes) -> sphere.Header | None:
    """Its header, of a SPHERE file."""
    try:
        return sphere.read_header(path) if head.startswith(sphere.MAGIC) else None
    except OSError as error:
        raise unreadable(path, error) from None


def _open(
    path: Source,
    file: BinaryIO,
    base: int,
    head: bytes,
    header: sphere.Header | None,
    extent: lengths.Extent | None,
    stack: ExitStack,
) -> Sound:
    """What reads it, where its bytes are not those of a container for PyAV."""
    try:
        if header is not None:
            source: io.IOBase | bytes = stack.enter_context(sphere.plain(header))
        else:
            source = _as_libsndfile_wants_it(path, file, base, head, extent)
        sound: Sound = stack.enter_context(soundfile.SoundFile(source))
    except soundfile.LibsndfileError as error:
        if head.startswith(b"caff") and error.code == UNSUPPORTED:
            return _media(path, file, base, kinds.Kind("a CAF file of another coding", "caf"))
        raise unreadable(path, error) from None
    except (OSError, TypeError, ValueError) as error:  # TypeError: .raw
        raise unreadable(path, error) from None
    if sound.format == "RAW" and not shown(path).lower().endswith(HEADERLESS):
        raise DataError(
            "audio-without-header",
            "samples without a header",
            where=path,
            hint="give them one: sox -t raw -r RATE ... OUT.wav",
        )
    if sound.subtype.startswith("DWVW"):
        raise DataError(
            "audio-coding-unsupported", "DWVW compression cannot be read", where=path, hint="convert it: sox IN OUT.wav"
        )
    return sound


def _as_libsndfile_wants_it(
    path: Source, file: BinaryIO, base: int, head: bytes, extent: lengths.Extent | None
) -> Behind | bytes:
    """The file's name, or what it holds in another form: it stumbles over tags, BW64's name and a length of 0."""
    if head.startswith(b"BW64"):
        return Behind(file, b"RF64", base + 4)
    if extent is not None and extent.end is None and head.startswith((b"RF64", b"caff", b".snd")):
        return _with_length(file, base, extent)
    if head.startswith((b"RIFF", b"RIFX")) and extent is not None and extent.end is None:
        order: Literal["big", "little"] = "big" if head.startswith(b"RIFX") else "little"
        left = extent.size - extent.start
        file.seek(base)
        before = file.read(extent.start - base)
        if 0 < left > int.from_bytes(before[-4:], order) and not _is_chunk(file, extent):
            if left >= 1 << 32:
                raise DataError(
                    "audio-header-wrong",
                    f"{left:,} bytes of samples, more than its header can state",
                    where=path,
                    hint="convert it to RF64",
                )
            return Behind(file, before[:-4] + left.to_bytes(4, order), extent.start)
    if isinstance(path, Packed) or (base and head.startswith(lengths.MAGICS)):
        return Behind(file, b"", base if head.startswith(lengths.MAGICS) else 0)
    return os.fsencode(path)


def _with_length(file: BinaryIO, base: int, extent: lengths.Extent) -> Behind:
    """A file whose header says that its length is not known, with a header that says it."""
    left = max(extent.size - extent.start, 0)
    file.seek(base)
    header = file.read(extent.start - base)
    if header.startswith(b".snd"):
        header = header[:8] + min(left, 0xFFFFFFFF).to_bytes(4, "big") + header[12:]
    elif header.startswith(b"caff"):
        header = header[:-12] + (left + 4).to_bytes(8, "big") + header[-4:]
    elif (at := header.find(b"ds64")) > 0:
        header = header[: at + 16] + left.to_bytes(8, "little") + header[at + 24 : -4] + b"\xff\xff\xff\xff"
    return Behind(file, header, extent.start)


def _is_chunk(file: BinaryIO, extent: lengths.Extent) -> bool:
    """Whether a chunk begins where the samples should: then there are none."""
    file.seek(extent.start)
    next_head = file.read(8)
    size = int.from_bytes(next_head[4:], "little")
    return next_head[:4].isalnum() and next_head[:4].isascii() and 0 < size <= extent.size - extent.start - 8


def _media(path: Source, file: BinaryIO, base: int, kind: kinds.Kind) -> MediaSound:
    """What PyAV decodes."""
    require(kind.name, shown(path))
    facts = os.stat(path.archive if isinstance(path, Packed) else path)  # noqa: PTH116
    content = (
        shown(path),
        path.start if isinstance(path, Packed) else 0,
        facts.st_ino,
        facts.st_size,
        facts.st_mtime_ns,
    )
    return MediaSound(io.BufferedReader(Behind(file, b"", base)), kind.reader, shown(path), content)


def _cut_off(path: Source, sound: Sound, extent: lengths.Extent) -> DataError:
    """Of a file that ends before the samples that its header states."""
    assert extent.end is not None
    if width := WIDTHS.get(sound.subtype, 0) * sound.channels:
        return truncated(path, max(extent.size - extent.start, 0) // width, (extent.end - extent.start) // width)
    what = f"truncated: {extent.size:,} of the {extent.end:,} bytes that its header states"
    return DataError("audio-truncated", what, where=path, hint=COPY_AGAIN)
