"""What the files of `--words` and `--boost` are to a search: entries of its lexicon, and phrases of its units."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from sewcli.base import log
from sewcli.base.errors import DataError, quoted
from sewcli.decoding.phrase_graph import Pattern
from sewcli.lm.bias import read_new_words, read_phrases, written
from sewcli.lm.lexicon import Entry, check_homographs
from sewcli.text.form import LOWER, UPPER, case_of
from sewcli.text.spacing import in_unspaced_script
from sewcli.text.tokens import Vocabulary

SHOWN = 5  # words or phrases in a message


def new_entries(listed: Sequence[Entry], words: Path | None, vocabulary: Vocabulary) -> dict[Entry, float | None]:
    """Entries that a lexicon gets, written as its words are, and log10 of their probabilities, as far as given.

    Raises:
        DataError: as `read_new_words`, or more words of one spelling than a decoder can hold.
    """
    if words is None:
        return {}
    case = case_of(entry.word for entry in listed)
    by_form = {written(entry.word, vocabulary): entry.word for entry in listed}
    there, known, found = set(listed), list[str](), dict[Entry, float | None]()
    for new in read_new_words(words, vocabulary):
        own = new.word.lower() if case == LOWER else new.word.upper() if case == UPPER else new.word
        entry = Entry(by_form.get(written(own, vocabulary), own), new.spelling)
        if entry in there:
            known.append(entry.word)
        else:
            found[entry] = new.log10
    if known:
        log.info(f"{words}: in the lexicon already, with the probabilities of the language model: {_shown(known)}")
    check_homographs([*listed, *found], words, vocabulary)
    return found


def word_patterns(boost: Path | None, texts: Collection[str], vocabulary: Vocabulary) -> list[Pattern]:
    """Phrases over words, each of which counts its weight. Those of words that cannot be said are left out and listed.

    Args:
        boost: the file; None has no phrases.
        texts: what the search may write.
        vocabulary: of the recogniser.

    Raises:
        DataError: as `read_phrases`, or no phrase is left.
    """
    found, lost = list[Pattern](), list[str]()
    for words, weight in _phrases(boost, vocabulary):
        if set(words).issubset(texts):
            found.append(Pattern(words, [weight * (n + 1) for n in range(len(words))]))
        else:
            lost.append(" ".join(words))
    _report(lost, found, boost, "with words that the lexicon lacks", "list these words in --words too")
    return found


def letter_patterns(boost: Path | None, vocabulary: Vocabulary) -> list[Pattern]:
    """Phrases over symbols, from one word boundary to another; in scripts without blanks anywhere.

    Each word counts its weight, in scripts without blanks and in vocabularies without a boundary each symbol.

    Raises:
        DataError: as `read_phrases`, or no phrase is left.
    """
    found, lost = list[Pattern](), list[str]()
    for words, weight in _phrases(boost, vocabulary):
        phrase = " ".join(words)
        if vocabulary.outside(phrase):
            lost.append(phrase)
            continue
        ids = vocabulary.encode(phrase)
        if vocabulary.boundary is None or all(in_unspaced_script(c) for c in phrase if c != " "):
            found.append(Pattern(ids, [weight * (n + 1) for n in range(len(ids))]))
        else:
            all_of_it, end = weight * len(words), vocabulary.boundary
            held = [all_of_it * (n + 1) / len(ids) for n in range(len(ids))]
            found.append(Pattern([end, *ids, end], [0.0, *held, all_of_it]))
    _report(lost, found, boost, "with symbols that the recogniser lacks", "write them in its alphabet")
    return found


def _phrases(boost: Path | None, vocabulary: Vocabulary) -> Iterator[tuple[tuple[str, ...], float]]:
    if boost is not None:
        yield from read_phrases(boost, vocabulary).items()


def _report(lost: Sequence[str], found: Sequence[Pattern], boost: Path | None, why: str, hint: str) -> None:
    if not lost:
        return
    what = f"{len(lost)} of {len(lost) + len(found)} phrases {why}: {_shown(lost)}"
    if not found:
        raise DataError("phrases-unknown", what, where=boost, hint=hint)
    log.warn(f"{boost}: {what}; they are left out\n  hint: {hint}")


def _shown(words: Sequence[str]) -> str:
    return f"{', '.join(map(quoted, words[:SHOWN]))}{', ...' if len(words) > SHOWN else ''}"
