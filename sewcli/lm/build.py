"""From text files to a language model that `sew decode` finds: ARPA, KenLM binary where possible, lexicon, and its fit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sewcli.artifacts.data_folder import text_name
from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.corpora.lm_text import VOCABULARY
from sewcli.lm.arpa import write_arpa
from sewcli.lm.binary import build_binary
from sewcli.lm.files import FOLDER, LEXICON, lexicon_name, model_name
from sewcli.lm.letters import spelled
from sewcli.lm.lexicon import write_lexicon
from sewcli.lm.ngram import SPECIAL, NgramModel, estimate, evaluate, thresholds_of
from sewcli.lm.own_texts import ruled, rules_of
from sewcli.lm.store import Store, half_of_the_memory
from sewcli.lm.symbols import symbols_for
from sewcli.lm.texts import all_sentences, default_texts, in_form, sentences
from sewcli.text.agreement import case_note
from sewcli.text.spacing import has_words
from sewcli.text.tokens import Vocabulary

SAMPLE = 1000  # sentences that are looked at before the texts are counted


def build_ngram(
    texts: Sequence[Path],
    order: int,
    data: Path,
    out: Path | None,
    vocabulary: Path | None = None,
    *,
    prune: Sequence[int] = (),
    memory: int | None = None,
    letters: bool = False,
    symbols: Path | None = None,
) -> dict[str, Any]:
    """Estimate a model and write it with its lexicon.

    Args:
        texts: files with a sentence a line (.gz too); none means the training transcripts `data/text_train*.txt` and the
            text that the corpus brings, `data/lm/text.txt.gz`.
        order: N, 2 to 6.
        data: folder of the prepared corpus; its `text_dev*.txt` are what the model's fit is measured on.
        out: the ARPA file to write; None means `data/lm/<N>gram.arpa`, or `<N>gram-letter.arpa`.
        vocabulary: a file of the only words to know, one a line; None means `data/lm/vocabulary.txt` when `texts` is
            empty and it is there, and otherwise all words of the texts.
        prune: n-grams that stand in the texts so often or less are left out, by order (see `ngram.estimate`).
        memory: bytes that the counts may take; what is more goes to files beside the model. None: half of the machine's.
        letters: of letters, for a search without a lexicon, and not of words.
        symbols: the recogniser's: a vocabulary file, a model or an experiment; None means `data/vocab.json`, and where there
            is none the English letters. The texts are brought into their form (`text.form.TextForm`); with None, `texts`
            also take the rules of the data's transcripts (`own_texts`).

    Returns:
        Counts, discounts, sizes, and the perplexity and unknown words of each dev text.

    Raises:
        UsageError: there is no text.
        DataError: a text cannot be read, has no words, or more than a few that the symbols cannot spell.
    """
    sources = list(texts) or default_texts(data)
    if vocabulary is not None and letters:
        raise UsageError(
            "options-conflict", "--vocabulary lists words, and a model of letters knows none", hint="leave it out"
        )
    if vocabulary is None and not texts and not letters and (data / FOLDER / VOCABULARY).is_file():
        vocabulary = data / FOLDER / VOCABULARY
    if not sources:
        raise UsageError(
            "no-text",
            "no training transcripts here",
            where=data,
            hint="first run: sew prep librispeech, or name text files",
        )
    out = out or data / FOLDER / f"{order}gram{'-letter' if letters else ''}.arpa"
    if not out.name.endswith((".arpa", ".arpa.gz")):
        raise UsageError("wrong-file-name", "a language model's file name ends in .arpa or .arpa.gz", where=out)
    log.info(f"{order}-gram model of {', '.join(map(str, sources))}")
    alphabet, origin = symbols_for(data, symbols)
    log.info(f"symbols of the recogniser: {origin}")

    def units(text: Iterator[list[str]]) -> Iterator[list[str]]:
        written = in_form(text, alphabet.text_form)
        return spelled(written, alphabet) if letters else written

    limit = None if vocabulary is None else [word for line in units(sentences(vocabulary)) for word in line]
    thresholds_of(prune, order)  # a fault of these is better named before the texts are read
    store = Store(out.absolute().parent, half_of_the_memory() if memory is None else memory)
    texts_read = all_sentences(sources)  # once: they may come through pipes
    if texts and symbols is None and (rules := rules_of(data)):
        texts_read = ruled(texts_read, rules)
    sample = list(itertools.islice(texts_read, SAMPLE))
    _require_words(sample, sources[0], alphabet, letters=letters)
    model = estimate(units(itertools.chain(sample, texts_read)), order, limit, prune=prune, store=store)
    if store.spilled:
        log.info(
            f"sorted in files of {store.spilled / 1e9:.1f} GB in all, as the counts are more than the memory allows"
        )
    lexicon_words = None if letters else _write_lexicon(model, alphabet, out)
    write_arpa(model, out)
    binary = build_binary(out)
    dev = [path for path in sorted(data.glob(text_name("dev*"))) if path not in sources]
    return {
        "model": str(out),
        "binary": str(binary) if binary else None,
        "lexicon": None if letters else str(out.with_name(LEXICON)),
        "texts": [str(path) for path in sources],
        "vocabulary": str(vocabulary) if vocabulary else None,
        "symbols": origin,
        "order": order,
        "prune": list(prune),
        "ngrams": model.counts,
        "discounts": [list(d) for d in model.discounts],
        "lexicon_words": lexicon_words,
        "dev": [_fit(model, path, units(sentences(path))) for path in dev if path.stat().st_size],
    }


def _require_words(read: Sequence[list[str]], source: Path, alphabet: Vocabulary, *, letters: bool) -> None:
    """Refuse a model of words where there are none: phones, and texts without blanks."""
    sample = [" ".join(words) for words in read]
    if note := case_note(sample, alphabet):
        log.info(f"{source}: {note}")
    if letters:
        return
    use = "estimate a model of letters, which is searched without a lexicon: --unit letter --order 6"
    if alphabet.boundary is None:
        raise UsageError(
            "no-word-boundary",
            "these symbols have no word boundary, as phones have none: they spell no words",
            hint=use,
        )
    if not has_words(sample):
        raise DataError(
            "words-not-separated",
            "its words are not separated by blanks",
            where=source,
            hint=f"separate them, or {use}",
        )


def _write_lexicon(model: NgramModel, symbols: Vocabulary, out: Path) -> int:
    """The lexicon of a model of words; how many are in it."""
    cannot = write_lexicon(model.words[len(SPECIAL) :], symbols, out.with_name(LEXICON))
    out.with_name(lexicon_name(model_name(out))).unlink(missing_ok=True)  # of an earlier model of this name
    return len(model.words) - len(SPECIAL) - len(cannot)


def _fit(model: NgramModel, path: Path, text: Iterator[list[str]]) -> dict[str, Any]:
    fit = evaluate(model, text)
    return {
        "text": str(path),
        "words": fit.tokens,
        "unknown": fit.unknown,
        "perplexity": fit.perplexity,
        "perplexity_of_known": fit.perplexity_of_known,
    }
