"""MPEG audio (MP3 and its kin) as ISO 11172-3 and 13818-3 describe its frames: how long the one is that some bytes begin.

A frame has no more than eleven set bits to be known by, which loud raw samples have too. So a stream is MPEG audio when its
first frame is followed by another.
"""

from __future__ import annotations

HEADER = 4  # bytes

_V1, _V2, _V25 = 3, 2, 0  # MPEG-1, MPEG-2, and the 2.5 of lower rates; 1 is nothing
_I, _II = 3, 2  # layers; III is 1, and 0 is nothing
_RATES = (44_100, 48_000, 32_000)  # Hz of MPEG-1; MPEG-2 has the half of them, 2.5 a quarter
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # kbit/s of MPEG-2 and 2.5, but for layer I
_BITRATES = {  # kbit/s, from index 1 on
    (True, 3): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW,
    (False, 1): _LOW,
}


def frame_bytes(head: bytes) -> int | None:
    """How long the frame is whose header these bytes begin with; None where they are no such header."""
    if len(head) < HEADER or head[0] != 0xFF or head[1] < 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 0 or bitrate in (0, 15) or rate == 3 or head[3] & 3 == 2:
        return None
    bits = 1000 * _BITRATES[version == _V1, layer][bitrate - 1]
    hertz = _RATES[rate] // {_V1: 1, _V2: 2, _V25: 4}[version]
    if layer == _I:
        return 4 * (12 * bits // hertz + padding)
    return (144 if version == _V1 or layer == _II else 72) * bits // hertz + padding


def is_followed(head: bytes, size: int) -> bool:
    """Whether after a frame of `size` bytes another one begins, of the same version, layer and rate."""
    after = head[size:]
    same = after[:2] == head[:2] and after[2:3] and (after[2] ^ head[2]) & 0x0C == 0
    return bool(same) and frame_bytes(after) is not None
