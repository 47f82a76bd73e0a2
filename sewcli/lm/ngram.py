"""Interpolated modified Kneser-Ney n-gram models (Chen and Goodman 1998; Heafield et al. 2013, section 2), in NumPy.

The numbers are those of KenLM's `lmplz` to the last printed digit, without a compiler. An n-gram is a row of its order's
table: `prefix` is the row of its first k-1 words in the table below, `word` its last word, so a context is one integer.
Legend: N order, V words with <unk>, <s> and </s>, n_k n-grams of order k, t_i n-grams with adjusted count i.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sewcli.base import log
from sewcli.base.errors import DataError, UsageError

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
SPECIAL = (UNKNOWN, BEGIN, END)
UNKNOWN_ID, BEGIN_ID, END_ID = range(3)
MAX_ORDER = 6  # what KenLM is compiled for, in flashlight as well
FALLBACK = (0.5, 1.0, 1.5)  # discounts where the counts of counts allow none, as lmplz --discount_fallback


@dataclass(frozen=True)
class Table:
    """The n-grams of one order, sorted by (prefix, word).

    Shapes: all (n_k,). `prefix` and `word` int64; `probability` and `backoff` float64, log10; `backoff` is 0 (weight 1)
    where nothing longer begins so, and everywhere in the highest order.
    """

    prefix: np.ndarray
    word: np.ndarray
    probability: np.ndarray
    backoff: np.ndarray

    def __len__(self) -> int:
        return len(self.word)


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


def estimate(sentences: Iterable[Sequence[str]], order: int, vocabulary: Iterable[str] | None = None) -> NgramModel:
    """Estimate a model from sentences of words (no pruning).

    Memory is about 185 bytes a word at order 4. The result does not depend on the order of the sentences.

    Args:
        sentences: words in order.
        order: N.
        vocabulary: the only words of the model, seen or not; any other counts as <unk>, as in Kaldi's recipes. None takes
            the words of the text, and <unk> is never seen, as in lmplz.

    Raises:
        UsageError: the order is not within 1 to 6.
        DataError: no words, or one of <s>, </s>, <unk> among them.
    """
    if not 1 <= order <= MAX_ORDER:
        raise UsageError(f"order {order} is not within 1 to {MAX_ORDER} (the most that KenLM reads)")
    known = None if vocabulary is None else (*SPECIAL, *sorted(set(vocabulary) - set(SPECIAL)))
    words, tokens, depth = _tokens(sentences, known)
    prefixes, last_words, counts = _adjusted_counts(tokens, depth, len(words), order)
    tables: list[Table] = []
    discounts = [_discounts(counts[k], k + 1) for k in range(order)]
    lower = np.full(len(words), 1.0 / (len(words) - 1))  # below the unigrams: every word but <s> alike
    suffix = np.empty(0, dtype=np.int64)
    for k in range(order):
        suffix = _suffixes(k, suffix, prefixes, last_words)
        contexts = 1 if k == 0 else len(tables[k - 1])
        share, spare = _discounted(counts[k], prefixes[k], contexts, discounts[k])
        probability = share + spare[prefixes[k]] * lower[suffix]
        if k == 0:
            probability[BEGIN_ID] = 1.0  # printed as 0: <s> is only ever a context
        else:
            _set_backoffs(tables, spare)
        tables.append(Table(prefixes[k], last_words[k], np.log10(probability), np.zeros(len(probability))))
        lower = probability
    return NgramModel(words, tuple(tables), tuple(discounts))


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
    """Score a text, all positions at once.

    Raises:
        DataError: no words.
    """
    _, tokens, depth = _tokens(sentences, known=model.words)
    scores = _score(model, tokens, depth)
    unknown = tokens == UNKNOWN_ID
    return Fit(
        log10_probability=float(scores.sum()),
        tokens=int((depth > 0).sum()),
        unknown=int(unknown.sum()),
        log10_of_unknown=float(scores[unknown].sum()),
    )


def _tokens(
    sentences: Iterable[Sequence[str]], known: Sequence[str] | None = None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """The words, the text as ids with <s> and </s> around each sentence, and each token's distance from its <s>."""
    ids: dict[str, int] = {word: i for i, word in enumerate(known or SPECIAL)}
    tokens: list[int] = []
    lengths: list[int] = []
    for number, sentence in enumerate(sentences, start=1):
        if not set(SPECIAL).isdisjoint(sentence):
            raise DataError(
                f"sentence {number} holds one of {', '.join(SPECIAL)} as a word",
                mend="these mark unknown words and the ends of sentences: remove them from the text",
            )
        tokens.append(BEGIN_ID)
        if known is None:
            tokens.extend([ids.setdefault(word, len(ids)) for word in sentence])
        else:
            tokens.extend([ids.get(word, UNKNOWN_ID) for word in sentence])
        tokens.append(END_ID)
        lengths.append(len(sentence) + 2)
    if len(tokens) == 2 * len(lengths):
        raise DataError("there are no words in the text", mend="give text files with a sentence a line")
    text = np.array(tokens, dtype=np.int64)
    starts = np.cumsum([0, *lengths[:-1]])
    depth = np.arange(len(text)) - np.repeat(starts, lengths)
    if known is not None:
        return tuple(known), text, depth
    words = (*SPECIAL, *sorted(list(ids)[len(SPECIAL) :]))
    renumber = np.empty(len(words), dtype=np.int64)
    renumber[[ids[word] for word in words]] = np.arange(len(words))
    return words, renumber[text], depth


