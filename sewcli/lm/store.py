"""Large arrays that live in memory while they are small, and in files without a name where they are not.

Files are mapped, so that they read and write as arrays do and the kernel keeps of them what fits. Nothing has a name on the
disk: whatever ends the process, even a SIGKILL, frees the space.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from sewcli.base.files import os_errors_as_usage_errors

ARRAYS = 32  # of the largest that may stay in memory, how many fill it: so many are alive at the worst moment
BYTES_PER_ROW = 256  # of the memory, while rows are sorted: keys, places and copies of both, with room to spare
LEAST_ROWS = 1024


class Store:
    """Makes arrays within a budget.

    Args:
        folder: where files go once they are needed; it should have room for the whole.
        memory: bytes that all arrays together may take in memory.
    """

    def __init__(self, folder: Path, memory: int) -> None:
        self.folder, self.limit = folder, memory // ARRAYS
        self.rows = max(memory // BYTES_PER_ROW, LEAST_ROWS)
        """How many rows may be worked on at once."""
        self.spilled = 0
        """Bytes that went to files, in all."""

    def zeros(self, size: int, dtype: type) -> np.ndarray:
        """An array of zeros.

        Raises:
            UsageError: no disk space left.
        """
        length = size * np.dtype(dtype).itemsize
        if length <= self.limit:
            return np.zeros(size, dtype)
        with self.file() as file, os_errors_as_usage_errors(self.folder):
            if hasattr(os, "posix_fallocate"):  # a mapped page that finds no space would be a bus error
                os.posix_fallocate(file.fileno(), 0, length)
            else:
                file.truncate(length)
            return self._mapped(file, dtype)

    def writer(self, dtype: type) -> Writer:
        """An array of a size that is not known yet."""
        return Writer(self, dtype)

    def file(self) -> IO[bytes]:
        """A file without a name."""
        with os_errors_as_usage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(dir=self.folder, buffering=0)

    def _mapped(self, file: IO[bytes], dtype: type) -> np.ndarray:
        length = os.fstat(file.fileno()).st_size
        self.spilled += length
        return np.frombuffer(mmap.mmap(file.fileno(), length), dtype)


class Writer:
    """Takes an array piece by piece; a context manager that drops what was not finished."""

    def __init__(self, store: Store, dtype: type) -> None:
        self.store, self.dtype = store, dtype
        self._pieces: list[np.ndarray] = []
        self._waiting = 0
        self._file: IO[bytes] | None = None

    def add(self, piece: np.ndarray) -> None:
        """The next piece, which must not change any more.

        Raises:
            UsageError: no disk space left.
        """
        piece = np.asarray(piece, self.dtype)
        self._pieces.append(piece)
        self._waiting += piece.nbytes
        if self._waiting > self.store.limit:
            self._file = self._file or self.store.file()
            self._spill(self._file)

    def finish(self) -> np.ndarray:
        """All of it."""
        if self._file is None:
            return np.concatenate([np.empty(0, self.dtype), *self._pieces])
        with self._file:
            self._spill(self._file)
            return self.store._mapped(self._file, self.dtype)

    def _spill(self, file: IO[bytes]) -> None:
        with os_errors_as_usage_errors(self.store.folder):
            for piece in self._pieces:
                view = np.ascontiguousarray(piece).view(np.uint8).data
                while view:
                    view = view[file.write(view) :]
        self._pieces, self._waiting = [], 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def is_mapped(array: np.ndarray) -> bool:
    """Whether it lies in a file."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, memoryview) and isinstance(base.obj, mmap.mmap)


def half_of_the_memory() -> int:
    """Bytes: half of what this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
