"""Where the samples of a sound file end by its own header: libsndfile reads a file that was cut off as a shorter one.

One function a format, found by the first bytes; each walks the header and never the samples, so that it costs a few short
reads. A length of zero, or one of about all the bits of its field, stands for a length that nobody knew when the header was
written (a writer into a pipe). FLAC, MP3 and SPHERE are not here: their samples are counted. Ogg: `audio/ogg.py`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

DATA_W64 = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
MOST_CHUNKS = 10_000  # of a header; damage can make a chunk of every eight bytes


@dataclass(frozen=True, slots=True)
class Extent:
    """What a header says of the end of the samples.

    Args:
        start: the byte with which the samples begin.
        end: the byte after the last sample; None: the header says that it is not known.
        size: of the file, in bytes.
    """

    start: int
    end: int | None
    size: int

    @property
    def is_cut_off(self) -> bool:
        """Whether the file ends before its samples do."""
        return self.end is not None and self.end > self.size


def extent(file: BinaryIO) -> Extent | None:
    """Look a sound file's header through.

    Args:
        file: open for reading, and for going back and forth.

    Returns:
        None: a format whose header does not state a length, or a header that is not understood.
    """
    size, base = file.seek(0, io.SEEK_END), skip_id3(file)
    file.seek(base)
    head = file.read(16)
    for magic, find in _FORMATS.items():
        if head.startswith(magic):
            try:
                found = find(file, base)
            except (struct.error, ValueError, OverflowError, OSError):  # the header itself is cut off or damaged
                return None
            if found is None:
                return None
            start, length = found
            return Extent(start, start + length if length else None, size)
    return None


def skip_id3(file: BinaryIO) -> int:
    """Where a file begins behind the ID3v2 tags that some programs put before any format."""
    at = 0
    for _ in range(16):
        file.seek(at)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
            break
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        at += 10 + length + (10 if head[5] & 0x10 else 0)
    return at


def is_definite(size: int, bits: int = 32) -> bool:
    """Whether the size of a chunk means what it says: not 0, and not about all bits that fit, signed or not."""
    for most in (1 << bits, 1 << bits - 1):
        if most - (1 << 20) <= size <= most + (1 << 16):
            return False
    return size > 0 and not 0 <= size - 0x7F000000 < 1 << 10  # SoX's, of an AIFF in a pipe


Data = tuple[int, int]  # where samples begin, and how many bytes they take: 0 when that is not known


def _data(at: int, size: int, bits: int = 32) -> Data:
    return at, size if is_definite(size, bits) else 0


def _unpack(file: BinaryIO, at: int, form: str) -> tuple[Any, ...]:
    file.seek(at)
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _chunks(file: BinaryIO, at: int, form: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, start of the content and size of each chunk of an IFF-like file, whose chunks begin at even places."""
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = struct.unpack(form, head)
        yield name, at + 8, size
        at += 8 + size + size % 2


def _riff(file: BinaryIO, base: int) -> Data | None:
    """RIFF, RIFX (big-endian), RF64 and BW64, whose 64-bit sizes stand in `ds64` (EBU Tech 3306, ITU-R BS.2088)."""
    file.seek(base)
    magic, _, form = file.read(4), file.read(4), file.read(4)
    if form != b"WAVE":
        return None
    order, wide = ">" if magic == b"RIFX" else "<", 0
    for name, at, size in _chunks(file, base + 12, order + "4sI"):
        if name == b"ds64":
            _, wide = _unpack(file, at, "<QQ")
        if name == b"data":
            return _data(at, wide, 64) if magic in (b"RF64", b"BW64") and size == 0xFFFFFFFF else _data(at, size)
    return None


def _w64(file: BinaryIO, base: int) -> Data | None:
    """Sony Wave64: names of 16 bytes, sizes that count their own head, chunks at multiples of 8."""
    at = base + 40
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(24)
        if len(head) < 24:
            return None
        (size,) = struct.unpack("<Q", head[16:])
        if head[:16] == DATA_W64:
            return _data(at + 24, max(size - 24, 0), 64)
        at += max(size + -size % 8, 24)
    return None


def _caf(file: BinaryIO, base: int) -> Data | None:
    """Apple Core Audio: 64-bit sizes; -1 is a length not known."""
    at = base + 8
    for _ in range(MOST_CHUNKS):
        name, size = _unpack(file, at, ">4sq")
        if name == b"data":
            return at + 16, max(size - 4, 0)  # behind the count of edits
        if size < 0:
            return None
        at += 12 + size
    return None