def _adjusted_counts(
    tokens: np.ndarray, depth: np.ndarray, size: int, order: int
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Prefix, last word and adjusted count of every n-gram, an array an order.

    The adjusted count is the raw count in the highest order and for n-grams that begin with <s>; elsewhere it is the
    number of different words to the left.
    """
    prefixes = [np.zeros(size, dtype=np.int64)]
    words = [np.arange(size)]
    raw = [np.bincount(tokens, minlength=size)]
    begins = [np.arange(size) == BEGIN_ID]
    counts: list[np.ndarray] = []
    here = tokens  # the k-gram that ends at each position of the text, -1 where the sentence is shorter
    for k in range(1, order):
        ends = np.flatnonzero(depth >= k)
        keys, first, inverse, number = np.unique(
            here[ends - 1] * size + tokens[ends], return_index=True, return_inverse=True, return_counts=True
        )
        left = np.bincount(here[ends[first]], minlength=len(words[-1]))
        counts.append(np.where(begins[-1], raw[-1], left))
        prefixes.append(keys // size)
        words.append(keys % size)
        raw.append(number)
        begins.append(begins[-1][prefixes[-1]])
        here = np.full(len(tokens), -1, dtype=np.int64)
        here[ends] = inverse.reshape(-1)
    counts.append(raw[-1])
    counts[0][BEGIN_ID] = 0  # never predicted
    return prefixes, words, counts


def _suffixes(k: int, below: np.ndarray, prefixes: list[np.ndarray], words: list[np.ndarray]) -> np.ndarray:
    """For each n-gram of table k, the row of its last k words in table k-1 (of unigrams and bigrams: the word itself).

    The suffix of (prefix, word) is (suffix of prefix, word); `below` holds the suffixes of table k-1.
    """
    if k <= 1:
        return words[k]
    size = len(words[0])
    keys = prefixes[k - 1] * size + words[k - 1]
    rows: np.ndarray = np.searchsorted(keys, below[prefixes[k]] * size + words[k])
    return rows


def _discounts(counts: np.ndarray, order: int) -> tuple[float, float, float]:
    """D_1, D_2, D_3+ from the counts of counts (Chen and Goodman, equation 26)."""
    t = np.bincount(np.minimum(counts, 5), minlength=6).astype(np.float64)
    if t[1] and t[2] and t[3]:
        y = t[1] / (t[1] + 2 * t[2])
        found = tuple(float(i - (i + 1) * y * t[i + 1] / t[i]) for i in (1, 2, 3))
        if all(0 <= d <= i for i, d in enumerate(found, start=1)):
            return found[0], found[1], found[2]
    if not len(counts):
        return FALLBACK
    log.warn(
        f"order {order}: too little text to estimate its discounts "
        f"({t[1]:.0f}, {t[2]:.0f} and {t[3]:.0f} n-grams seen 1, 2 and 3 times): using {', '.join(map(str, FALLBACK))}"
    )
    return FALLBACK


def _discounted(
    counts: np.ndarray, context: np.ndarray, contexts: int, discounts: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """What each n-gram keeps after discounting, (n_k,), and what each context has to spare for the order below."""
    amounts = np.array([0.0, *discounts])[np.minimum(counts, 3)]
    total = np.bincount(context, weights=counts, minlength=contexts)
    spare = np.bincount(context, weights=amounts, minlength=contexts)
    used = total > 0
    spare = np.divide(spare, total, out=np.ones(contexts), where=used)  # weight 1: log10 0 where nothing follows
    return (counts - amounts) / np.where(used, total, 1.0)[context], spare


def _set_backoffs(tables: list[Table], spare: np.ndarray) -> None:
    table = tables[-1]
    tables[-1] = Table(table.prefix, table.word, table.probability, np.log10(spare))


def _score(model: NgramModel, tokens: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """log10 p of every token given its sentence so far; 0 for <s>. Shape (tokens,)."""
    size = len(model.words)
    scores: np.ndarray = model.tables[0].probability[tokens].copy()
    here, backoff = tokens, model.tables[0].backoff  # the row of the k-gram that ends here, -1 when it was never seen
    for k in range(1, model.order):
        table = model.tables[k]
        keys = table.prefix * size + table.word
        before = np.concatenate([[-1], here[:-1]])
        before[depth < k] = -1
        wanted = before * size + tokens
        rows = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1) if len(keys) else np.zeros_like(wanted)
        found = (before >= 0) & (keys[rows] == wanted) if len(keys) else np.zeros(len(tokens), dtype=bool)
        price = np.where(before >= 0, backoff[before], 0.0)  # of falling back from a context that exists
        scores = np.where(found, table.probability[rows], scores + price)
        here, backoff = np.where(found, rows, -1), table.backoff
    scores[depth == 0] = 0.0
    return scores
