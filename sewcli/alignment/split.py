"""`sew align` of a split: model -> emissions -> forced alignment -> a folder of CTM and TextGrid files.

`OUT/<data>-<split>/` holds words.ctm and letters.ctm in the corpus's order, textgrids/ID.TextGrid, align.json (settings,
counts), and what was found wrong: failed.jsonl (utterances without alignment) and check.jsonl (aligners that differ). An id
that is too long for a file's name is shortened; textgrids.jsonl has those. Lines wait on disk until their turn comes, so
memory does not grow with the corpus.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sewcli.alignment.alignment import Alignment, FrameTimes, align_utterance, differences
from sewcli.alignment.k2.worker import K2
from sewcli.alignment.writers import ctm, textgrid
from sewcli.base import log
from sewcli.base.errors import DataError, SewError
from sewcli.base.files import atomic_folder, atomic_path, write_json, write_jsonl, write_text
from sewcli.base.lock import writing
from sewcli.base.names import shortened, to_bytes
from sewcli.data.utterances import Utterance
from sewcli.decoding.emissions import emissions
from sewcli.runtimes.acoustic_model import AcousticModel
from sewcli.text.tokens import Vocabulary

WORDS, LETTERS, TEXTGRIDS = "words.ctm", "letters.ctm", "textgrids"
FAILED, CHECKED, ALIGNED = "failed.jsonl", "check.jsonl", "align.json"
SHORTENED = "textgrids.jsonl"


@dataclass
class AlignedSplit:
    """A folder of alignments, with what failed and which aligners differ as rows of their files."""

    folder: Path
    utterances: int = 0
    words: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    checked: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """As in align.json; `differ`: utterances on which the aligners differ."""
        return {
            "utterances": self.utterances,
            "words": self.words,
            "failed": len(self.failed),
            "checked": self.checked,
            "differ": len({row["id"] for row in self.differences}),
        }


def align_split(
    model: AcousticModel,
    vocabulary: Vocabulary,
    utterances: Sequence[Utterance],
    folder: Path,
    *,
    forms: Sequence[str],
    k2: K2 | None,
    settings: dict[str, Any],
) -> AlignedSplit:
    """Align the transcripts of a split, and write the folder.

    Args:
        model: ready to run.
        vocabulary: of the model.
        utterances: the split.
        folder: what to write; what was there is replaced.
        forms: `ctm`, `textgrid` or both.
        k2: checks every alignment, when given.
        settings: facts for align.json.

    Raises:
        DataError: no utterance could be aligned.
    """
    done = AlignedSplit(folder)
    short: list[dict[str, str]] = []
    times = FrameTimes.of(model.config)
    with (
        writing(folder),
        atomic_folder(folder) as place,
        _Waiting() as words,
        _Waiting() as letters,
        log.progress(f"align {folder.name}", len(utterances)) as bar,
    ):

        def fail(utterance: Utterance, error: SewError) -> None:
            done.failed.append({"id": utterance.id, "path": str(utterance.path), "reason": error.what})
            bar.advance()

        for utterance, emission in emissions(model, utterances, on_failure=fail):
            if not utterance.transcribed:
                fail(utterance, DataError("no-text", "the manifest has no text of it, so there is nothing to align"))
                continue
            try:
                found = align_utterance(
                    utterance.id, emission, utterance.text, vocabulary, times, seconds=utterance.seconds
                )
            except DataError as error:
                fail(utterance, error)
                continue
            if k2:
                labels = vocabulary.encode(utterance.text)
                differ = differences(utterance.id, emission, labels, found.path, k2, vocabulary.blank)
                done.differences += [{"id": utterance.id, **asdict(row)} for row in differ]
                done.checked += 1
            done.utterances += 1
            done.words += len(found.words)
            words.add(utterance.id, ctm(utterance.id, found.words))
            letters.add(utterance.id, ctm(utterance.id, found.letters))
            if "textgrid" in forms and (row := _write_textgrid(place, utterance, found)):
                short.append(row)
            bar.advance()
        place_of = {utterance.id: number for number, utterance in enumerate(utterances)}
        for rows in (done.failed, done.differences, short):  # type: list[dict[str, Any]]
            rows.sort(key=lambda row: place_of[row["id"]])
        if not done.utterances:
            first = done.failed[0]
            raise DataError(
                "nothing-aligned",
                f"none of the {len(utterances)} utterances could be aligned; {first['id']}: {first['reason']}",
                where=settings["split"],
            )
        if "ctm" in forms:
            words.write(place / WORDS, place_of)
            letters.write(place / LETTERS, place_of)
        if short:
            write_jsonl(place / SHORTENED, short)
            log.info(f"{len(short)} ids are too long for the names of files: {folder / SHORTENED} has both")
        _write_summary(place, done, settings | {"frame_seconds": times.start(1) - times.start(0)})
    return done


class _Waiting:
    """Text of each utterance, on disk until all are there: they come by length, and are wanted in the corpus's order."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the context ends
        self._places: dict[str, tuple[int, int]] = {}

    def add(self, name: str, text: str) -> None:
        content = text.encode(errors="backslashreplace")  # ids of JSON may hold what is no letter
        self._places[name] = (self._file.tell(), len(content))
        self._file.write(content)

    def write(self, path: Path, order: Iterable[str]) -> None:
        with atomic_path(path) as temporary, open(temporary, "wb") as target:
            for start, size in (self._places[name] for name in order if name in self._places):
                self._file.seek(start)
                target.write(self._file.read(size))

    def __enter__(self) -> _Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _write_textgrid(place: Path, utterance: Utterance, found: Alignment) -> dict[str, str] | None:
    """Ids may hold what a file name may not, such as `/`, and be too long for one: then the row of both."""
    tiers = [("words", found.words), ("letters", found.letters)]
    whole = quote(to_bytes(utterance.id), safe=" ")
    name = f"{shortened(whole)}.TextGrid"
    write_text(place / TEXTGRIDS / name, textgrid(utterance.seconds, tiers))
    return None if name == f"{whole}.TextGrid" else {"id": utterance.id, "file": name}


def _write_summary(place: Path, done: AlignedSplit, settings: dict[str, Any]) -> None:
    if done.failed:
        write_jsonl(place / FAILED, done.failed)
    if done.differences:
        write_jsonl(place / CHECKED, done.differences)
    write_json(place / ALIGNED, {**settings, **done.counts()})
