"""How sure a word error rate is, and whether one system is better than another on the same utterances.

Intervals: percentile bootstrap over utterances or speakers (Bisani and Ney, ICASSP 2004). Two systems: the same draws for both,
and the matched-pairs sentence-segment word error test (MAPSSWE; Gillick and Cox, ICASSP 1989) as NIST's sc_stats makes it, with
segments that end where both systems have two words right. N utterances or speakers; D draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sewcli.base.errors import DataError
from sewcli.scoring.network import Step

DRAWS, LEVEL, SEED = 5000, 0.95, 0
BUFFER = 2  # words right in both systems that end a segment
_CHUNK = 2_000_000  # indices drawn at a time


@dataclass(frozen=True)
class Comparison:
    """System A against system B. Rates are fractions; a difference below 0 says that A makes fewer errors."""

    difference: float
    interval: tuple[float, float]
    p_bootstrap: float
    """Two-sided: how often a difference as large comes about where there is none."""
    better: float
    """Share of draws in which A makes fewer errors (Bisani and Ney's probability of improvement)."""


@dataclass(frozen=True)
class MatchedPairs:
    """MAPSSWE. `mean`: errors a segment that A makes more than B."""

    segments: int
    mean: float
    z: float
    p: float


def interval(
    errors: Sequence[int], words: Sequence[int], groups: Sequence[str] | None = None, *, level: float = LEVEL
) -> tuple[float, float]:
    """Bounds of the error rate of utterances with so many errors and reference words.

    groups: speakers, drawn as a whole. The seed is fixed: the same counts give the same bounds.
    """
    table = _grouped(np.array([errors, words], dtype=np.int64), groups)
    rates = np.concatenate([_rates(drawn)[0] for drawn in _draws(table)])
    return _bounds(rates, level)


def compare(
    errors_a: Sequence[int],
    errors_b: Sequence[int],
    words: Sequence[int],
    groups: Sequence[str] | None = None,
    *,
    level: float = LEVEL,
) -> Comparison:
    """Paired bootstrap of two systems on the same utterances.

    Raises:
        DataError: no utterances, or no words.
    """
    if not len(errors_a) == len(errors_b) == len(words) or not sum(words):
        raise DataError("systems-differ", "two systems can only be compared on the same utterances, with words")
    table = _grouped(np.array([errors_a, errors_b, words], dtype=np.int64), groups)
    rates = np.concatenate([_rates(drawn) for drawn in _draws(table)], axis=1)
    drawn = rates[0] - rates[1]
    difference = (sum(errors_a) - sum(errors_b)) / sum(words)
    as_far = np.abs(drawn - difference) >= abs(difference) - 1e-12
    p = (int(as_far.sum()) + 1) / (len(drawn) + 1)
    return Comparison(difference, _bounds(drawn, level), min(p, 1.0), float((drawn < 0).mean()))


def matched_pairs(steps_a: Sequence[Sequence[Step]], steps_b: Sequence[Sequence[Step]]) -> MatchedPairs:
    """MAPSSWE on alignments of the same references. Trailing insertions count, also those of B, which sc_stats forgets."""
    pairs = [segment for a, b in zip(steps_a, steps_b, strict=True) for segment in _segments(a, b)]
    differences = np.array([a - b for a, b in pairs], dtype=np.float64)
    count = len(differences)
    mean = float(differences.mean()) if count else 0.0
    deviation = float(differences.std(ddof=1)) if count > 1 else 0.0
    z = mean / (deviation / math.sqrt(count)) if deviation else 0.0
    return MatchedPairs(count, mean, z, math.erfc(abs(z) / math.sqrt(2)))


def _segments(a: Sequence[Step], b: Sequence[Step]) -> Iterator[tuple[int, int]]:
    """Errors of both between stretches of `BUFFER` words that both have right."""
    words_a, words_b = _by_word(a), _by_word(b)
    if len(words_a) != len(words_b):
        raise DataError("systems-differ", "alignments of two different references cannot be compared")
    errors_a = errors_b = right = 0
    wrong = False
    for (inserted_a, wrong_a), (inserted_b, wrong_b) in zip(words_a, words_b, strict=True):
        if inserted_a or inserted_b:
            wrong, right = True, 0
        if wrong_a or wrong_b:
            wrong, right = True, 0
        elif wrong:
            right += 1
        errors_a, errors_b = errors_a + inserted_a + wrong_a, errors_b + inserted_b + wrong_b
        if wrong and right == BUFFER:
            yield errors_a, errors_b
            errors_a = errors_b = right = 0
            wrong = False
    if wrong:
        yield errors_a, errors_b


def _by_word(steps: Sequence[Step]) -> list[tuple[int, int]]:
    """For each reference word: insertions before it, and 1 if it is wrong; then insertions at the end."""
    out: list[tuple[int, int]] = []
    inserted = 0
    for kind, reference, _ in steps:
        if reference is None:
            inserted += 1
        else:
            out.append((inserted, int(kind != "C")))
            inserted = 0
    return [*out, (inserted, 0)]


def _grouped(table: np.ndarray[Any, Any], groups: Sequence[str] | None) -> np.ndarray[Any, Any]:
    """Columns (rows, N) summed over the utterances of a group."""
    if groups is None:
        return table
    names, index = np.unique(np.array(groups), return_inverse=True)
    return np.stack([np.bincount(index, weights=row, minlength=len(names)) for row in table]).astype(np.int64)


def _draws(table: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Sums over N columns drawn with replacement: (rows, some of D) at a time."""
    rng = np.random.default_rng(SEED)
    count = table.shape[1]
    at_once = max(1, min(DRAWS, _CHUNK // count))
    for begin in range(0, DRAWS, at_once):
        chosen = rng.integers(count, size=(min(at_once, DRAWS - begin), count))
        yield np.stack([row[chosen].sum(axis=1) for row in table])


def _rates(drawn: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Errors over words, the last row; a draw without words has rate 0 if nothing was said, else 1, as `Counts.wer`."""
    errors, words = drawn[:-1], drawn[-1]
    rates: np.ndarray[Any, Any] = np.where(words > 0, errors / np.maximum(words, 1), np.minimum(errors, 1))
    return rates


def _bounds(drawn: np.ndarray[Any, Any], level: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return round(float(low), 8), round(float(high), 8)
