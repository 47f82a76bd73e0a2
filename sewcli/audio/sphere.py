"""NIST SPHERE files, as the LDC and TED-LIUM publish them: what their headers say, and their shorten compression undone.

libsndfile reads PCM, u-law and A-law SPHERE itself. Shorten-compressed data (`sample_coding -s27
ulaw,embedded-shorten-v2.00`, all of Fisher) it does not: `desphere` decodes those, to the bit as NIST's own tool does,
and much faster with its native part (`pip install 'sew[sph]'`).
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from sewcli.base.errors import DataError

MAGIC = b"NIST_1A\n"
LARGEST_HEADER = 1 << 20  # bytes; real headers have 1024, some 2048 or more


def read_header(path: str | Path) -> dict[str, str] | None:
    """The fields of a SPHERE header, or None when the file is none.

    Raises:
        DataError: it begins as a SPHERE header and does not go on as one.
    """
    with open(path, "rb") as file:
        head = file.read(16)
        if not head.startswith(MAGIC):
            return None
        size = head[len(MAGIC) :].strip()
        if not size.isdigit() or not len(head) <= int(size) <= LARGEST_HEADER:
            raise DataError("the size in its SPHERE header is not one", where=path, mend=COPY_AGAIN)
        head += file.read(int(size) - len(head))
    text = head.decode("latin-1")
    if len(head) < int(size) or "end_head" not in text:
        raise DataError("truncated in its SPHERE header", where=path, mend=COPY_AGAIN)
    fields = {}
    for line in text.split("end_head")[0].splitlines()[2:]:
        if field := re.match(r"(\S+) -(?:i|r|s\d+) (.*)", line):
            fields[field[1]] = field[2].strip()
    return fields


def is_shortened(path: str | Path) -> bool:
    """Whether the samples are compressed by shorten, which libsndfile cannot undo."""
    fields = read_header(path)
    return fields is not None and "shorten" in fields.get("sample_coding", "")


def sample_count(path: str | Path) -> int:
    """Samples of one channel that the header promises; 0 when it says nothing."""
    count = (read_header(path) or {}).get("sample_count", "")
    return int(count) if count.isdigit() else 0


def unshortened(path: str | Path) -> io.BytesIO:
    """The whole file as an uncompressed WAV in memory (a 10-minute call of two channels takes 19 MB).

    Raises:
        DataError: damaged, or compressed in another way.
    """
    import desphere  # imported late: few corpora need it

    try:
        return io.BytesIO(desphere.transcode_bytes(Path(path).read_bytes()))
    except (desphere.DesphereError, ValueError, IndexError, EOFError) as error:
        raise DataError(f"its shorten compression cannot be undone ({error})", where=path, mend=COPY_AGAIN) from None


COPY_AGAIN = "copy it from the disc or the archive again"
