"""NIST SPHERE files, as the LDC and TED-LIUM publish them: what their headers say, and their shorten compression undone.

libsndfile decodes PCM, u-law and A-law, but takes only the plainest headers for what they are, so it is shown a plain one.
Shorten-compressed data (`sample_coding -s27 ulaw,embedded-shorten-v2.00`, all of Fisher) `desphere` decodes, to the bit as
NIST's own tool does, and much faster with its native part (`pip install 'sewcli[sph]'`).
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from sewcli.audio.packed import Source, content_of, open_binary
from sewcli.audio.views import Behind
from sewcli.base.errors import DataError

MAGIC = b"NIST_1A\n"
SIZE = 1024  # bytes of nearly every header
CODINGS = {"": "pcm", "pcm": "pcm", "ulaw": "ulaw", "mulaw": "ulaw", "mu-law": "ulaw", "alaw": "alaw", "a-law": "alaw"}
SHORTEN = "embedded-shorten"
MOST = 1 << 40  # of anything that is counted: larger numbers are damage


@dataclass(frozen=True, slots=True)
class Header:
    """A SPHERE header: its fields as text, and its size in bytes."""

    path: Source
    fields: dict[str, str]
    size: int

    @property
    def samples(self) -> int | None:
        """The samples of a channel that it promises; None when it is silent about them."""
        return self._number("sample_count", least=0) if "sample_count" in self.fields else None

    @property
    def is_shortened(self) -> bool:
        """Whether the samples are compressed by shorten, which libsndfile cannot undo."""
        return self._coding[1].startswith(SHORTEN)

    def rewritten(self) -> bytes:
        """A plain header for the same data: 1024 bytes with what libsndfile and desphere need, and nothing else.

        Raises:
            DataError: it does not say what the data are, or says something impossible.
        """
        base, compression = self._coding
        coding, order = CODINGS[base], self.fields.get("sample_byte_format", "1").lower()
        if "sample_coding" not in self.fields:
            coding = CODINGS.get(order, coding)  # `sample_byte_format -s6 mu-law` is the coding in some headers
        width = 1 if coding != "pcm" else self._number("sample_n_bytes") if "sample_n_bytes" in self.fields else 2
        if width > 1 and order not in ("01", "10"):
            raise DataError(
                "sphere-header-damaged",
                "its SPHERE header does not say the order of bytes",
                where=self.path,
                hint=COPY_AGAIN,
            )
        numbers = {name: self._number(name) for name in ("channel_count", "sample_rate")}
        if self.samples is not None:
            numbers["sample_count"] = self.samples
        lines = [f"{name} -i {number}" for name, number in {**numbers, "sample_n_bytes": width}.items()]
        lines.append("sample_byte_format " + ("-s1 1" if width == 1 else f"-s2 {order}"))
        kind = f"{coding},{compression}" if compression else coding
        lines += [f"sample_coding -s{len(kind)} {kind}", "end_head\n"]
        return MAGIC + b"   1024\n" + "\n".join(lines).encode().ljust(SIZE - 16)

    @property
    def _coding(self) -> tuple[str, str]:
        """What `sample_coding` says: the coding, and the compression (or "")."""
        base, _, compression = (part.strip() for part in self.fields.get("sample_coding", "").lower().partition(","))
        if base not in CODINGS or (compression and not compression.startswith(SHORTEN)):
            raise DataError(
                "audio-coding-unsupported",
                f"SPHERE data of the coding {self.fields['sample_coding']!r} cannot be read",
                where=self.path,
                hint="decode it with NIST's w_decode -o pcm",
            )
        return base, compression

    def _number(self, name: str, *, least: int = 1) -> int:
        """A field that counts something; some headers write it as a string or a real number."""
        said = self.fields.get(name, "nothing")
        number = re.fullmatch(r"(\d{1,15})(?:\.0*)?", said, re.ASCII)
        if number is None or not least <= int(number[1]) <= MOST:
            raise DataError(
                "sphere-header-damaged", f"its SPHERE header says {said} for {name}", where=self.path, hint=COPY_AGAIN
            )
        return int(number[1])


def read_header(path: Source) -> Header | None:
    """The header of a SPHERE file, or None when the file is none.

    Raises:
        DataError: it begins as a SPHERE header and does not go on as one.
        OSError: it cannot be opened.
    """
    with open_binary(path) as file:
        head = file.read(16)
        if not head.startswith(MAGIC):
            return None
        stated = re.fullmatch(rb" *(\d{1,6}) *\n?", head[len(MAGIC) :])  # real ones have 1024 bytes, some 2048 or more
        if stated is None or int(stated[1]) < len(head):
            raise DataError(
                "sphere-header-damaged", "the size in its SPHERE header is not one", where=path, hint=COPY_AGAIN
            )
        size = int(stated[1])
        head += file.read(size - len(head))
    end = re.search(rb"\nend_head[ \t\r]*(?:\n|\Z)", head)
    if len(head) < size or end is None:
        raise DataError("sphere-header-damaged", "truncated in its SPHERE header", where=path, hint=COPY_AGAIN)
    fields = {}
    for line in head[len(MAGIC) : end.start()].decode("latin-1").split("\n")[1:]:
        if field := re.match(r"(\S+) +-(?:i|r|s\d+)(?: +(.*))?$", line):
            fields[field[1]] = (field[2] or "").strip()
    return Header(path, fields, size)


def plain(header: Header) -> io.RawIOBase | io.BytesIO:
    """The file in a form that libsndfile reads; a compressed one whole in memory (an hour of two channels takes 115 MB).

    Raises:
        DataError: damaged, cut short, or compressed in another way.
        OSError: it cannot be opened.
    """
    if not header.is_shortened:
        return Behind(open_binary(header.path), header.rewritten(), header.size, owns=True)
    import desphere  # imported late: few corpora need it

    try:
        return io.BytesIO(desphere.transcode_bytes(header.rewritten() + content_of(header.path)[header.size :]))
    except desphere.DesphereError as error:
        raise DataError(
            "audio-damaged", f"its shorten compression cannot be undone ({error})", where=header.path, hint=COPY_AGAIN
        ) from None


COPY_AGAIN = "copy it from the disc or the archive again"
