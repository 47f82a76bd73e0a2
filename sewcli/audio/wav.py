"""A WAV file that comes through a pipe: its header is read as it goes by, so that a microphone is heard at once.

PCM, float, A-law and u-law of RIFF and RIFX are read as they come; any other coding needs a file (`streams.py`). A definite
length is held against what comes; behind the samples nothing is read. Chunks may come in any number before `data`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import soundfile

from sewcli.audio.lengths import is_definite
from sewcli.base.errors import DataError

KEPT = 1 << 20  # bytes of chunks before the samples that are kept to be read again
MOST_CHANNELS = 1024  # libsndfile reads no more from a file
PCM, FLOAT, ALAW, ULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
CODINGS = {
    **{(PCM, 1): "PCM_U8", (PCM, 2): "PCM_16", (PCM, 3): "PCM_24", (PCM, 4): "PCM_32"},
    **{(FLOAT, 4): "FLOAT", (FLOAT, 8): "DOUBLE", (ALAW, 1): "ALAW", (ULAW, 1): "ULAW"},
}
SUBFORMAT = {  # a GUID behind the tag that it holds; its first two numbers follow the order of bytes
    "<": b"\0\0\0\0\x10\0\x80\0\0\xaa\x00\x38\x9b\x71",
    ">": b"\0\0\0\0\0\x10\x80\0\0\xaa\x00\x38\x9b\x71",
}
NOT_SAMPLES = (b"LIST", b"id3 ", b"ID3 ", b"fact", b"cue ", b"bext")  # chunks behind samples that take no bytes


@dataclass(frozen=True, slots=True)
class PipedWav:
    """A header, and what is needed to read on.

    Args:
        taken: all that was read of the pipe.
        rate, channels: as the header says.
        coding: libsndfile's name; None: not one that can be read as it comes.
        width: bytes of a sample of one channel.
        size: of the samples, in bytes; None: the header says that it is not known.
        is_big_endian: RIFX.
    """

    taken: bytes
    rate: int = 0
    channels: int = 0
    coding: str | None = None
    width: int = 0
    size: int | None = None
    is_big_endian: bool = False


def read_header(pipe: io.BufferedIOBase, name: str) -> PipedWav:
    """Read up to the first sample.

    Raises:
        DataError: the pipe ends within the header, or the header says what cannot be.
    """
    taken = pipe.read(12)
    order = ">" if taken[:4] == b"RIFX" else "<"
    form = b""
    while len(taken) < KEPT:
        head = pipe.read(8)
        taken += head
        if len(head) < 8:
            raise DataError("not-a-sound-file", "cannot be read as WAV (it ends in its header)", where=name, hint=LOOK)
        chunk, size = struct.unpack(order + "4sI", head)
        if chunk == b"data":
            return _described(taken, form, size, order, name)
        if size > KEPT:
            break
        content = pipe.read(size + size % 2)
        taken += content
        if chunk == b"fmt ":
            form = content
    return PipedWav(taken)


def _described(taken: bytes, form: bytes, size: int, order: str, name: str) -> PipedWav:
    if len(form) < 16:
        raise DataError(
            "not-a-sound-file", "cannot be read as WAV (it does not say what its samples are)", where=name, hint=LOOK
        )
    tag, channels, rate, _, frame, bits = struct.unpack_from(order + "HHIIHH", form)
    if tag == EXTENSIBLE and form[26:40] == SUBFORMAT[order]:
        (tag,) = struct.unpack_from(order + "H", form, 24)
    if not 0 < channels <= MOST_CHANNELS:
        raise DataError(
            "impossible-channels", f"a WAV of {channels} channels", where=name, hint=f"give it at most {MOST_CHANNELS}"
        )
    width = frame // channels
    coding = CODINGS.get((tag, width)) if width * channels == frame and width == -(-bits // 8) else None
    known = size if is_definite(size) else None
    return PipedWav(taken, rate, channels, coding, width, known, order == ">")


def blocks(
    pipe: io.BufferedIOBase, header: PipedWav, name: str, seconds: float, is_stopped: Callable[[], bool]
) -> Iterator[np.ndarray]:
    """The samples, so many seconds at a time, float32, shape (n, channels).

    Raises:
        DataError: the pipe ends before the length that the header states, and nobody stopped it.
    """
    frame = header.channels * header.width
    most, read = max(int(seconds * header.rate), 1) * frame, 0
    while header.size is None or read < header.size:
        data = pipe.read(most if header.size is None else min(most, header.size - read))
        if not data or (header.size is None and not read and data.startswith(NOT_SAMPLES)):
            break
        read += len(data)
        if whole := len(data) - len(data) % frame:
            yield soundfile.read(
                io.BytesIO(data[:whole]), dtype="float32", always_2d=True, format="RAW", subtype=header.coding,
                endian="BIG" if header.is_big_endian else "LITTLE", channels=header.channels, samplerate=header.rate,
            )[0]  # fmt: skip
    if header.size is not None and read < header.size and not is_stopped():
        what = f"truncated: {read // frame} of {header.size // frame} samples came through the pipe"
        raise DataError("audio-truncated", what, where=name, hint=LOOK)


LOOK = "look at what writes into the pipe"
