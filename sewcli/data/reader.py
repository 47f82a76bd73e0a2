"""Reading a run's utterances by number: one that cannot be read is listed and passed over, up to a share of them.

Among millions of files a few are always broken, and one of them should not end a run of days. What is passed over is a
function of the files alone, so a run that is killed and goes on meets the same batches.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sewcli.base.errors import DataError
from sewcli.base.files import explained, read_jsonl
from sewcli.base.log import warn
from sewcli.data.utterances import Utterance

REJECTED = "rejected.jsonl"


class Reader:
    """Waves of the utterances of a run.

    Args:
        utterances: all of them.
        folder: where `rejected.jsonl` is kept, for all ranks; without it nothing is passed over.
        max_rejected: largest share of `utterances` that may be.
    """

    def __init__(self, utterances: Sequence[Utterance], folder: Path | None = None, max_rejected: float = 0.0) -> None:
        self.utterances, self.path = utterances, folder / REJECTED if folder else None
        self.allowed = int(max_rejected * len(utterances))
        self._lock = threading.Lock()
        self._rejected = self._listed()

    @property
    def rejected(self) -> int:
        """How many utterances are listed, by all ranks and before a resume too."""
        return len(self._listed())

    def read(self, numbers: Iterable[int]) -> list[tuple[int, np.ndarray]]:
        """(number, wave) of those that can be read; if none can, of the first utterance that can.

        Raises:
            DataError: more than the allowed share cannot be read.
        """
        found = list(self._readable(numbers))
        if not found:
            found = [next(self._readable(range(len(self.utterances))))]
        return found

    def _readable(self, numbers: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        for number in numbers:
            utterance = self.utterances[number]
            if utterance.id in self._rejected:
                continue
            try:
                wave = utterance.wave()
            except DataError as error:
                if self.path is None:
                    raise
                self._reject(utterance, error)
            else:
                yield number, wave

    def _reject(self, utterance: Utterance, error: DataError) -> None:
        assert self.path is not None
        with self._lock:
            self._rejected |= self._listed()  # by other ranks
            if utterance.id in self._rejected:
                return
            row = json.dumps({"id": utterance.id, "path": str(utterance.path), "reason": error.what}) + "\n"
            with explained(self.path), open(self.path, "ab") as file:  # one write, so that ranks cannot mix their lines
                file.write(row.encode())
                file.flush()
                os.fsync(file.fileno())
            self._rejected.add(utterance.id)
            warn(
                f"{utterance.id}: {utterance.path}: {error.what}; passed over ({len(self._rejected)} so far)",
                every_rank=True,
            )
            if len(self._rejected) > self.allowed:
                raise DataError(
                    f"{len(self._rejected)} of {len(self.utterances)} utterances cannot be read; {self.allowed} may be",
                    where=self.path,
                    mend="sew check finds them all; mend the files, or --set data.max_rejected=... (a share)",
                )

    def _listed(self) -> set[str]:
        if self.path is None or not self.path.exists():
            return set()
        ids = [row.get("id") for row in read_jsonl(self.path)]
        if not all(isinstance(name, str) for name in ids):
            raise DataError(
                "a line without the id of an utterance",
                where=self.path,
                mend="remove the line, or the file: what cannot be read is then listed again",
            )
        return {str(name) for name in ids}