def _form(file: BinaryIO, base: int) -> Data | None:
    """IFF: AIFF and AIFC keep samples in SSND, the Amiga's 8SVX and 16SV in BODY."""
    for name, at, size in _chunks(file, base + 12, ">4sI"):
        if name == b"BODY":
            return _data(at, size)
        if name == b"SSND":
            offset, _ = _unpack(file, at, ">II")
            start, length = _data(at, size)
            return start + 8 + offset, max(length - 8 - offset, 0)
    return None


def _au(file: BinaryIO, base: int) -> Data | None:
    """Sun and NeXT: 0xffffffff is a length not known; so is 0 in practice."""
    file.seek(base)
    order = ">" if file.read(4) == b".snd" else "<"
    start, size = _unpack(file, base + 4, order + "II")
    return _data(base + start, size)


def _voc(file: BinaryIO, base: int) -> Data | None:
    """Creative Labs: blocks with 24-bit sizes, the last of type 0."""
    (at,) = _unpack(file, base + 20, "<H")
    start = end = at = at + base
    heads = {1: 6, 2: 4, 9: 16}  # bytes before the samples, of the types that hold any
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(4)
        if not head or head[0] == 0:
            break
        start = at + heads[head[0]] if head[0] in heads and start == end else start
        at += 4 + int.from_bytes(head[1:], "little")  # a head that is cut off ends beyond the file, too
        end = at if head[0] in heads else end
    return start, end - start


def _avr(file: BinaryIO, base: int) -> Data | None:
    """Audio Visual Research, after 128 bytes of header."""
    channels, bits = _unpack(file, base + 12, ">hh")
    (frames,) = _unpack(file, base + 26, ">I")
    return _data(base + 128, frames * (2 if channels else 1) * (bits // 8))


def _mpc(file: BinaryIO, base: int) -> Data | None:
    """Akai MPC 2000: 42 bytes of header, 16 bits."""
    (channels,) = _unpack(file, base + 21, "<B")
    (frames,) = _unpack(file, base + 30, "<I")
    return _data(base + 42, frames * 2 * (2 if channels else 1))


def _wve(file: BinaryIO, base: int) -> Data | None:
    """Psion: A-law after 32 bytes."""
    (size,) = _unpack(file, base + 18, ">I")
    return _data(base + 32, size)


def _mat4(file: BinaryIO, base: int) -> Data | None:
    """Matlab 4 and Octave: matrices one after another, each with its numbers of rows and columns."""
    (first,) = _unpack(file, base, "<I")
    order, at, start, end = "<" if first < 5000 else ">", base, base, base
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(20)
        if len(head) < 20:
            break
        kind, rows, columns, imaginary, name = struct.unpack(order + "5I", head)
        width = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}.get(kind // 10 % 10, 1)
        start = at + 20 + name
        at = end = start + rows * columns * width * (2 if imaginary else 1)
    return start, end - start


def _mat5(file: BinaryIO, base: int) -> Data | None:
    """Matlab 5: the last matrix holds the samples, in the fourth of its elements (libsndfile's states 8 bytes too many)."""
    file.seek(base + 126)
    order = "<" if file.read(2) == b"IM" else ">"
    at, start, length = base + 128, base, 0
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or struct.unpack(order + "I", head[:4]) != (14,):  # miMATRIX
            break
        inner = at + 8
        for _ in range(4):
            kind, size = _unpack(file, inner, order + "II")
            start, length = (inner + 8, size) if kind < 1 << 16 else (inner + 4, kind >> 16)
            inner = start + length + -(start + length - at) % 8
        (size,) = struct.unpack(order + "I", head[4:])
        at += 8 + size
    return start, length


_FORMATS: dict[bytes, Callable[[BinaryIO, int], Data | None]] = {
    b"RIFF": _riff,
    b"RIFX": _riff,
    b"RF64": _riff,
    b"BW64": _riff,
    b"riff\x2e\x91\xcf\x11": _w64,
    b"caff": _caf,
    b"FORM": _form,
    b".snd": _au,
    b"dns.": _au,
    b"Creative Voice F": _voc,
    b"2BIT": _avr,
    b"\x01\x04": _mpc,
    b"ALawSoundFile**": _wve,
    b"MATLAB 5.0 MAT-f": _mat5,
    b"\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00": _mat4,
    b"\x00\x00\x03\xe8\x00\x00\x00\x01\x00\x00\x00\x01": _mat4,
}

MAGICS = (
    *_FORMATS,
    b"fLaC",
    b"OggS",
)  # how a file begins that may have ID3 tags before it, which libsndfile stumbles over
