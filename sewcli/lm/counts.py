"""Counts of n-grams: runs of sorted n-grams, one for each piece of the text, merged to a table an order.

An n-gram of order k is its row in table k, and known by its key: the row of its first k-1 words in table k-1, times V,
plus its last word. So a context is one integer, tables are sorted by context and word, and a text of any size needs no
more memory than a piece of it (what is larger goes to files, `Store`). Legend: V words, P tokens, n_k n-grams of order k.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sewcli.base.errors import DataError
from sewcli.lm.store import Store

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
SPECIAL = (UNKNOWN, BEGIN, END)
UNKNOWN_ID, BEGIN_ID, END_ID = range(3)
_MARKS = frozenset(SPECIAL)
PIECE = 1 << 20  # tokens that are put away at once while a text is read


@dataclass(frozen=True)
class Text:
    """A text as numbers: `words` by id, and `tokens` (P,) int32 with <s> and </s> around each sentence."""

    words: tuple[str, ...]
    tokens: np.ndarray


@dataclass(frozen=True)
class Counts:
    """The n-grams of an order, sorted by key. Shapes: all (n_k,).

    key: see above. suffix: the row of its last k-1 words in the table below. count: the adjusted count: how often it stands
    in the text in the highest order and after <s>, elsewhere the number of different words to its left. kept: which are
    not pruned; None when all are kept.
    """

    key: np.ndarray
    suffix: np.ndarray
    count: np.ndarray
    kept: np.ndarray | None

    def __len__(self) -> int:
        return len(self.key)


def read_text(sentences: Iterable[Sequence[str]], store: Store, known: Sequence[str] | None = None) -> Text:
    """Number the words of a text: in the order of their spelling, or as in `known`, of which the first are SPECIAL.

    Raises:
        DataError: no words, or one of <s>, </s>, <unk> among them.
    """
    ids: dict[str, int] = {word: i for i, word in enumerate(known or SPECIAL)}
    waiting = array("i")
    number = 0
    with store.writer(np.int32) as writer:
        for number, sentence in enumerate(sentences, start=1):
            refuse_marks(number, sentence)
            waiting.append(BEGIN_ID)
            if known is None:
                waiting.extend([ids.setdefault(word, len(ids)) for word in sentence])
            else:
                waiting.extend([ids.get(word, UNKNOWN_ID) for word in sentence])
            waiting.append(END_ID)
            if len(waiting) >= PIECE:
                writer.add(np.array(waiting, np.int32))
                del waiting[:]
        writer.add(np.array(waiting, np.int32))
        tokens = writer.finish()
    if len(tokens) == 2 * number:
        raise DataError("no-text", "there are no words in the text", hint="give text files with a sentence a line")
    if known is not None:
        return Text(tuple(known), tokens)
    words = (*SPECIAL, *sorted(list(ids)[len(SPECIAL) :]))
    renumber = np.empty(len(words), dtype=np.int32)
    renumber[[ids[word] for word in words]] = np.arange(len(words), dtype=np.int32)
    for begin in range(0, len(tokens), PIECE):
        tokens[begin : begin + PIECE] = renumber[tokens[begin : begin + PIECE]]
    return Text(words, tokens)


def refuse_marks(number: int, sentence: Sequence[str]) -> None:
    """Refuse a sentence that holds <s>, </s> or <unk>.

    Raises:
        DataError: it does.
    """
    if not _MARKS.isdisjoint(sentence):
        raise DataError(
            "reserved-word",
            f"sentence {number} holds one of {', '.join(SPECIAL)} as a word",
            hint="these mark unknown words and the ends of sentences: remove them from the text",
        )


def count_ngrams(text: Text, order: int, thresholds: Sequence[int], store: Store) -> list[Counts]:
    """Adjusted counts of every n-gram, a table an order.

    Args:
        text: the tokens.
        order: N.
        thresholds: N numbers that do not fall; an n-gram that stands in the text so often or less is not kept. 0 keeps
            all. The counts, of which the discounts come, are those of all n-grams (as in lmplz).
        store: makes the arrays.
    """
    size = len(text.words)
    tables = [_unigrams(text.tokens, size, store)]
    begins = slice(BEGIN_ID, BEGIN_ID + 1)  # where the n-grams that begin with <s> are
    here = text.tokens  # the row of the k-gram that ends at each place, -1 where the sentence is shorter
    for k in range(1, order):
        table, here = _longer(text.tokens, here, size, store, is_last=k + 1 == order)
        left = _left_counts(table.suffix, len(tables[-1]), store)
        left[begins] = tables[-1].count[begins]
        tables[-1] = _adjusted(tables[-1], thresholds[k - 1], left, store)
        first, last = np.searchsorted(table.key, [begins.start * size, begins.stop * size])
        begins = slice(int(first), int(last))
        tables.append(table)
    tables[-1] = _adjusted(tables[-1], thresholds[-1], tables[-1].count, store)
    tables[0].count[BEGIN_ID] = 0  # never predicted
    if tables[0].kept is not None:
        tables[0].kept[: len(SPECIAL)] = True
    return tables


def blocks(length: int, rows: int) -> Iterator[slice]:
    """0 to `length` in pieces."""
    for begin in range(0, length, rows):
        yield slice(begin, min(begin + rows, length))


def _unigrams(tokens: np.ndarray, size: int, store: Store) -> Counts:
    count = np.zeros(size, dtype=np.int64)
    for block in blocks(len(tokens), store.rows):
        count += np.bincount(tokens[block], minlength=size)
    rows = np.arange(size, dtype=np.int64)
    return Counts(rows, np.zeros(size, dtype=np.int64), count, None)


def _longer(
    tokens: np.ndarray, here: np.ndarray, size: int, store: Store, *, is_last: bool
) -> tuple[Counts, np.ndarray]:
    """The n-grams that are one word longer than those of `here`, with raw counts, and where they end in the text."""
    ends = [0]
    own = store.zeros(
        0 if is_last else len(tokens), np.int32
    )  # the n-gram that ends here, as a row of its own run, from 1
    with store.writer(np.int64) as keys, store.writer(np.int64) as suffixes, store.writer(np.int64) as counts:
        for block in blocks(len(tokens), store.rows):
            before = here[max(block.start, 1) - 1 : block.stop - 1]
            current = tokens[max(block.start, 1) : block.stop]
            places = np.flatnonzero((before >= 0) & (current != BEGIN_ID))
            key = before[places].astype(np.int64) * size + current[places]
            places += max(block.start, 1)
            order = np.argsort(key)
            key = key[order]
            starts = _starts(key)
            keys.add(key[starts])
            suffixes.add(here[places[order[starts]]])
            counts.add(np.diff(starts, append=len(key)))
            ends.append(ends[-1] + len(starts))
            if not is_last:
                rank = np.zeros(len(key), dtype=np.int32)
                rank[starts] = 1
                own[places[order]] = np.cumsum(rank, dtype=np.int32)
        runs = Counts(keys.finish(), suffixes.finish(), counts.finish(), None)
    table = _merged(runs, ends, store)
    if is_last:
        return table, own
    there = store.zeros(len(tokens), np.int64)
    for number, block in enumerate(blocks(len(tokens), store.rows)):
        rows = np.searchsorted(table.key, runs.key[ends[number] : ends[number + 1]])
        there[block] = np.concatenate([[-1], rows])[own[block]]
    return table, there


def _merged(runs: Counts, ends: Sequence[int], store: Store) -> Counts:
    """Sorted runs, which lie behind one another, as one sorted table."""
    if len(ends) == 2:
        return runs
    heads, step = list(ends[:-1]), max(store.rows // (len(ends) - 1), 1)
    with store.writer(np.int64) as keys, store.writer(np.int64) as suffixes, store.writer(np.int64) as counts:
        while windows := [
            (run, slice(head, min(head + step, end)))
            for run, (head, end) in enumerate(zip(heads, ends[1:], strict=True))
            if head < end
        ]:
            # what is up to the least of the windows' last keys is in the windows, of every run
            limit = min(runs.key[window.stop - 1] for _, window in windows)
            taken = []
            for run, window in windows:
                heads[run] = window.start + int(np.searchsorted(runs.key[window], limit, side="right"))
                taken.append(slice(window.start, heads[run]))
            key = np.concatenate([runs.key[piece] for piece in taken])
            order = np.argsort(key)
            starts = _starts(key[order])
            keys.add(key[order[starts]])
            suffixes.add(np.concatenate([runs.suffix[piece] for piece in taken])[order[starts]])
            counts.add(np.add.reduceat(np.concatenate([runs.count[piece] for piece in taken])[order], starts))
        return Counts(keys.finish(), suffixes.finish(), counts.finish(), None)


def _starts(key: np.ndarray) -> np.ndarray:
    """Where each new key begins in a sorted array."""
    new = np.ones(len(key), dtype=bool)
    np.not_equal(key[1:], key[:-1], out=new[1:])
    return np.flatnonzero(new)


def _left_counts(suffix: np.ndarray, size: int, store: Store) -> np.ndarray:
    """How many n-grams have each of the `size` n-grams below as their suffix."""
    left = store.zeros(size, np.int64)
    for block in blocks(len(suffix), store.rows):
        rows = np.sort(suffix[block])  # in order, so that a mapped array is gone through once
        starts = _starts(rows)
        left[rows[starts]] += np.diff(starts, append=len(rows))
    return left


def _adjusted(table: Counts, threshold: int, count: np.ndarray, store: Store) -> Counts:
    """With its adjusted counts, and what is kept by its raw ones."""
    kept = None
    if threshold:
        kept = store.zeros(len(table), np.bool_)
        for block in blocks(len(table), store.rows):
            kept[block] = table.count[block] > threshold
    return replace(table, count=count, kept=kept)
