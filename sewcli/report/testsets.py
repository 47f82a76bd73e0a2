"""Test sets and the systems that were decoded on them: errors, alignments, speakers, and which differences are significant.

A test set is a split of a corpus with one reference an utterance; a system is a decode folder. Systems are in the order of
their word error rates, and known by letters: A is the best. N utterances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from string import ascii_uppercase

from sewcli.artifacts.decode_folder import HypothesisRow
from sewcli.base import log
from sewcli.base.errors import SewError
from sewcli.data.utterances import Utterance, read_split, splits
from sewcli.report.experiments import Decoding, Experiment
from sewcli.scoring.network import Step, align_words
from sewcli.scoring.score import read_decoded
from sewcli.scoring.significance import Comparison, MatchedPairs, compare, matched_pairs
from sewcli.scoring.wer import Counts, Pair, WordErrors, word_errors

SYSTEMS = 6  # systems of a test set that are shown side by side, and compared in pairs


@dataclass(frozen=True)
class System:
    """A decode folder with its alignments. `place`: utterance id -> its number in `errors`."""

    letter: str
    experiment: Experiment
    decoding: Decoding
    errors: WordErrors
    place: dict[str, int]

    @property
    def title(self) -> str:
        """`sew-tiny-ft, 4gram-beam50`."""
        return f"{self.experiment.name}, {self.decoding.decoder}"

    def counts(self, name: str) -> Counts | None:
        """Errors in an utterance; None where it has no hypothesis."""
        return self.errors.utterances[self.place[name]] if name in self.place else None

    def pairs(self, name: str) -> tuple[Pair, ...]:
        """Alignment of an utterance that has a hypothesis."""
        return self.errors.alignments[self.place[name]]


@dataclass(frozen=True)
class Difference:
    """Two systems: A is the better one."""

    a: System
    b: System
    bootstrap: Comparison
    pairs: MatchedPairs


@dataclass
class TestSet:
    """A split with its systems, the best first."""

    split: str
    corpus: Path
    title: str = ""
    references: dict[str, str] = field(default_factory=dict)
    systems: list[System] = field(default_factory=list)
    utterances: dict[str, Utterance] = field(default_factory=dict)
    """Of the corpus; empty where it is not at hand."""
    notes: list[str] = field(default_factory=list)

    @property
    def shown(self) -> list[System]:
        """Those that are shown side by side."""
        return self.systems[:SYSTEMS]

    def speakers(self) -> list[str] | None:
        """Who says each utterance of `references`; None where the corpus does not tell of all."""
        found = [self.utterances[name].speaker if name in self.utterances else "" for name in self.references]
        return found if found and all(found) else None


def find_test_sets(experiments: Sequence[Experiment], data: Path | None = None) -> list[TestSet]:
    """All test sets of the experiments, in the order of their names.

    data: where the corpora are now, if not where they were decoded. Decode folders that cannot be read become notes of
    their experiments.
    """
    found: dict[tuple[str, str], TestSet] = {}
    waiting: dict[tuple[str, str], list[tuple[Experiment, Decoding, list[HypothesisRow]]]] = {}
    for experiment in experiments:
        for decoding in experiment.decodings:
            try:
                _, rows = read_decoded(decoding.folder)
            except SewError as error:
                experiment.notes.append(f"{error.where}: {error.what}")
                continue
            key = (decoding.split, str(decoding.decoded.get("data", "")))
            waiting.setdefault(key, []).append((experiment, decoding, rows))
    for key, candidates in sorted(waiting.items()):
        found[key] = _test_set(*key, candidates, data)
    several = {split for split, _ in found if sum(other == split for other, _ in found) > 1}
    for test_set in found.values():
        test_set.title = f"{test_set.split} ({test_set.corpus})" if test_set.split in several else test_set.split
    return list(found.values())


def differences(test_set: TestSet) -> list[Difference]:
    """Pairs of the systems shown that have the same utterances, the better one first."""
    aligned: dict[str, list[list[Step]]] = {}
    names = list(test_set.references)
    whole = [s for s in test_set.shown if s.place.keys() == test_set.references.keys() and s.errors.total.words]
    for system in log.track(whole, f"compare systems on {test_set.title}"):
        aligned[system.letter] = [
            align_words(test_set.references[name].split(), _said(system.pairs(name))) for name in names
        ]
    found = []
    for a, b in combinations(whole, 2):
        errors = [[s.errors.utterances[s.place[name]].errors for name in names] for s in (a, b)]
        words = [a.errors.utterances[a.place[name]].words for name in names]
        pairs = matched_pairs(aligned[a.letter], aligned[b.letter])
        found.append(Difference(a, b, compare(errors[0], errors[1], words), pairs))
    return found


def _test_set(
    split: str, corpus: str, candidates: list[tuple[Experiment, Decoding, list[HypothesisRow]]], data: Path | None
) -> TestSet:
    test_set = TestSet(split, Path(corpus))
    _find_corpus(test_set, data)
    candidates.sort(key=lambda each: (float(each[1].score["wer"]), str(each[1].folder)))
    for experiment, decoding, rows in candidates:
        if any(row["reference"] != test_set.references.get(row["id"], row["reference"]) for row in rows):
            test_set.notes.append(f"{decoding.folder} has other references than the rest and is left out here")
            continue
        errors = word_errors([row["reference"] for row in rows], [row["text"] for row in rows])
        if errors.total.errors != sum(decoding.score.get(k, 0) for k in ("substitutions", "deletions", "insertions")):
            experiment.notes.append(f"{decoding.folder}: its score is not that of its hypotheses: run sew score again")
        test_set.references.update((str(row["id"]), row["reference"]) for row in rows)
        place = {str(row["id"]): number for number, row in enumerate(rows)}
        test_set.systems.append(System(_letters(len(test_set.systems)), experiment, decoding, errors, place))
    if len(test_set.systems) > SYSTEMS:
        test_set.notes.append(f"the best {SYSTEMS} of {len(test_set.systems)} systems are shown side by side")
    short = [s for s in test_set.systems if len(s.place) < len(test_set.references)]
    for s in short:
        missing = len(test_set.references) - len(s.place)
        test_set.notes.append(f"{s.letter} has no hypothesis of {missing} utterances, and is not compared with others")
    return test_set


def _find_corpus(test_set: TestSet, data: Path | None) -> None:
    places = [place for place in (data, test_set.corpus) if place is not None]
    there = next((place for place in places if test_set.split in splits(place)), None)
    if there is None:
        test_set.notes.append(f"the corpus is not in {places[0]}: no speakers and no audio here (--data tells where)")
        return
    try:
        test_set.utterances = {u.id: u for u in read_split(there, test_set.split)}
    except SewError as error:
        test_set.notes.append(f"{error.where}: {error.what}")


def _said(pairs: Sequence[Pair]) -> list[str]:
    return [word for _, word in pairs if word is not None]


def _letters(number: int) -> str:
    """A to Z, then A1, B1, ..."""
    turn, letter = divmod(number, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(turn) if turn else "")
