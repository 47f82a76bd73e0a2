"""Utterances: what training and decoding need of a lhotse cut, read straight from the manifest.

A manifest line costs microseconds here, where building a lhotse object costs a hundred; a corpus has 281,241 of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.audio.io import RATE, read_wave
from sewcli.base.errors import DataError, UsageError, nearest
from sewcli.base.files import read_json, read_jsonl

PREFIX, SUFFIX = "cuts_", ".jsonl.gz"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One cut of one channel of one file. `start` and `samples` count samples at `rate` Hz."""

    id: str
    path: Path
    start: int
    samples: int
    rate: int
    channel: int
    text: str
    speaker: str

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.samples / self.rate

    def wave(self) -> np.ndarray:
        """The audio: float32, shape (samples,), in [-1, 1).

        Raises:
            DataError: unreadable or shorter than the manifest says.
        """
        return read_wave(self.path, start=self.start, samples=self.samples, channel=self.channel, rate=self.rate)


def splits(data: str | Path) -> list[str]:
    """Names of the splits prepared in a data folder, sorted."""
    found = Path(data).glob(f"{PREFIX}*{SUFFIX}")
    return sorted(path.name[len(PREFIX) : -len(SUFFIX)] for path in found)


def require_splits(data: str | Path, wanted: Sequence[str] | None, *, default_prefix: str) -> list[str]:
    """The splits to use: those `wanted`, or all whose name begins with `default_prefix`.

    Raises:
        UsageError: nothing is prepared, or a split is not there.
    """
    found = splits(data)
    if not found:
        raise UsageError(
            "no prepared corpus here", where=data, mend="first run: sew prep librispeech (see --help), or give --data"
        )
    if wanted:
        for name in wanted:
            if name not in found:
                raise UsageError(
                    f"no split {name!r}{nearest(name, found)}", where=data, mend=f"there are: {', '.join(found)}"
                )
        return list(wanted)
    chosen = [name for name in found if name.startswith(default_prefix)]
    if not chosen:
        setting = f", e.g. --set data.train={found[0]}" if default_prefix == "train" else ""
        raise UsageError(f"no split {default_prefix}*", where=data, mend=f"name one of: {', '.join(found)}{setting}")
    return chosen


def check_rate(utterance: Utterance) -> None:
    """Refuse audio at another rate than the models'.

    Raises:
        DataError: another rate.
    """
    if utterance.rate != RATE:
        raise DataError(
            f"{utterance.rate} Hz, the models take {RATE}",
            where=utterance.id,
            mend=f"resample {utterance.path} and prepare the corpus again",
        )


def read_split(data: str | Path, split: str) -> list[Utterance]:
    """The utterances of one prepared split."""
    return read_utterances(Path(data) / f"{PREFIX}{split}{SUFFIX}")


def read_utterances(path: str | Path) -> list[Utterance]:
    """Read a lhotse cut manifest.

    Raises:
        DataError: missing, broken, or without utterances.
    """
    utterances = []
    root = _root(Path(path))
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            utterances.append(_utterance(row, root))
        except (KeyError, TypeError, IndexError, ValueError, AttributeError, OverflowError) as error:
            raise DataError(
                f"line {number}: not a cut that can be read ({type(error).__name__}: {error})",
                where=path,
                mend="prepare the corpus again with sew prep",
            ) from None
    if not utterances:
        raise DataError("no utterances in this manifest", where=path, mend="prepare the corpus again with sew prep")
    return utterances


def _root(manifest: Path) -> Path:
    """What relative paths in a manifest are relative to: `$SEW_ROOT`, or the folder that was given to `sew prep --root`."""
    if root := os.environ.get("SEW_ROOT"):
        return Path(root)
    try:
        split = manifest.name.removeprefix(PREFIX).removesuffix(SUFFIX)
        return Path(read_json(manifest.with_name("prep.json"))["splits"][split]["root"] or "")
    except (DataError, KeyError, TypeError):  # a manifest from elsewhere: lhotse's own rule is the working directory
        return Path()


def _utterance(row: dict[str, Any], root: Path) -> Utterance:
    recording = row["recording"]
    rate = int(recording["sampling_rate"])
    if rate <= 0:
        raise ValueError(f"a rate of {rate} Hz")
    channel = row.get("channel", 0)
    channel = int(channel[0] if isinstance(channel, list) else channel)
    source = next((s for s in recording["sources"] if channel in s["channels"]), None)
    if source is None:
        raise ValueError(f"no source for channel {channel}")
    if source["type"] != "file":
        raise ValueError(f"a source of type {source['type']!r}")
    supervision = row["supervisions"][0] if row.get("supervisions") else {}
    return Utterance(
        id=str(row["id"]),
        path=root / source["source"],
        start=round(float(row["start"]) * rate),
        samples=round(float(row["duration"]) * rate),
        rate=rate,
        channel=source["channels"].index(channel),
        text=str(supervision.get("text") or ""),
        speaker=str(supervision.get("speaker") or ""),
    )
