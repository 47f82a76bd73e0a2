"""Whether a container is whole by the sizes that it states: decoders read what is there and say nothing of what is not.

MP4 and QuickTime (ISO 14496-12), Matroska and WebM (RFC 8794, RFC 9559), ASF, FLV, AVI and WavPack are trees or rows of boxes
with their sizes before them. Streams of frames (ADTS, AMR, AC-3, MPEG) state no length.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import BinaryIO

SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
ASF_DATA = b"\x36\x26\xb2\x75\x8e\x66\xcf\x11"


def fault(file: BinaryIO, demuxer: str) -> str | None:
    """What is missing of a container; None: nothing, as far as its sizes tell."""
    size = file.seek(0, io.SEEK_END)
    walk = _WALKS.get(demuxer)
    try:
        return walk(file, size) if walk else None
    except (struct.error, ValueError, OverflowError, OSError):
        return "truncated: it ends within a header"


def _beyond(end: int, size: int) -> str | None:
    return f"truncated: {size:,} of the {end:,} bytes that its headers state" if end > size else None


def _mov(file: BinaryIO, size: int) -> str | None:
    at, names = 0, set()
    while size - at >= 8:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length == 0:  # to the end of the file
            length = size - at
        if length < 8 or not name.isascii():
            break  # bytes after the last box
        if what := _beyond(at + length, size):
            return what
        names.add(name)
        at += length
    if not names & {b"moov", b"moof"}:
        return "truncated: without its index (moov), which is written last: the recording was not finished"
    return None


def _matroska(file: BinaryIO, size: int) -> str | None:
    """Of unknown size (all bits set) are the segment and the clusters of what was recorded live: they are entered."""
    at = 0
    while size - at >= 2:
        file.seek(at)
        head = file.read(12)
        name, used = _vint(head, keep=True)
        length, more = _vint(head[used:], keep=False)
        at += used + more
        if length == (1 << 7 * more) - 1:
            if name not in (SEGMENT, CLUSTER):
                return None
            continue
        at += length
        if what := _beyond(at, size):
            return what
    return None


def _vint(head: bytes, *, keep: bool) -> tuple[int, int]:
    """A number of EBML and the bytes that it takes; `keep`: with the bit that marks its length, as in names."""
    if not head or not head[0]:
        raise struct.error
    used = 9 - head[0].bit_length()
    if len(head) < used:
        raise struct.error
    number = int.from_bytes(head[:used], "big")
    return number if keep else number - (1 << 7 * used), used


def _asf(file: BinaryIO, size: int) -> str | None:
    at = 0
    while size - at >= 24:
        file.seek(at)
        name, length = struct.unpack("<16sQ", file.read(24))
        if length < 24:  # a broadcast does not know the size of its data
            return None
        at += length
        if what := _beyond(at, size):
            return what
        if name.startswith(ASF_DATA):
            return None
    return "truncated: without its data"


def _flv(file: BinaryIO, size: int) -> str | None:
    file.seek(5)
    (at,) = struct.unpack(">I", file.read(4))
    at += 4
    while at < size:
        file.seek(at)
        head = file.read(11)
        if len(head) < 11:
            return "truncated: it ends within a header"
        at += 11 + int.from_bytes(head[1:4], "big") + 4
        if what := _beyond(at, size):
            return what
    return None


def _avi(file: BinaryIO, size: int) -> str | None:
    at = 0
    while size - at >= 12:  # one RIFF of each gigabyte
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        if name != b"RIFF" or not length:
            return None
        at += 8 + length + length % 2
        if what := _beyond(at - length % 2, size):
            return what
    return None


def _wavpack(file: BinaryIO, size: int) -> str | None:
    at = 0
    while size - at >= 8:
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        if name != b"wvpk":
            return None
        at += 8 + length
        if what := _beyond(at, size):
            return what
    return None


_WALKS: dict[str, Callable[[BinaryIO, int], str | None]] = {
    "mov": _mov,
    "matroska": _matroska,
    "asf": _asf,
    "flv": _flv,
    "avi": _avi,
    "wv": _wavpack,
}
