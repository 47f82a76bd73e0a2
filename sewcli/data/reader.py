"""Reading a run's utterances by number: one that cannot be read is listed and passed over, up to a share of them.

Among millions of files a few are always broken, and one of them should not end a run of days. What is passed over is a
function of the files alone, so a run that is killed and goes on meets the same batches.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sewcli.artifacts.experiment_folder import REJECTED
from sewcli.base import dist
from sewcli.base.errors import DataError
from sewcli.base.files import numbered_jsonl, os_errors_as_usage_errors
from sewcli.base.log import warn
from sewcli.data.utterances import Utterance

NAMED = 5  # warnings, of utterances that are left out at the start
VALIDATION = "validation"  # what an utterance was meant for, when it is not training


class Reader:
    """Waves of the utterances of a run.

    Args:
        utterances: all of them.
        folder: where `rejected.jsonl` is kept, for all ranks; without it nothing is passed over.
        max_rejected: largest share of `utterances` that may be.
        left_out: what was left out when they were chosen; it counts too.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        folder: Path | None = None,
        max_rejected: float = 0.0,
        left_out: LeftOut | None = None,
    ) -> None:
        self.utterances, self.path = utterances, folder / REJECTED if folder else None
        self._left_out = left_out.rows if left_out else []
        self.total = len(utterances) + sum("use" not in row for row in self._left_out)
        self.allowed = share_of(max_rejected, self.total)
        self._too_many: DataError | None = None
        self._lock = threading.Lock()
        self._rejected = self._listed()

    @property
    def rejected(self) -> int:
        """How many utterances are listed, by all ranks and before a resume too."""
        return len(self._listed())

    def list_left_out(self) -> None:
        """Add to the list what was left out at the start; for when it is certain that the folder is that of this run."""
        if self.path and self._left_out and dist.is_main():
            there = (
                {id for use in (False, True) for id in listed(self.path, validation=use)}
                if self.path.exists()
                else set()
            )
            _append(self.path, [row for row in self._left_out if row["id"] not in there])

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
            if self._too_many:  # found by another thread: what it counted stays true
                raise self._too_many
            self._rejected |= self._listed()  # by other ranks
            if utterance.id in self._rejected:
                return
            _append(self.path, [_row(utterance, error)])
            self._rejected.add(utterance.id)
            warn(
                f"{utterance.id}: {utterance.path}: {error.what}; passed over ({len(self._rejected)} so far)",
                every_rank=True,
            )
            if len(self._rejected) > self.allowed:
                self._too_many = DataError(
                    "too-many-unreadable",
                    f"{len(self._rejected)} of {self.total} utterances cannot be read; {self.allowed} may be",
                    where=self.path,
                    hint="sew check finds them all; correct the files, or --set data.max_rejected=... (a share)",
                )
                raise self._too_many

    def _listed(self) -> set[str]:
        return listed(self.path) if self.path and self.path.exists() else set()


class LeftOut:
    """Utterances that cannot be trained on, e.g. because the vocabulary lacks a symbol of their transcript: up to a share.

    Args:
        max_rejected: that share.
    """

    def __init__(self, max_rejected: float = 0.0) -> None:
        self.max_rejected = max_rejected
        self.rows: list[dict[str, str]] = []

    def take(self, unfit: Sequence[tuple[Utterance, DataError]], count: int, *, validation: bool = False) -> None:
        """Leave these out of `count`, and say so.

        Args:
            unfit: those, and why.
            count: of how many.
            validation: they are of the validation splits.

        Raises:
            DataError: there are more than the share.
        """
        if len(unfit) > share_of(self.max_rejected, count):
            first, error = unfit[0]
            needed = math.ceil(1000 * len(unfit) / count) / 1000
            them = "it" if len(unfit) == 1 else f"the {len(unfit):,} of {count:,} utterances that cannot be used"
            hint = f"{error.hint or 'correct it'}; or leave {them} out: --set data.max_rejected={needed:g}"
            raise DataError(error.code, error.what, where=first.id, hint=hint)
        for utterance, error in unfit[:NAMED]:
            warn(f"{utterance.id}: {error.what}; left out")
        if len(unfit) > NAMED:
            warn(f"{len(unfit):,} of {count:,} utterances are left out, and listed in {REJECTED}")
        self.rows += [_row(u, error) | ({"use": VALIDATION} if validation else {}) for u, error in unfit]


def share_of(share: float, count: int) -> int:
    """How many of `count` a share allows."""
    return math.floor(share * count + 1e-9)  # 0.29 of 100 is 28.999999999999996


def listed(path: Path, *, validation: bool = False) -> set[str]:
    """Ids of the utterances in a list of what was rejected, for training or for validation.

    Raises:
        DataError: not such a list.
    """
    found = set()
    for number, row in numbered_jsonl(path):
        if not isinstance(row.get("id"), str):
            raise DataError(
                "invalid-list-line",
                f"line {number}: a line without the id of an utterance",
                where=path,
                hint="remove the line, or the file: what cannot be read is then listed again",
            )
        if (row.get("use") == VALIDATION) == validation:
            found.add(row["id"])
    return found


def _row(utterance: Utterance, error: DataError) -> dict[str, str]:
    return {"id": utterance.id, "path": str(utterance.path), "reason": error.what}


def _append(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with os_errors_as_usage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:  # one write, so that ranks cannot mix their lines
            file.write("".join(f"{json.dumps(row)}\n" for row in rows).encode())
            file.flush()
            os.fsync(file.fileno())
