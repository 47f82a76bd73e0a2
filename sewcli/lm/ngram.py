"""Interpolated modified Kneser-Ney n-gram models (Chen and Goodman 1998; Heafield et al. 2013, section 2), in NumPy.

The numbers are those of KenLM's `lmplz` to the last printed digit, without a compiler, pruned or not. An n-gram is a row of
its order's table, known by its key (see `counts`). All is done block by block, so that large arrays may lie in files.
Legend: N order, V words with <unk>, <s> and </s>, n_k n-grams of order k, t_i n-grams with adjusted count i.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.lm.counts import BEGIN, BEGIN_ID, END, SPECIAL, UNKNOWN, UNKNOWN_ID, Counts, blocks, count_ngrams, read_text
from sewcli.lm.store import Store, half_of_the_memory, is_mapped

__all__ = ["BEGIN", "END", "SPECIAL", "UNKNOWN", "Fit", "NgramModel", "Table", "estimate", "evaluate"]

MAX_ORDER = 6  # what KenLM is compiled for, in flashlight as well
FALLBACK = (0.5, 1.0, 1.5)  # discounts where the counts of counts allow none, as lmplz --discount_fallback
SENTENCES = 1 << 16  # scored at once


@dataclass(frozen=True)
class Table:
    """The n-grams of one order, sorted by key.

    Shapes: all (n_k,). `key` int64: the row of the first k-1 words in the table below, times V, plus the last word.
    `probability` and `backoff` float64, log10; `backoff` is 0 (weight 1) where nothing longer begins so, and everywhere in
    the highest order.
    """

    key: np.ndarray
    probability: np.ndarray
    backoff: np.ndarray

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True)
class NgramModel:
    """A back-off model: `words` by id (<unk>, <s>, </s>, then sorted) and a table an order."""

    words: tuple[str, ...]
    tables: tuple[Table, ...]
    discounts: tuple[tuple[float, float, float], ...]

    @property
    def order(self) -> int:
        """N."""
        return len(self.tables)

    @property
    def counts(self) -> list[int]:
        """n_1 to n_N."""
        return [len(table) for table in self.tables]


def estimate(
    sentences: Iterable[Sequence[str]],
    order: int,
    vocabulary: Iterable[str] | None = None,
    *,
    prune: Sequence[int] = (),
    store: Store | None = None,
) -> NgramModel:
    """Estimate a model from sentences of words. The result does not depend on the order of the sentences.

    Args:
        sentences: words in order.
        order: N.
        vocabulary: the only words of the model, seen or not; any other counts as <unk>, as in Kaldi's recipes. None takes
            the words of the text, and <unk> is never seen, as in lmplz.
        prune: for each order, from the first, n-grams that stand in the text so often or less are left out; the last
            number is for all higher orders (lmplz --prune). Discounts come from all, and what the pruned ones had goes to
            the order below.
        store: where arrays go that are too large for the memory; None: half of this machine's memory, then files in the
            folder for temporary ones. The result is the same, to the last bit.

    Raises:
        UsageError: the order is not within 1 to 6, thresholds that fall or are more than orders, or no disk space left.
        DataError: no words, or one of <s>, </s>, <unk> among them.
    """
    if not 1 <= order <= MAX_ORDER:
        raise UsageError("invalid-order", f"order {order} is not within 1 to {MAX_ORDER} (the most that KenLM reads)")
    thresholds = thresholds_of(prune, order)
    store = store or Store(Path(tempfile.gettempdir()), half_of_the_memory())
    known = None if vocabulary is None else (*SPECIAL, *sorted(set(vocabulary) - set(SPECIAL)))
    text = read_text(sentences, store, known)
    counts = count_ngrams(text, order, thresholds, store)
    discounts = tuple(_discounts(table, k, store) for k, table in enumerate(counts, start=1))
    size = len(text.words)
    kept_words = size if counts[0].kept is None else int(counts[0].kept.sum())
    lower = np.full(size, 1.0 / (kept_words - 1))  # below the unigrams: every word but <s> alike
    tables: list[Table] = []
    for k in range(order):
        below = tables[-1] if tables else None
        share, lower = _probabilities(counts[k], size, lower, below, discounts[k], store)
        tables.append(share)
    return _pruned(NgramModel(text.words, tuple(tables), discounts), counts, store)


def thresholds_of(prune: Sequence[int], order: int) -> tuple[int, ...]:
    """A threshold for each order; the last one given is for all higher ones too.

    Raises:
        UsageError: more of them than orders, or one that is less than the one before.
    """
    if len(prune) > order:
        raise UsageError(
            "invalid-thresholds",
            f"{len(prune)} pruning thresholds for a model of order {order}",
            hint="at most one an order",
        )
    if any(low > high for low, high in itertools.pairwise((0, *prune))):
        raise UsageError(
            "invalid-thresholds",
            f"pruning thresholds {', '.join(map(str, prune))} fall: n-grams would lose the beginnings they continue",
            hint="numbers from 0 that do not fall, e.g. 0,0,1",
        )
    return tuple(prune[min(k, len(prune) - 1)] if prune else 0 for k in range(order))


@dataclass(frozen=True)
class Fit:
    """How well a model predicts a text; </s> counts as a word to predict, as in KenLM."""

    log10_probability: float
    tokens: int
    unknown: int
    log10_of_unknown: float

    @property
    def perplexity(self) -> float:
        """With unknown words at the price of <unk>."""
        return float(10 ** (-self.log10_probability / self.tokens))

    @property
    def perplexity_of_known(self) -> float:
        """Without the unknown words."""
        return float(10 ** (-(self.log10_probability - self.log10_of_unknown) / (self.tokens - self.unknown)))


def evaluate(model: NgramModel, sentences: Iterable[Sequence[str]]) -> Fit:
    """Score a text, many sentences at once.

    Raises:
        DataError: no words.
    """
    fit = Fit(0.0, 0, 0, 0.0)
    store = Store(Path(tempfile.gettempdir()), half_of_the_memory())
    for some in _batches(sentences):
        tokens = read_text(some, store, known=model.words).tokens
        scores = score_tokens(model, tokens)
        unknown = tokens == UNKNOWN_ID
        fit = Fit(
            log10_probability=fit.log10_probability + float(scores.sum()),
            tokens=fit.tokens + int((tokens != BEGIN_ID).sum()),
            unknown=fit.unknown + int(unknown.sum()),
            log10_of_unknown=fit.log10_of_unknown + float(scores[unknown].sum()),
        )
    if not fit.tokens:
        raise DataError("no-text", "there are no words in the text", hint="give text files with a sentence a line")
    return fit


def score_tokens(model: NgramModel, tokens: np.ndarray) -> np.ndarray:
    """log10 p of every token given its sentence so far; 0 for <s>. Shape (tokens,)."""
    size = len(model.words)
    scores: np.ndarray = model.tables[0].probability[tokens].copy()
    here = tokens.astype(np.int64)  # the row of the k-gram that ends here, -1 when it was never seen
    deep = np.ones(len(tokens), dtype=bool)  # whether the sentence has k words up to here
    backoff = model.tables[0].backoff
    for table in model.tables[1:]:
        deep = np.concatenate([[False], deep[:-1]]) & (tokens != BEGIN_ID)
        before = np.where(deep, np.concatenate([[-1], here[:-1]]), -1)
        wanted = before * size + tokens
        rows = np.minimum(np.searchsorted(table.key, wanted), len(table) - 1) if len(table) else np.zeros_like(wanted)
        found = (before >= 0) & (table.key[rows] == wanted) if len(table) else np.zeros(len(tokens), dtype=bool)
        price = np.where(before >= 0, backoff[before], 0.0)  # of falling back from a context that exists
        scores = np.where(found, table.probability[rows] if len(table) else 0.0, scores + price)
        here, backoff = np.where(found, rows, -1), table.backoff
    scores[tokens == BEGIN_ID] = 0.0
    return scores


def _batches(sentences: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    iterator = iter(sentences)
    while some := list(itertools.islice(iterator, SENTENCES)):
        yield some


def _discounts(table: Counts, order: int, store: Store) -> tuple[float, float, float]:
    """D_1, D_2, D_3+ from the counts of counts (Chen and Goodman, equation 26)."""
    t = np.zeros(6)
    for block in blocks(len(table), store.rows):
        t += np.bincount(np.minimum(table.count[block], 5), minlength=6)
    if t[1] and t[2] and t[3]:
        y = t[1] / (t[1] + 2 * t[2])
        found = tuple(float(i - (i + 1) * y * t[i + 1] / t[i]) for i in (1, 2, 3))
        if all(0 < d <= i for i, d in enumerate(found, start=1)):  # by 0 a context may leave nothing to the unseen
            return found[0], found[1], found[2]
    if not len(table):
        return FALLBACK
    log.warn(
        f"order {order}: too little text to estimate its discounts "
        f"({t[1]:.0f}, {t[2]:.0f} and {t[3]:.0f} n-grams seen 1, 2 and 3 times): using {', '.join(map(str, FALLBACK))}"
    )
    return FALLBACK


def _probabilities(
    counts: Counts,
    size: int,
    lower: np.ndarray,
    below: Table | None,
    discounts: tuple[float, float, float],
    store: Store,
) -> tuple[Table, np.ndarray]:
    """The table of an order, and its probabilities as such; sets the back-offs of the table below.

    Args:
        counts: of this order.
        size: V.
        lower: probabilities of the order below.
        below: its table; None for unigrams.
        discounts: of this order.
        store: makes the arrays.
    """
    linear, probability = store.zeros(len(counts), np.float64), store.zeros(len(counts), np.float64)
    amounts = np.array([0.0, *discounts])
    for block in _whole_contexts(counts.key, size, store.rows):
        key, count = counts.key[block], counts.count[block]
        first, context = key[0] // size, key // size - key[0] // size
        kept = np.ones(len(key), dtype=bool) if counts.kept is None else counts.kept[block]
        total = _sums(context, count)
        # integers, which no order of summing changes: how many have each discount, and the counts of those left out
        discounted = [_sums(context, kept & (np.minimum(count, 3) == i)) for i in (1, 2, 3)]
        spare = sum(d * n for d, n in zip(discounts, discounted, strict=True)) + _sums(
            context, np.where(kept, 0, count)
        )
        used = total > 0
        spare = np.divide(spare, total, out=np.ones(len(total)), where=used)  # weight 1 where nothing follows
        share = (count - amounts[np.minimum(count, 3)]) / np.where(used, total, 1)[context]
        own = linear[block]
        own[:] = share + spare[context] * _gathered(lower, key if below is None else counts.suffix[block])
        if below is None:
            own[BEGIN_ID] = 1.0  # printed as 0: <s> is only ever a context
        else:
            below.backoff[first : first + len(spare)][used] = np.log10(spare[used])
        probability[block] = np.minimum(np.log10(own), 0.0)
    return Table(counts.key, probability, store.zeros(len(counts), np.float64)), linear


def _whole_contexts(key: np.ndarray, size: int, rows: int) -> Iterator[slice]:
    """Blocks of about `rows` n-grams, no context parted."""
    begin = 0
    while begin < len(key):
        end = min(begin + rows, len(key))
        if end < len(key):
            end = int(np.searchsorted(key, (key[end - 1] // size + 1) * size))
        yield slice(begin, end)
        begin = end


def _sums(context: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Exact sums of integers by context."""
    sums = np.bincount(context, weights=values, minlength=int(context[-1]) + 1)
    return sums.astype(np.int64)


