"""Utterances: what training and decoding need of lhotse's cuts, read straight from the manifest.

A manifest line costs microseconds here, where building a lhotse object costs a hundred; a corpus has 281,241 of them. Cuts
that mean more than a stretch of a file with one text are taken apart by `sewcli.data.cuts`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sewcli.artifacts.data_folder import PREP, known_splits
from sewcli.audio.io import read_wave
from sewcli.audio.packed import Packed
from sewcli.base.errors import DataError
from sewcli.base.files import numbered_jsonl, read_jsonl
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data import shar
from sewcli.data.cuts import TOLERANCE, Row, Single, Unsupported, samples_of, singles
from sewcli.data.derived import derived_wave, of_source, rate_and_samples, recipe
from sewcli.data.foreign import foreign_row
from sewcli.data.manifests import is_pair, manifests, require_splits, split_of, splits

__all__ = [
    "Utterance",
    "check_rate",
    "manifests",
    "read_cuts",
    "read_named",
    "read_split",
    "read_utterances",
    "require_splits",
    "splits",
]


ELSEWHERE = (
    "relative paths begin in the working directory, as lhotse's do: run the command there, or set SEW_ROOT=FOLDER"
)
NOT_A_CUT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError, RuntimeError)
"""What comes of reading as a cut what is none; lhotse asserts, and raises RuntimeError."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One cut of one channel of one file. `start` and `samples` count samples at `rate` Hz.

    Its audio may be computed by lhotse: `derived` then says how, and `path` is the first of the files.
    """

    id: str
    path: Path | Packed
    start: int
    samples: int
    rate: int
    channel: int
    text: str
    speaker: str
    transcribed: bool = True  # a text that is empty may say that nothing is said, or that nobody wrote down what
    derived: bytes | None = None
    fault: str = ""  # why its audio is not to be used with its text

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.samples / self.rate

    def wave(self) -> np.ndarray:
        """The audio: float32, shape (samples,), in [-1, 1); up to 25 ms fewer where the file ends before.

        Raises:
            DataError: unreadable, shorter than the manifest says, or a text that is not that of the audio.
        """
        if self.fault:
            raise DataError(
                "invalid-cut", self.fault, where=self.id, hint="CutSet.trim_to_supervisions before the audio is cut"
            )
        if self.derived is not None:
            return derived_wave(self.derived, self.samples, self.id)
        short = round(TOLERANCE * self.rate)
        try:
            return read_wave(
                self.path, start=self.start, samples=self.samples, channel=self.channel, rate=self.rate, short=short
            )
        except DataError as error:
            if isinstance(self.path, Path) and not self.path.is_absolute() and not self.path.exists():
                raise DataError(error.code, error.what, where=error.where, hint=ELSEWHERE) from None
            raise


def check_rate(utterance: Utterance) -> None:
    """Refuse audio at another rate than the models'.

    Raises:
        DataError: another rate.
    """
    if utterance.rate != SAMPLE_RATE:
        raise DataError(
            "wrong-sample-rate",
            f"{utterance.rate} Hz, the models take {SAMPLE_RATE}",
            where=utterance.id,
            hint=f"resample {utterance.path} and prepare the corpus again",
        )


def read_split(data: str | Path, split: str) -> list[Utterance]:
    """The utterances of one split, in the order of its cuts.

    Raises:
        DataError: missing, broken, without utterances, or cuts that are not supported.
    """
    found = [utterance for _, utterance in read_cuts(data, split)]
    return _require_some(found, manifests(data, split)[0])


def read_named(data: str | Path, split: str) -> list[Utterance]:
    """The utterances of one split, where results are kept by id.

    Raises:
        DataError: as `read_split`, or an id twice.
    """
    found, known = read_split(data, split), set[str]()
    for utterance in found:
        if utterance.id in known:
            raise DataError(
                "duplicate-id",
                f"two utterances of {split} have the id {utterance.id!r:.80}, so their results cannot be kept apart",
                where=manifests(data, split)[0],
                hint="give each cut an id of its own (sew check lists them), or keep one of them",
            )
        known.add(utterance.id)
    return found


def read_utterances(path: str | Path) -> list[Utterance]:
    """The utterances of a lhotse cut manifest.

    Raises:
        DataError: as `read_split`.
    """
    root = _root(Path(path))
    rows = ((path, row, root) for row in read_jsonl(path))
    return _require_some([utterance for _, utterance in _taken_apart(rows)], Path(path))


def read_cuts(data: str | Path, split: str, *, sound: bool = True) -> Iterator[tuple[Row, Utterance]]:
    """Each utterance of a split, in order, with the lhotse cut of it alone.

    Args:
        data: a data folder, or a manifest.
        split: one of its splits.
        sound: also look up where a Shar has the audio.

    Raises:
        DataError: as `read_split`.
    """
    files = manifests(data, split)
    if is_pair(files):
        return _taken_apart((files[0], row, _root(files[0])) for row in _joined(*files))
    if len(files) == 1 and (files[0] == Path(data) or files[0].parent == Path(data)):
        return _taken_apart((files[0], row, _root(files[0])) for row in read_jsonl(files[0]))
    if not sound:
        return _taken_apart((file, row, Packed(file, "", 0, -1)) for file in files for row in read_jsonl(file))
    return _taken_apart(shar.read_rows(Path(data), split))


def _require_some(found: list[Utterance], where: Path) -> list[Utterance]:
    if not found:
        raise DataError("no-utterances", "no utterances in this manifest", where=where, hint="prepare the corpus again")
    return found


def _taken_apart(rows: Iterable[tuple[str | Path, Row, Path | Packed]]) -> Iterator[tuple[Row, Utterance]]:
    """Of (manifest, cut, its audio or what relative paths to it begin with)."""
    before, number = None, 0
    known: set[str] = set()
    made: set[str] = set()  # ids that supervisions gave
    for manifest, row, audio in rows:
        before, number = manifest, number + 1 if manifest == before else 1
        try:
            for index, single in enumerate(singles(row)):
                utterance = _utterance(single, audio)
                own = utterance.id == str(row["id"])
                if utterance.id in known and (not own or utterance.id in made):  # lhotse's windows share supervisions
                    utterance = replace(utterance, id=_unused(f"{row['id']}-{index}", known))
                known.add(utterance.id)
                if not own:
                    made.add(utterance.id)
                alone = single.row
                if alone.get("id") != utterance.id:
                    alone = {**alone, "id": utterance.id}
                if single.supervision and "tracks" in alone:  # whose supervisions are in its tracks
                    alone = {**alone, "supervisions": [single.supervision]}
                yield alone, utterance
        except Unsupported as error:
            what = f"line {number}: cut {str(row.get('id'))!r:.80}: {error.what}"
            raise DataError("invalid-manifest", what, where=manifest, hint=error.hint) from None
        except NOT_A_CUT as error:
            reason = foreign_row(row) or f"not a cut that can be read ({type(error).__name__}: {str(error)[:80]})"
            raise DataError(
                "invalid-cut", f"line {number}: {reason}", where=manifest, hint=_again(Path(manifest))
            ) from None


def _unused(name: str, known: set[str]) -> str:
    return name if name not in known else _unused(f"{name}-", known)


def _again(manifest: Path) -> str:
    if (manifest.parent / PREP).is_file():
        return "prepare the corpus again with sew prep"
    return f"lhotse validate {manifest} says more; make the manifest again with lhotse"


def _joined(recordings: Path, supervisions: Path) -> Iterator[Row]:
    """Cuts of whole recordings with their supervisions, as `lhotse cut simple` makes them.

    Raises:
        DataError: a supervision of a recording that is not there.
    """
    of: dict[str, list[Row]] = {}
    for number, row in numbered_jsonl(supervisions):
        if "recording_id" not in row:
            raise DataError(
                "invalid-manifest", f"line {number}: not a supervision", where=supervisions, hint=_again(supervisions)
            )
        of.setdefault(str(row["recording_id"]), []).append(row)
    for number, recording in numbered_jsonl(recordings):
        if "sources" not in recording:
            raise DataError(
                "invalid-manifest", f"line {number}: not a recording", where=recordings, hint=_again(recordings)
            )
        found = of.pop(str(recording.get("id")), [])
        sources = recording["sources"] if isinstance(recording["sources"], list) else []
        channels = recording.get("channel_ids") or sorted({c for source in sources for c in source.get("channels", ())})
        yield {
            "id": str(found[0].get("id")) if len(found) == 1 else str(recording.get("id")),
            "type": "MonoCut" if len(channels) == 1 else "MultiCut",
            "start": 0.0,
            "duration": recording.get("duration"),
            "channel": channels[0] if len(channels) == 1 else channels,
            "supervisions": found,
            "recording": recording,
        }
    if of:
        lost = next(iter(of))
        raise DataError(
            "recording-missing",
            f"{len(of):,} recordings of supervisions are not in {recordings.name}, the first is {lost!r:.80}",
            where=supervisions,
            hint="lhotse fix RECORDINGS SUPERVISIONS OUT takes out what has no partner",
        )


def _root(manifest: Path) -> Path:
    """What relative paths in a manifest are relative to: `$SEW_ROOT`, or the folder that was given to `sew prep --root`."""
    if root := os.environ.get("SEW_ROOT"):
        return Path(root)
    entry = known_splits(manifest.parent).get(split_of(manifest), {})
    return Path(str(entry.get("root") or ""))  # none of cuts from elsewhere: lhotse's own rule is the working directory


def _utterance(single: Single, audio: Path | Packed) -> Utterance:
    row, supervision = single.row, single.supervision
    text, speaker = supervision.get("text"), str(supervision.get("speaker") or "")
    if text is not None and not isinstance(text, str):
        raise ValueError(f"its text is not a string but {str(text)!r:.40}")
    told = text or "", speaker, text is not None
    if single.derived:
        if isinstance(audio, Packed):
            raise Unsupported(
                "transforms or a mixture in a Shar, whose audio is that of the cut already",
                "write it with lhotse's SharWriter, which applies them",
            )
        derived, path = recipe(row, audio)
        rate, start, samples = rate_and_samples(row)
        return Utterance(single.id, path, start, samples, rate, 0, *told, derived, single.fault)
    recording = row["recording"]
    rate = int(recording["sampling_rate"])
    if rate <= 0:
        raise ValueError(f"a rate of {rate} Hz")
    channel = int(row.get("channel", 0))
    source = next((s for s in recording["sources"] if channel in s["channels"]), None)
    if source is None:
        raise ValueError(f"no source for channel {channel}")
    if source["type"] != ("shar" if isinstance(audio, Packed) else "file"):
        raise Unsupported(*of_source(source["type"]))
    place: Path | Packed = audio if isinstance(audio, Packed) else audio / source["source"]
    start, samples = samples_of(float(row["start"]), rate), samples_of(float(row["duration"]), rate)
    return Utterance(
        single.id, place, start, samples, rate, source["channels"].index(channel), *told, fault=single.fault
    )
