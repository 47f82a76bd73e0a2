"""Sound files inside an archive: a stretch of a tar file, read without unpacking it (lhotse's Shar keeps audio so).

`Source` is whatever can be opened as sound: a path, or a `Packed` one. Messages name both as a path would be.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sewcli.base.errors import DataError
from sewcli.base.regular import require_regular


@dataclass(frozen=True, slots=True)
class Packed(os.PathLike[str]):
    """One file of an archive.

    Args:
        archive: a tar file, not compressed.
        name: of the file in it.
        start, size: its bytes in the archive; a `size` of -1 says that the archive does not have it.
    """

    archive: Path
    name: str
    start: int
    size: int

    def __fspath__(self) -> str:
        return f"{self.archive}/{self.name}"

    def __str__(self) -> str:
        return self.__fspath__()

    def read_bytes(self) -> bytes:
        """The file's content.

        Raises:
            DataError: the archive is gone, ends before the file does, or never had it.
        """
        if self.size < 0:
            raise DataError(
                "archive-damaged", "not in this archive, which is cut off or damaged", where=self, hint="copy it again"
            )
        try:
            require_regular(self.archive)
            with open(self.archive, "rb", buffering=0) as file:
                there = os.fstat(file.fileno()).st_size - self.start
                if (
                    self.size > LARGEST
                ):  # believed only as far as it is likely, and nothing is asked of the memory before
                    raise DataError(
                        "archive-damaged",
                        f"a file of {self.size:,} bytes, says the archive, which is damaged",
                        where=self,
                        hint="copy it again",
                    )
                content = os.pread(file.fileno(), max(min(self.size, there), 0), self.start)
        except OSError as error:
            raise DataError("cannot-read", f"cannot be read ({error.strerror or error})", where=self.archive) from None
        if len(content) < self.size:
            raise DataError(
                "archive-damaged",
                f"truncated: the archive ends before byte {self.start + self.size:,}",
                where=self,
                hint="copy it again",
            )
        return content


LARGEST = 1 << 31  # bytes of one file in an archive: a day of 16-bit speech at 16 kHz; more is a damaged header
Source = str | Path | Packed


def open_binary(source: Source) -> BinaryIO:
    """A sound file's bytes, to go back and forth in.

    Raises:
        DataError: of a packed one. OSError, ValueError: of another.
    """
    return io.BytesIO(source.read_bytes()) if isinstance(source, Packed) else open(source, "rb")


def content_of(source: Source, size: int = -1) -> bytes:
    """The first `size` bytes of a sound file, or all of them.

    Raises:
        DataError: of a packed one. OSError: of another.
    """
    if isinstance(source, Packed):
        return source.read_bytes()[: size if size >= 0 else None]
    with open(source, "rb") as file:
        return file.read(size)
