"""Ogg pages, as far as libsndfile leaves something to do: it takes a cut-off or damaged Ogg file for a shorter one.

RFC 3533, section 6: a page is "OggS", version, type, position (8 bytes), serial number (4), page number (4), checksum (4), the
number of segments (1) and their lengths (1 each), then the segments. The checksum is a CRC-32 with its bits the other way
round than zlib's, from 0 and not inverted.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from sewcli.audio.packed import Source, content_of

LAST = 4  # the bit of a page's type that ends the stream
_HEAD = struct.Struct("<4sBBqIIIB")
_SERIAL, _CHECKSUM = slice(14, 18), slice(22, 26)
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def fault(path: Source) -> str | None:
    """What is wrong with an Ogg file that a decoder would not tell: None when it is whole and every checksum is right."""
    data = content_of(path)
    end, ends = 0, False
    for start, end, kind in _pages(data):
        ends = bool(kind & LAST)
        page = data[start:end]
        if len(page) < end - start:
            return f"truncated: the page at byte {start} is not whole"
        if page[_CHECKSUM] != _checksum(page):
            return f"damaged: the page at byte {start} does not give its checksum"
    if end != len(data):
        cut_off = b"OggS".startswith(data[end : end + 4])
        return f"truncated: the page at byte {end} is not whole" if cut_off else f"damaged: no Ogg page at byte {end}"
    return None if ends else "truncated: its last page does not end the stream"


def renumbered(data: bytes, serial: int) -> bytes:
    """The same stream under another serial number: libsndfile draws it from the clock.

    Args:
        data: an Ogg file of one stream, whole.
        serial: 0 to 2**32 - 1.
    """
    pages = []
    for start, end, _ in _pages(data):
        page = bytearray(data[start:end])
        page[_SERIAL] = serial.to_bytes(4, "little")
        page[_CHECKSUM] = _checksum(bytes(page))
        pages.append(bytes(page))
    return b"".join(pages)


def _pages(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Start, end and type of each page, up to the first place where none begins; the end may lie beyond the data."""
    start = 0
    while len(data) - start >= _HEAD.size and data.startswith(b"OggS", start):
        _, _, kind, *_, segments = _HEAD.unpack_from(data, start)
        body = start + _HEAD.size + segments
        end = body + sum(data[body - segments : body])
        yield start, end, kind
        start = end


def _checksum(page: bytes) -> bytes:
    """Of a page, its own checksum taken as zeros: 4 bytes."""
    blank = page[: _CHECKSUM.start] + bytes(4) + page[_CHECKSUM.stop :]
    mirrored = zlib.crc32(blank.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return mirrored.to_bytes(4, "big").translate(_MIRRORED)
