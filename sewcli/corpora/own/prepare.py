"""From the rows of a reader to the splits that the engine of all corpora prepares."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from sewcli.base.errors import DataError, UsageError
from sewcli.corpora.own.leaks import set_leaks_aside
from sewcli.corpora.own.rows import Refused, Row
from sewcli.corpora.own.splits import TRAIN, HoldOut, assign
from sewcli.corpora.utterances import MIX, ParsedTranscripts, RawUtterance, Split
from sewcli.text.presets import AS_IS, Text, TextRules, Unusable
from sewcli.text.tokens import Vocabulary

LOOKED_FOR = 200  # files; where none of so many is there, paths are meant otherwise


def find_splits(
    read: Iterable[Row | Refused],
    inputs: Sequence[Path],
    *,
    wishes: Sequence[HoldOut] | None = None,
    language: str | None = None,
    rules: str = AS_IS,
    vocabulary: Vocabulary | None = None,
) -> list[Split]:
    """The splits of somebody's own data.

    Args:
        read: what the reader yields.
        inputs: the files and folders that it reads.
        wishes: what to hold out, as `splits.assign`.
        language: what is spoken, where the data do not say.
        rules: what becomes of the texts, as `TextRules.parse` reads it, each in its own language.
        vocabulary: what texts may be written with; others are set aside.

    Raises:
        DataError: no utterance. UsageError: none of the sound files is there, or a wish cannot be met.
    """
    folder = inputs[0] if inputs[0].is_dir() else inputs[0].absolute().parent
    given = tuple(sorted(str(path.absolute()) for path in inputs))
    rule_of = lru_cache(lambda spoken: TextRules.parse(rules, spoken))
    rule_of(language or "")
    rows: list[Row] = []
    refused: list[Refused] = []
    for found in read:
        (rows if isinstance(found, Row) else refused).append(found)  # type: ignore[arg-type]
    if not rows:
        first = f", the first: {refused[0].rejection.reason}" if refused else ""
        raise DataError("no-utterances", f"no utterance ({len(refused)} rows were refused{first})", where=folder)
    _require_files(rows)
    usable: list[Row] = []
    changes: list[tuple[str, ...]] = []
    for row in rows:
        spoken = row.language or language or ""
        made = _within(rule_of(spoken)(row.text), vocabulary)
        if isinstance(made, Text):
            usable.append(replace(row, text=made.text, language=spoken))
            changes.append(made.changes)
        else:
            refused.append(row.reject(made.reason))
    named = list(_named(usable))
    changed = {row.id: names for row, names in zip(named, changes, strict=True)}
    assigned, leaks = set_leaks_aside(assign(named, wishes))
    refused += leaks
    names = sorted({row.split for row in assigned}, key=lambda name: (name != TRAIN, name))
    fallback = TRAIN if TRAIN in names else names[0]
    splits = []
    for name in names:
        mine = sorted((row for row in assigned if row.split == name), key=lambda row: row.id)
        aside = [r.rejection for r in refused if (r.split if r.split in names else fallback) == name]
        counts = Counter(rule for row in mine for rule in changed[row.id])
        listing = ParsedTranscripts([_candidate(row) for row in mine], aside, changes=counts)
        splits.append(_split(name, folder, given, listing, mine, rule_of(language or "").name))
    return splits


def _within(made: Text | Unusable, vocabulary: Vocabulary | None) -> Text | Unusable:
    outside = vocabulary.outside(made.text) if vocabulary and isinstance(made, Text) else []
    return Unusable(f"symbols outside the vocabulary: {' '.join(map(repr, outside))}") if outside else made


def _split(
    name: str, folder: Path, given: tuple[str, ...], listing: ParsedTranscripts, rows: Sequence[Row], rules: str
) -> Split:
    digest = hashlib.sha256(repr((listing, rules)).encode(errors="surrogateescape")).hexdigest()
    return Split(
        name,
        folder,
        partial(_read, listing=listing),
        None,
        digest,
        rate=None,
        language=None,
        inputs=tuple(sorted({row.audio for row in rows if row.content is None})),
        given=given,
        text_rules=rules,
    )


def _read(folder: Path, listing: ParsedTranscripts) -> ParsedTranscripts:
    return listing


def _candidate(row: Row) -> RawUtterance:
    return RawUtterance(
        row.id,
        row.audio,
        row.text,
        row.speaker,
        start=row.start,
        end=row.end,
        channel=row.channel,
        recording=row.recording,
        content=row.content,
        language=row.language or None,
    )


def _named(rows: Sequence[Row]) -> Iterable[Row]:
    """`rows` with names for their recordings, no two alike, and ids where they have none."""
    names = _recordings(rows)
    for row in rows:
        recording = names[row.audio]
        identity = row.id
        if not identity:
            part = row.start > 0 or row.end is not None
            last = "end" if row.end is None else f"{round(row.end * 1000):07d}"
            side = "" if row.channel == MIX else f"-{chr(ord('A') + row.channel)}"
            identity = recording + side + (f"-{round(row.start * 1000):07d}-{last}" if part else "")
        yield replace(row, id=identity, recording=recording)


def _recordings(rows: Sequence[Row]) -> dict[Path, str]:
    """A name for each sound file: that of the file, with those of folders above where two files are called alike."""
    names = {row.audio: row.recording or row.audio.stem for row in rows}
    for depth in range(1, 64):
        count = Counter(names.values())
        alike = [path for path, name in names.items() if count[name] > 1]
        if not alike:
            break
        for path in alike:
            names[path] = "-".join([*path.parts[-1 - depth : -1], path.stem]).replace("/", "")
    count = Counter(names.values())  # `a.wav` and `a.mp3` beside each other
    return {
        path: (name if count[name] == 1 else f"{name}-{path.suffix.lstrip('.')}").replace("/", "-")
        for path, name in names.items()
    }


def _require_files(rows: Sequence[Row]) -> None:
    looked = [row for row in rows if row.content is None][:LOOKED_FOR]
    if looked and not any(row.audio.exists() for row in looked):
        raise UsageError(
            "no-sound-files",
            f"none of its sound files is there, e.g. {looked[0].audio} ({looked[0].place})",
            where=looked[0].source,
            hint="say which folder the paths are relative to: --audio DIR",
        )