def _gathered(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """values[rows]; of a mapped array in the order of its rows, which goes through the file once."""
    if not is_mapped(values):
        return np.asarray(values[rows])
    order = np.argsort(rows)
    found = np.empty(len(rows))
    found[order] = values[rows[order]]
    return found


def _pruned(model: NgramModel, counts: Sequence[Counts], store: Store) -> NgramModel:
    """Without what is not kept, rows and words numbered again."""
    if all(table.kept is None for table in counts):
        return model
    size, words = len(model.words), model.words
    kept_words = counts[0].kept
    new_word = np.arange(size) if kept_words is None else np.cumsum(kept_words) - 1
    if kept_words is not None:
        words = tuple(itertools.compress(words, kept_words.tolist()))
    tables: list[Table] = []
    new_row = np.zeros(1, dtype=np.int64)
    for table, count in zip(model.tables, counts, strict=True):
        with (
            store.writer(np.int64) as keys,
            store.writer(np.float64) as probabilities,
            store.writer(np.float64) as backoffs,
        ):
            rows, done = store.zeros(len(table), np.int64), 0
            for block in blocks(len(table), store.rows):
                kept = np.ones(len(table.key[block]), dtype=bool) if count.kept is None else count.kept[block]
                key = table.key[block][kept]
                keys.add(new_row[key // size] * len(words) + new_word[key % size])
                probabilities.add(table.probability[block][kept])
                backoffs.add(table.backoff[block][kept])
                rows[block] = done + np.cumsum(kept) - 1
                done += len(key)
            tables.append(Table(keys.finish(), probabilities.finish(), backoffs.finish()))
        new_row = rows
    return replace(model, words=words, tables=tuple(tables))
