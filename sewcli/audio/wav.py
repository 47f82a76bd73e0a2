"""What the header of a WAV file promises, which libsndfile cuts down to what is there without a word.

Programs that write to a pipe do not know the length: their headers say about as much as 31 or 32 bits can hold.
"""

from __future__ import annotations

import struct

from sewcli.audio.packed import Source, content_of

HEAD = 1 << 16  # bytes in which the samples begin; files with longer headers are not looked into
UNKNOWN = 0x7FF00000  # bytes from which on a length stands for one that was not known


def promised_frames(source: Source) -> int | None:
    """Samples a channel by the header; None: not a plain WAV, or its length was not known when the header was written."""
    head = content_of(source, HEAD)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, frame_bytes = 12, 0
    while at + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, at)
        if name == b"fmt " and at + 22 <= len(head):
            (frame_bytes,) = struct.unpack_from("<H", head, at + 20)
        if name == b"data":
            return size // frame_bytes if frame_bytes and 0 < size < UNKNOWN else None
        at += 8 + size + size % 2
    return None
