"""Files as libsndfile should see them: without what is before the header, or with another header before the same samples."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Behind(io.RawIOBase):
    """Bytes of our own, and behind them a file from a certain place on.

    Args:
        file: open for reading.
        head: what comes first.
        skip: the byte of the file that follows it.
        owns: the file is closed with it.
    """

    def __init__(self, file: BinaryIO, head: bytes = b"", skip: int = 0, *, owns: bool = False) -> None:
        self._file, self._head, self._owns = file, head, owns
        self._shift = skip - len(head)
        self._place = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As a file's, but that a place before the beginning changes nothing: libsndfile asks for such in damaged files."""
        if whence == io.SEEK_END:
            offset += self._file.seek(0, io.SEEK_END) - self._shift
        elif whence == io.SEEK_CUR:
            offset += self._place
        if 0 <= offset < 1 << 62:
            self._place = offset
        return self._place

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer as far as there are bytes."""
        wanted = memoryview(buffer).cast("B")
        head = self._head[self._place : self._place + len(wanted)]
        wanted[: len(head)] = head
        try:
            self._file.seek(max(self._place, len(self._head)) + self._shift)
        except (OSError, OverflowError):  # a place that no file can have, and so behind the end
            return len(head)
        read: int = len(head) + self._file.readinto(wanted[len(head) :])  # type: ignore[attr-defined]
        self._place += read
        return read

    def close(self) -> None:
        """Close the file, too, where it is owned."""
        if self._owns:
            self._file.close()
        super().close()
