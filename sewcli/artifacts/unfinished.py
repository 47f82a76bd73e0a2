"""Hypotheses of a part that is at work: on disk every few seconds, so that a kill costs no more and the same command goes on.

`<i>-of-<n>.unfinished/00001.json`, `00002.json`, ... hold the rows that were added since the one before, and the times. Those
of other inputs (weights, cuts, language model, settings) are never read.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from sewcli.artifacts.decode_folder import HypothesisRow
from sewcli.base.errors import DataError
from sewcli.base.files import os_errors_as_usage_errors, read_json, remove_leftovers, write_json

SAVE_SECONDS = 10.0  # between two saves
TIMES = ("audio_seconds", "model_seconds", "decoder_seconds", "wall_seconds")


class Unfinished:
    """The rows of a part so far.

    Args:
        folder: where they are kept.
        inputs: digest of all that decides them.
        facts: more that is written beside them.
    """

    def __init__(self, folder: Path, inputs: str, facts: dict[str, Any]) -> None:
        self.rows: dict[str, HypothesisRow] = {}
        self.times = dict.fromkeys(TIMES, 0.0)
        self._folder, self._facts = folder, {"inputs": inputs, **facts}
        self._new: list[HypothesisRow] = []
        self._files, self._saved = 0, time.monotonic()
        self._read(inputs)

    def add(self, row: HypothesisRow, times: dict[str, float]) -> None:
        """Take a row; `times` are those of all work so far, of which what is new is written with it."""
        self.rows[row["id"]] = row
        self._new.append(row)
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            self.save(times)

    def save(self, times: dict[str, float]) -> None:
        """Write what is new."""
        if self._new:
            spent = {name: times[name] - self.times[name] for name in TIMES}
            name = f"{self._files + 1:05d}.json"
            write_json(self._folder / name, {**self._facts, "times": spent, "rows": self._new})
            self._files, self._new, self.times = self._files + 1, [], dict(times)
        self._saved = time.monotonic()

    def remove(self) -> None:
        """The part is whole, and stands elsewhere."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self, inputs: str) -> None:
        with os_errors_as_usage_errors(self._folder):
            remove_leftovers(self._folder)  # first: a file that a kill broke off is none of the row
        for number, path in enumerate(sorted(self._folder.glob("*.json")), start=1):
            try:
                found: Any = read_json(path)
                times = {name: float(found["times"][name]) for name in TIMES}
                rows = {str(row["id"]): row for row in found["rows"]}
                same = found["inputs"] == inputs and path.name == f"{number:05d}.json"
            except (DataError, KeyError, TypeError, ValueError):
                same = False
            if not same:  # of other weights or settings; what follows it is too
                break
            self.rows |= rows
            self.times = {name: self.times[name] + times[name] for name in TIMES}
            self._files = number
        for path in sorted(self._folder.glob("*.json"))[self._files :]:
            with os_errors_as_usage_errors(path):
                path.unlink(missing_ok=True)
