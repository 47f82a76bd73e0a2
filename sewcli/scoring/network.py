"""Alignment of word networks at the least cost, as NIST's sclite does it: references with alternatives and optional words.

Costs are those of sclite's wwd_WORD (a substitution 4, a deletion or insertion 3, an optional word left out 2, `@` 0.001), and
so is the order in which equal costs are tried (net_dp.c). With them the number of errors is at times larger than the smallest
possible, which jiwer reports. R arcs of the reference, H of the hypothesis: a cell is the best way to have passed both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sewcli.base.errors import DataError
from sewcli.scoring.wer import Counts

NULL = "@"  # an alternative that is silence
LARGEST = 5e7  # pairs of words that are compared: measured 1e6 a second
SUBSTITUTION, GAP, LEFT_OUT, SILENCE = 4000, 3000, 2000, 1

Step = tuple[str, str | None, str | None]
"""C, S, D or I; the word of the reference and of the hypothesis. An optional word that is left out is correct."""


@dataclass(frozen=True, slots=True)
class Arc:
    """A word, and the arcs that may come right before it."""

    word: str
    optional: bool
    before: tuple[int, ...]

    @property
    def fragment(self) -> bool:
        """Whether only what was said of it has to be right: `th-`, `-ing`; sclite does not see it in `(-ing)`."""
        return len(self.word) > 1 and (self.word[-1] == "-" or (self.word[0] == "-" and not self.optional))


@dataclass(frozen=True, slots=True)
class Network:
    """Arcs in an order in which those before come before; the first one stands for the start."""

    arcs: tuple[Arc, ...]
    last: tuple[int, ...]


def network(text: str) -> Network:
    """Of a transcript: words, `(optional)` ones, `{ A B / C / @ }`.

    Raises:
        DataError: braces that do not pair.
    """
    arcs = [Arc("", False, ())]
    tokens = _tokens(text)
    last, place = _sequence(tokens, 0, arcs, (0,), depth=0)
    if place != len(tokens):
        raise DataError("unbalanced-brace", f"a brace that nothing opened: {text!r}")
    return Network(tuple(arcs), last)


def network_of(words: Sequence[str]) -> Network:
    """Of plain words, whatever signs are in them."""
    arcs = [Arc(word, False, (place,)) for place, word in enumerate(words)]
    return Network((Arc("", False, ()), *arcs), (len(words),))


def align(reference: Network, hypothesis: Network) -> list[Step]:
    """The way through both at the least cost."""
    refs, hyps = reference.arcs, hypothesis.arcs
    _require_size(len(refs), len(hyps))
    cost = [[0] * len(hyps) for _ in refs]
    back = [[(0, 0)] * len(hyps) for _ in refs]
    for b in range(1, len(hyps)):
        before = min(hyps[b].before, key=cost[0].__getitem__)
        cost[0][b], back[0][b] = cost[0][before] + _gap(hyps[b]), (0, before)
    for a in range(1, len(refs)):
        arc, row = refs[a], cost[a]
        above = min(arc.before, key=lambda r: cost[r][0])
        row[0], back[a][0] = cost[above][0] + _gap(arc), (above, 0)
        for b in range(1, len(hyps)):
            inserted = min(hyps[b].before, key=row.__getitem__)
            deleted = min(arc.before, key=lambda r: cost[r][b])
            pair = min(((r, h) for r in arc.before for h in hyps[b].before), key=lambda at: cost[at[0]][at[1]])
            insertion, deletion = row[inserted] + _gap(hyps[b]), cost[deleted][b] + _gap(arc)
            both = cost[pair[0]][pair[1]] + _pair(arc, hyps[b])
            if both <= deletion and both <= insertion:
                row[b], back[a][b] = both, pair
            elif deletion < insertion:
                row[b], back[a][b] = deletion, (deleted, b)
            else:
                row[b], back[a][b] = insertion, (a, inserted)
    end = min(((r, h) for r in reference.last for h in hypothesis.last), key=lambda at: cost[at[0]][at[1]])
    return _trace(refs, hyps, back, end)


def align_words(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Step]:
    """`align` of plain words, several times as fast: all of a test set by several systems are thousands of them."""
    if NULL in reference or NULL in hypothesis:
        return align(network_of(reference), network_of(hypothesis))
    if list(reference) == list(hypothesis):
        return [("C", word, word) for word in reference]
    _require_size(len(reference), len(hypothesis))
    equal = _word_table(reference, hypothesis)
    width = len(hypothesis) + 1
    cost = [[GAP * b for b in range(width)]]
    for a, row in enumerate(equal, start=1):
        above, here = cost[-1], [GAP * a]
        for b, same in enumerate(row):
            both = above[b] + (0 if same else SUBSTITUTION)
            here.append(min(both, above[b + 1] + GAP, here[b] + GAP))
        cost.append(here)
    steps: list[Step] = []
    a, b = len(reference), len(hypothesis)
    while a or b:
        if a and b and cost[a][b] == cost[a - 1][b - 1] + (0 if equal[a - 1][b - 1] else SUBSTITUTION):
            a, b = a - 1, b - 1
            steps.append(("C" if equal[a][b] else "S", reference[a], hypothesis[b]))
        elif not b or (a and cost[a - 1][b] < cost[a][b - 1]):
            a -= 1
            steps.append(("D", reference[a], None))
        else:
            b -= 1
            steps.append(("I", None, hypothesis[b]))
    return steps[::-1]


def count(steps: Sequence[Step]) -> Counts:
    """Errors of an alignment. Optional words count among the reference words, `@` does not."""
    kinds = [kind for kind, _, _ in steps]
    hits, substitutions, deletions, insertions = (kinds.count(kind) for kind in "CSDI")
    return Counts(hits + substitutions + deletions, hits, substitutions, deletions, insertions)


def _require_size(reference: int, hypothesis: int) -> None:
    if reference * hypothesis > LARGEST:
        raise DataError(
            "too-long-to-align",
            f"a reference of {reference:,} and a hypothesis of {hypothesis:,} words are too long to be aligned as NIST does",
            hint="cut the recording into segments",
        )


def _tokens(text: str) -> list[str]:
    """Words and braces; a slash parts alternatives only, elsewhere it belongs to a word."""
    tokens: list[str] = []
    depth = 0
    for token in re.findall(r"[{}]|[^\s{}]+", text):
        depth += (token == "{") - (token == "}")
        tokens += re.findall(r"/|[^/]+", token) if depth else [token]
    return tokens


def _sequence(
    tokens: Sequence[str], place: int, arcs: list[Arc], before: tuple[int, ...], *, depth: int
) -> tuple[tuple[int, ...], int]:
    """Read words to the end of an alternative, or of all. Returns what may come before the next word, and the place."""
    while place < len(tokens) and tokens[place] != "}":
        token = tokens[place]
        if token == "{":
            before, place = _alternatives(tokens, place + 1, arcs, before, depth=depth + 1)
            continue
        if depth and token == "/":
            break
        optional = token.startswith("(") and token.endswith(")") and len(token) > 2
        arcs.append(Arc((token[1:-1] if optional else token).lower(), optional, before))
        before, place = (len(arcs) - 1,), place + 1
    return before, place


def _alternatives(
    tokens: Sequence[str], place: int, arcs: list[Arc], before: tuple[int, ...], *, depth: int
) -> tuple[tuple[int, ...], int]:
    ends: list[int] = []
    while True:
        last, place = _sequence(tokens, place, arcs, before, depth=depth)
        ends += [end for end in last if end not in ends]
        if place == len(tokens):
            raise DataError("unbalanced-brace", f"a brace that nothing closes: {' '.join(tokens)!r}")
        place += 1
        if tokens[place - 1] == "}":
            return tuple(ends), place


def _gap(arc: Arc) -> int:
    return SILENCE if arc.word == NULL else LEFT_OUT if arc.optional else GAP


def _pair(reference: Arc, hypothesis: Arc) -> int:
    return 0 if _equal(reference, hypothesis) else SUBSTITUTION


def _equal(one: Arc, other: Arc) -> bool:
    """Whether words are the same, as sclite -F takes fragments."""
    if one.word == other.word:
        return True
    if not (one.fragment or other.fragment):
        return False
    for fragment, word in ((one.word, other.word), (other.word, one.word)):
        if len(fragment) > 1 and fragment[0] == "-":
            return word.endswith(fragment[1:])
        if len(fragment) > 1 and fragment[-1] == "-":
            return word.startswith(fragment[:-1])
    return False


def _word_table(reference: Sequence[str], hypothesis: Sequence[str]) -> list[list[bool]]:
    """Whether each word of the reference is each of the hypothesis."""
    arcs = [[Arc(word, False, ()) for word in words] for words in (reference, hypothesis)]
    if any(arc.fragment for words in arcs for arc in words):
        return [[_equal(one, other) for other in arcs[1]] for one in arcs[0]]
    return [[one == other for other in hypothesis] for one in reference]


def _trace(
    refs: Sequence[Arc], hyps: Sequence[Arc], back: Sequence[Sequence[tuple[int, int]]], end: tuple[int, int]
) -> list[Step]:
    steps: list[Step] = []
    a, b = end
    while a or b:
        above, left = back[a][b]
        if above == a:
            if hyps[b].word != NULL:
                steps.append(("C" if hyps[b].optional else "I", None, hyps[b].word))
        elif left == b:
            if refs[a].word != NULL:
                steps.append(("C" if refs[a].optional else "D", refs[a].word, None))
        elif not refs[a].word == hyps[b].word == NULL:
            kind = "C" if _equal(refs[a], hyps[b]) else "S"
            steps.append((kind, refs[a].word, hyps[b].word))
        a, b = above, left
    return steps[::-1]
