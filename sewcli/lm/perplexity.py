"""How well a language model predicts texts: perplexity and unknown words, of n-gram models (KenLM) and neural ones alike.

As KenLM's `query` counts: the end of a sentence is a token, its beginning is not; the perplexity with unknown words takes them
at the price of <unk>, the one without leaves them out. A neural model's tokens are pieces of words; its perplexity is told a
word as well, over the same words and ends of sentences, so that it compares with an n-gram model's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewcli.base import log
from sewcli.base.errors import DataError
from sewcli.lm.arpa import read_words
from sewcli.lm.kenlm import is_binary, load_lm
from sewcli.lm.neural import NeuralLanguageModel
from sewcli.lm.ngram import Fit
from sewcli.lm.texts import lines_of, sentences

MANY = 0.5  # share of unknown words at which a text and a model are not of one kind
NOBODY = "\x00unknown"  # a word that no model has


@dataclass(frozen=True)
class NgramScorer:
    """A KenLM model over a text's words: `words` gives each its number, of which `unknown` are not in the model."""

    model: Any
    words: dict[str, int]
    unknown: frozenset[str]


def ngram_fit(model: Path, text: Path) -> dict[str, Any]:
    """Perplexities and unknown words of a text by an n-gram model.

    Args:
        model: a KenLM binary or an ARPA file. An ARPA file lists its words; of a binary those are unknown that cost, by
            themselves, what a word costs that no model has.
        text: a sentence a line (.gz too).

    Raises:
        DataError: one of them cannot be read, the text has no words, or it is in another case than the model.
    """
    found = {word: None for line in sentences(text) for word in line}
    if not found:
        raise DataError("no-text", "no words in this text", where=text)
    scorer = _scorer(model, list(found))
    _check_case(scorer, model, text)
    total, price_of_unknown, tokens, unknown = 0.0, 0.0, 0, 0
    for line in log.track(sentences(text), f"{text.name} (sentences)"):
        state = scorer.model.start(False)
        for word in line:
            state, score = scorer.model.score(state, scorer.words[word])
            total += score
            if word in scorer.unknown:
                unknown += 1
                price_of_unknown += score
        total += scorer.model.finish(state)[1]
        tokens += len(line) + 1
    fit = Fit(total, tokens, unknown, price_of_unknown)
    return {
        "text": str(text),
        "words": tokens,
        "unknown": unknown,
        "log10_probability": round(fit.log10_probability, 4),
        "perplexity": fit.perplexity,
        "perplexity_of_known": fit.perplexity_of_known,
    }


def neural_fit(model: NeuralLanguageModel, text: Path) -> dict[str, Any]:
    """Perplexities of a text by a neural model.

    Raises:
        DataError: the text cannot be read, has no words, or most of it is unknown to the model.
    """
    nats, tokens, unknown, words = 0.0, 0, 0, 0
    for lines in lines_of([text]):
        scores = model.score(model.adapted(lines), text.name)
        nats -= math.fsum(scores.log_probs)
        tokens, unknown = tokens + scores.tokens, unknown + scores.unknown
        words += sum(len(line.split()) + 1 for line in lines)
    if not words:
        raise DataError("no-text", "no words in this text", where=text)
    return {
        "text": str(text),
        "words": words,
        "tokens": tokens,
        "unknown": unknown,
        "log10_probability": round(-nats / math.log(10), 4),
        "perplexity": math.exp(nats / words),
        "token_perplexity": math.exp(nats / tokens),
    }


def _scorer(model: Path, words: Sequence[str]) -> NgramScorer:
    from flashlight.lib.text.dictionary import Dictionary

    numbers = Dictionary()
    for word in (*words, NOBODY):
        numbers.add_entry(word)
    lm = load_lm(model, numbers)
    ids = {word: numbers.get_index(word) for word in words}
    if is_binary(model):
        nothing = lm.start(True)
        price = lm.score(nothing, numbers.get_index(NOBODY))[1]
        unknown = frozenset(word for word, number in ids.items() if lm.score(nothing, number)[1] == price)
    else:
        unknown = frozenset(words).difference(read_words(model))
    return NgramScorer(lm, ids, unknown)


def _check_case(scorer: NgramScorer, model: Path, text: Path) -> None:
    """Most words unknown may be a text of another kind; if the model has them in the other case, it is a mistake."""
    if len(scorer.unknown) <= MANY * len(scorer.words):
        return
    turned = {word: word.swapcase() for word in scorer.unknown if word.swapcase() != word}
    other = _scorer(model, list(dict.fromkeys(turned.values())) or [NOBODY])
    if len(other.words) - len(other.unknown) > MANY * len(scorer.unknown):
        word = next(word for word, turn in turned.items() if turn in other.words and turn not in other.unknown)
        raise DataError(
            "case-differs",
            f"the model does not know {word!r}, it knows {turned[word]!r}: it is in another case than {text}",
            where=model,
            hint="bring text and model into one case (sew's transcripts are in capitals)",
        )
    log.warn(f"{model} does not know {len(scorer.unknown):,} of the {len(scorer.words):,} different words of {text}")
