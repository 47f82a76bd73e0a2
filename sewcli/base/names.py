"""Names of files made of names of other things: utterances, recordings, corpora, language models.

A file system takes 255 bytes of a name. A longer one keeps its beginning and gets a digest of the whole, so that no two are
alike and the same name is always shortened to the same.
"""

from __future__ import annotations

import hashlib

LONGEST = 200  # bytes; temporaries and forms have endings and beginnings of their own
DIGITS = 10  # of the digest


def shortened(name: str, limit: int = LONGEST) -> str:
    """The name itself when it is no longer than `limit` bytes of UTF-8, otherwise its beginning, `~` and a digest.

    Args:
        name: may hold what stands for bytes that are no UTF-8 (`os.fsdecode`), or lone surrogates.
        limit: in bytes.
    """
    raw = to_bytes(name)
    return name if len(raw) <= limit else with_digest(name, limit)


def with_digest(name: str, limit: int = LONGEST) -> str:
    """The name's beginning, `~` and a digest of the whole."""
    raw = to_bytes(name)
    begin = raw[: max(limit - DIGITS - 1, 0)].decode("utf-8", "ignore")  # no part of a letter
    return f"{begin}~{hashlib.sha256(raw).hexdigest()[:DIGITS]}"


def to_bytes(name: str) -> bytes:
    """The bytes of a name, whatever is in it."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")
