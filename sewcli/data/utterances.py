"""Utterances: what training and decoding need of a lhotse cut, read straight from the manifest.

A manifest line costs microseconds here, where building a lhotse object costs a hundred; a corpus has 281,241 of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.audio.io import RATE, read_wave
from sewcli.audio.packed import Packed
from sewcli.base.errors import DataError, UsageError, nearest
from sewcli.base.files import read_json, read_jsonl
from sewcli.data import shar

PREFIX, SUFFIX = "cuts_", ".jsonl.gz"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One cut of one channel of one file. `start` and `samples` count samples at `rate` Hz."""

    id: str
    path: Path | Packed
    start: int
    samples: int
    rate: int
    channel: int
    text: str
    speaker: str
    transcribed: bool = True  # a text that is empty may say that nothing is said, or that nobody wrote down what

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
    """Names of the splits prepared in a data folder, as single files or as lhotse's Shar, sorted."""
    found = [path.name[len(PREFIX) : -len(SUFFIX)] for path in Path(data).glob(f"{PREFIX}*{SUFFIX}")]
    return sorted({*found, *shar.shar_splits(Path(data))})


def manifests(data: str | Path, split: str) -> list[Path]:
    """The files that hold the cuts of a split, in order: one, or the shards of a Shar."""
    one = Path(data) / f"{PREFIX}{split}{SUFFIX}"
    return [one] if one.is_file() else shar.manifests(Path(data) / split) or [one]


def require_splits(data: str | Path, wanted: Sequence[str] | None, *, default_prefix: str) -> list[str]:
    """The splits to use: those `wanted`, or all whose name begins with `default_prefix`.

    Raises:
        UsageError: nothing is prepared, or a split is not there.
    """
    found = splits(data)
    if not found:
        raise UsageError(
            "no prepared corpus here",
            where=data,
            mend="first run: sew prep librispeech (see --help), or name the folder that it wrote",
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
    """The utterances of one prepared split, in the order of its cuts.

    Raises:
        DataError: missing, broken, or without utterances.
    """
    path = manifests(data, split)[0]
    if path.parent == Path(data):
        return read_utterances(path)
    rows = shar.read_rows(Path(data), split)
    return _utterances(path.parent, ((manifest, row, packed) for manifest, row, packed in rows))


def read_utterances(path: str | Path) -> list[Utterance]:
    """Read a lhotse cut manifest.

    Raises:
        DataError: missing, broken, or without utterances.
    """
    root = _root(Path(path))
    return _utterances(path, ((path, row, root) for row in read_jsonl(path)))


def _utterances(where: str | Path, rows: Iterable[tuple[str | Path, dict[str, Any], Path | Packed]]) -> list[Utterance]:
    """Of (manifest, cut, its audio or what relative paths to it begin with)."""
    utterances: list[Utterance] = []
    before, number = None, 0
    for manifest, row, audio in rows:
        before, number = manifest, number + 1 if manifest == before else 1
        try:
            utterances.append(_utterance(row, audio))
        except (KeyError, TypeError, IndexError, ValueError, AttributeError, OverflowError) as error:
            raise DataError(
                f"line {number}: not a cut that can be read ({type(error).__name__}: {error})",
                where=manifest,
                mend="prepare the corpus again with sew prep",
            ) from None
    if not utterances:
        raise DataError("no utterances in this manifest", where=where, mend="prepare the corpus again with sew prep")
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


def _utterance(row: dict[str, Any], audio: Path | Packed) -> Utterance:
    recording = row["recording"]
    rate = int(recording["sampling_rate"])
    if rate <= 0:
        raise ValueError(f"a rate of {rate} Hz")
    channel = row.get("channel", 0)
    channel = int(channel[0] if isinstance(channel, list) else channel)
    source = next((s for s in recording["sources"] if channel in s["channels"]), None)
    if source is None:
        raise ValueError(f"no source for channel {channel}")
    if source["type"] != ("shar" if isinstance(audio, Packed) else "file"):
        raise ValueError(f"a source of type {source['type']!r}")
    supervision = row["supervisions"][0] if row.get("supervisions") else {}
    return Utterance(
        id=str(row["id"]),
        path=audio if isinstance(audio, Packed) else audio / source["source"],
        start=round(float(row["start"]) * rate),
        samples=round(float(row["duration"]) * rate),
        rate=rate,
        channel=source["channels"].index(channel),
        text=str(supervision.get("text") or ""),
        speaker=str(supervision.get("speaker") or ""),
        transcribed=supervision.get("text") is not None,
    )
