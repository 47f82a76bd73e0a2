"""From text files to a language model that `sew decode` finds: ARPA, KenLM binary where possible, lexicon, and its fit."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.corpora.lm_text import TEXT, VOCABULARY
from sewcli.lm.arpa import write_arpa
from sewcli.lm.binary import build_binary
from sewcli.lm.files import FOLDER, LEXICON, lexicon_name, model_name
from sewcli.lm.letters import spelled
from sewcli.lm.lexicon import write_lexicon
from sewcli.lm.ngram import SPECIAL, NgramModel, estimate, evaluate, thresholds_of
from sewcli.lm.store import Store, half_of_the_memory
from sewcli.text.tokens import Vocabulary

TOLD = 100_000  # sentences between two words on how far it is


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

    Returns:
        Counts, discounts, sizes, and the perplexity and unknown words of each dev text.

    Raises:
        UsageError: there is no text.
        DataError: a text cannot be read or has no words.
    """
    sources = list(texts) or default_texts(data)
    if vocabulary is not None and letters:
        raise UsageError("--vocabulary lists words, and a model of letters knows none", mend="leave it out")
    if vocabulary is None and not texts and not letters and (data / FOLDER / VOCABULARY).is_file():
        vocabulary = data / FOLDER / VOCABULARY
    if not sources:
        raise UsageError(
            "no training transcripts here", where=data, mend="first run: sew prep librispeech, or name text files"
        )
    out = out or data / FOLDER / f"{order}gram{'-letter' if letters else ''}.arpa"
    if not out.name.endswith((".arpa", ".arpa.gz")):
        raise UsageError("a language model's file name ends in .arpa or .arpa.gz", where=out)
    log.info(f"{order}-gram model of {', '.join(map(str, sources))}")
    limit = None if vocabulary is None else [word for line in sentences(vocabulary) for word in line]
    thresholds_of(prune, order)  # a fault of these is better told before the texts are read
    store = Store(out.absolute().parent, half_of_the_memory() if memory is None else memory)
    symbols = Vocabulary.letters()
    units = (lambda text: spelled(text, symbols)) if letters else iter
    model = estimate(units(_all_sentences(sources)), order, limit, prune=prune, store=store)
    if store.spilled:
        log.info(
            f"sorted in files of {store.spilled / 1e9:.1f} GB in all, as the counts are more than the memory allows"
        )
    lexicon_words = None if letters else _write_lexicon(model, symbols, out)
    write_arpa(model, out)
    binary = build_binary(out)
    dev = [path for path in sorted(data.glob("text_dev*.txt")) if path not in sources]
    return {
        "model": str(out),
        "binary": str(binary) if binary else None,
        "lexicon": None if letters else str(out.with_name(LEXICON)),
        "texts": [str(path) for path in sources],
        "vocabulary": str(vocabulary) if vocabulary else None,
        "order": order,
        "prune": list(prune),
        "ngrams": model.counts,
        "discounts": [list(d) for d in model.discounts],
        "lexicon_words": lexicon_words,
        "dev": [_fit(model, path, units(sentences(path))) for path in dev if path.stat().st_size],
    }


def default_texts(data: Path) -> list[Path]:
    """The training transcripts of a prepared corpus, and the text that it brings for language models."""
    return [*sorted(data.glob("text_train*.txt")), *filter(Path.is_file, [data / FOLDER / TEXT])]


def sentences(path: Path) -> Iterator[list[str]]:
    """The words of each line that has any.

    Raises:
        DataError: missing, not UTF-8, or a broken gzip file.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as f:
            for line in f:
                if words := line.split():
                    yield words
    except FileNotFoundError:
        raise DataError("no such text file", where=path) from None
    except IsADirectoryError:
        raise DataError("a folder, not a text file", where=path) from None
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"cannot be read to its end ({error})", where=path, mend="give UTF-8 text") from None


def lines_of(paths: Iterable[Path], size: int = 4096) -> Iterator[list[str]]:
    """The lines of texts that have words, `size` at a time, with one blank between words.

    Raises:
        DataError: as `sentences`.
    """
    lines: list[str] = []
    for path in paths:
        for words in sentences(path):
            lines.append(" ".join(words))
            if len(lines) == size:
                yield lines
                lines = []
    if lines:
        yield lines


def _all_sentences(paths: Sequence[Path]) -> Iterator[list[str]]:
    """The sentences of several files, with the bytes read so far as progress."""
    total = sum(path.stat().st_size for path in paths if path.is_file())
    with log.progress("reading (MB)", total // 10**6) as meter:
        for path in paths:
            for number, words in enumerate(sentences(path), start=1):
                yield words
                if number % TOLD == 0:
                    meter.advance(0, note=f"{path.name}: {number:,} sentences")
            meter.advance(path.stat().st_size // 10**6)


def _write_lexicon(model: NgramModel, symbols: Vocabulary, out: Path) -> int:
    """The lexicon of a model of words; how many are in it."""
    cannot = write_lexicon(model.words[len(SPECIAL) :], symbols, out.with_name(LEXICON))
    if cannot:
        shown = ", ".join(map(repr, cannot[:5]))
        log.warn(f"{len(cannot)} words cannot be spelled in letters and are left out of the lexicon: {shown}")
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
