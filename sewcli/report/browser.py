"""The utterance browser's content: which utterances, their aligned words, word times and audio.

Audio is Ogg Vorbis inside the page, for as many utterances as asked and within a size; word times come from `sew align`.
Pieces of a line are runs of right words, or one error: C, S, D or I with the words of the reference and the hypothesis.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sewcli.audio.io import encode_vorbis
from sewcli.base import log
from sewcli.base.errors import DataError, SewError
from sewcli.base.files import read_json
from sewcli.report.testsets import System, TestSet
from sewcli.scoring.wer import Pair

UTTERANCES = 1000  # of all test sets together: the worst
AUDIO_BYTES = 24 << 20  # of all audio in a page
FAIR = 5  # every fifth utterance with audio is not one of the worst

Piece = tuple[str, str, str]
"""C, S, D or I; words of the reference; words of the hypothesis."""


@dataclass(frozen=True)
class Line:
    """What one system wrote. `errors` is None without a hypothesis."""

    letter: str
    errors: int | None
    pieces: list[Piece]


@dataclass
class Entry:
    """An utterance. `times`: start and end of each word of the reference in seconds; `audio`: a data URI."""

    number: int
    id: str
    reference: list[str]
    lines: list[Line]
    errors: int
    speaker: str = ""
    seconds: float | None = None
    times: list[tuple[float, float]] = field(default_factory=list)
    audio: str = ""

    @property
    def gap(self) -> int:
        """How far the systems are apart."""
        known = [line.errors for line in self.lines if line.errors is not None]
        return max(known) - min(known) if known else 0


@dataclass(frozen=True)
class Browser:
    """Of one test set; `notes` say what is left out."""

    test_set: TestSet
    entries: list[Entry]
    notes: list[str]


def browsers(test_sets: Sequence[TestSet], audio: int) -> list[Browser]:
    """A browser of each test set that has systems; `audio` utterances of each get their sound."""
    sets = [test_set for test_set in test_sets if test_set.systems]
    left = AUDIO_BYTES
    found = []
    for test_set in sets:
        browser = _browser(test_set, max(1, UTTERANCES // len(sets)))
        left -= _add_audio(browser, audio, left)
        found.append(browser)
    return found


def pieces(pairs: Iterable[Pair]) -> Iterator[Piece]:
    """Right words next to each other are one piece."""
    right: list[str] = []
    for reference, hypothesis in pairs:
        if reference is not None and reference == hypothesis:
            right.append(reference)
            continue
        if right:
            yield "C", " ".join(right), " ".join(right)
            right = []
        kind = "D" if hypothesis is None else "I" if reference is None else "S"
        yield kind, reference or "", hypothesis or ""
    if right:
        yield "C", " ".join(right), " ".join(right)


def _browser(test_set: TestSet, limit: int) -> Browser:
    ids = list(test_set.references)
    errors = {name: sum(c.errors for s in test_set.shown if (c := s.counts(name))) for name in ids}
    order = sorted(range(len(ids)), key=lambda n: (-errors[ids[n]], n))
    times = _word_times(test_set)
    entries = [_entry(test_set, n, ids[n], errors[ids[n]], times) for n in order[:limit]]
    notes = []
    if len(entries) < len(ids):
        notes.append(
            f"{len(entries):,} of {len(ids):,} utterances are shown, those with the most errors; "
            "all are in utterances.jsonl of each decode folder"
        )
    return Browser(test_set, entries, notes)


def _entry(
    test_set: TestSet, number: int, name: str, errors: int, times: dict[str, list[tuple[float, float]]]
) -> Entry:
    reference = test_set.references[name].split()
    lines = [_line(system, name) for system in test_set.shown]
    entry = Entry(number, name, reference, lines, errors)
    if utterance := test_set.utterances.get(name):
        entry.speaker, entry.seconds = utterance.speaker, utterance.seconds
    found = times.get("_".join(name.split()), [])
    if len(found) == len(reference):
        entry.times = found
    return entry


def _line(system: System, name: str) -> Line:
    counts = system.counts(name)
    if counts is None:
        return Line(system.letter, None, [])
    return Line(system.letter, counts.errors, list(pieces(system.pairs(name))))


def _word_times(test_set: TestSet) -> dict[str, list[tuple[float, float]]]:
    """Of the reference's words, from the first experiment that `sew align` wrote a CTM of this split for."""
    for system in test_set.systems:
        place, data = system.experiment.folder / "align", system.decoding.decoded.get("data")
        for summary in sorted(place.glob("[!.]*/align.json")):  # without what a kill has left half written
            if _is_of(summary, data, test_set.split) and (path := summary.with_name("words.ctm")).is_file():
                return _read_ctm(path, test_set)
        older = place / test_set.split  # of a version whose folders did not tell the corpus
        if (older / "words.ctm").is_file() and not (older / "align.json").is_file():
            return _read_ctm(older / "words.ctm", test_set)
    return {}


def _is_of(summary: Path, data: Any, split: str) -> bool:
    """Whether alignments are of this corpus and split."""
    try:
        found = read_json(summary)
        return bool(found["split"] == split and Path(found["data"]).resolve() == Path(str(data)).resolve())
    except (DataError, KeyError, TypeError):
        return False


def _read_ctm(path: Path, test_set: TestSet) -> dict[str, list[tuple[float, float]]]:
    times: dict[str, list[tuple[float, float]]] = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, start, duration, *_ = line.split()
            times.setdefault(name, []).append((float(start), float(start) + float(duration)))
    except (OSError, ValueError) as error:
        test_set.notes.append(f"{path}: no word times, because it cannot be read ({error})")
        return {}
    return times


def _add_audio(browser: Browser, wanted: int, room: int) -> int:
    """Put audio into entries; returns its bytes."""
    utterances = browser.test_set.utterances
    if not wanted or not utterances:
        return 0
    worst = wanted - wanted // FAIR
    rest, fair = browser.entries[worst:], wanted // FAIR
    others = [rest[(2 * k + 1) * len(rest) // (2 * fair)] for k in range(fair)] if len(rest) > fair else rest
    chosen = [entry for entry in [*browser.entries[:worst], *others] if entry.id in utterances]
    used, unread = 0, 0
    for entry in log.track(chosen, f"audio of {browser.test_set.title}"):
        utterance = utterances[entry.id]
        try:
            content = encode_vorbis(utterance.wave(), serial=entry.number + 1, rate=utterance.rate)
        except SewError:
            unread += 1
            continue
        if used + len(content) > room:
            browser.notes.append(f"audio ends where it would fill more than {AUDIO_BYTES >> 20} MB")
            break
        used += len(content)
        entry.audio = f"data:audio/ogg;base64,{base64.b64encode(content).decode()}"
    if unread:
        browser.notes.append(f"the audio of {unread} utterances cannot be read where the corpus says it is")
    with_audio = sum(bool(entry.audio) for entry in browser.entries)
    browser.notes.append(
        f"{with_audio} have their audio in this page ({used / 2**20:.1f} MB), the worst and a few others"
    )
    return used
