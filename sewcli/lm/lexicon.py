"""Lexicons: the words a decoder may write, each spelled in the model's symbols with the word boundary last.

The file is flashlight's and fairseq's: `WORD<TAB>W O R D |`, one spelling a line; a word may have several. The word is the
language model's, the spelling the recogniser's: `word<TAB>W O R D |` joins a model in lower case with letters in capitals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sewcli.base import log
from sewcli.base.errors import DataError, quoted
from sewcli.base.files import is_there, write_text
from sewcli.base.texts import open_text
from sewcli.text.tokens import Vocabulary

BOUNDARY = "|"
LONGEST_SPELLING = 1000  # symbols: flashlight follows a spelling by recursion, and dies of 150,000
LONGEST = 500  # letters of a word that is written down; the longest in any dictionary has below 200
MANY, MANY_SHARE = 10, 0.05  # words that a vocabulary cannot spell: more than both are no accident
LISTED = 10  # of them are shown
_VOCAB = "give the symbols of the recogniser: --vocab MODEL, or a file with a symbol a line"
MAX_HOMOGRAPHS = 6  # words of one spelling that a node of flashlight's trie can hold; it drops more without an error


@dataclass(frozen=True)
class Entry:
    """One spelling of a word, as ids of the vocabulary."""

    word: str
    spelling: tuple[int, ...]


def spellable(words: Iterable[str], vocabulary: Vocabulary) -> tuple[list[str], list[str]]:
    """The words in order, once each, parted into those whose letters the vocabulary has and the others."""
    can: list[str] = []
    cannot: list[str] = []
    for word in sorted(set(words)):
        (cannot if len(word) > LONGEST or vocabulary.outside(word) else can).append(word)
    return can, cannot


def write_lexicon(words: Iterable[str], vocabulary: Vocabulary, path: str | Path) -> list[str]:
    """Write the words that the vocabulary spells; returns those it cannot, which are few and listed in a warning.

    Args:
        words: as the language model knows them; their spelling is in the vocabulary's own case.
        vocabulary: the recogniser's symbols.
        path: the file to write.

    Raises:
        DataError: it can spell none of them, or more than a few are left.
    """
    if vocabulary.boundary is None:
        raise DataError(
            "no-word-boundary",
            "a vocabulary without a word boundary spells no words",
            where=path,
            hint="phones and texts without blanks need a model of letters: sew lm ngram --unit letter",
        )
    can, cannot = spellable(words, vocabulary)
    if not can:
        shown = ", ".join(repr(word) for word in cannot[:3])
        raise DataError(
            "words-not-spellable",
            f"the model's symbols spell none of the {len(cannot)} words (e.g. {shown})",
            where=path,
            hint=f"{_VOCAB}; its symbols are: {_shown(vocabulary)}",
        )
    report_unspelled(cannot, len(cannot), len(can) + len(cannot), vocabulary)
    lines = (f"{word}\t{' '.join(vocabulary.tokens[i] for i in vocabulary.encode(word))} {BOUNDARY}\n" for word in can)
    write_text(path, "".join(lines))
    return cannot


def report_unspelled(words: Sequence[str], count: int, total: int, vocabulary: Vocabulary) -> None:
    """Warn of words that a vocabulary cannot spell, and stop at more than a few.

    Args:
        words: different ones, to be listed.
        count: how many are left out, of `total`.

    Raises:
        DataError: over MANY words, and over MANY_SHARE of all.
    """
    if not words:
        return
    unknown = dict.fromkeys(c for word in words[:1000] for c in vocabulary.outside(word[: LONGEST + 1]))
    lacking = f"no symbol for {', '.join(map(repr, list(unknown)[:8]))}" if unknown else f"over {LONGEST} letters"
    symbols = f" ({lacking})"
    what = f"{count:,} of {total:,} words cannot be spelled in the recogniser's symbols{symbols}"
    shown = f"{', '.join(map(repr, words[:LISTED]))}{', ...' if len(words) > LISTED else ''}"
    if len(words) > MANY and count > MANY_SHARE * total:
        raise DataError(
            "words-not-spellable",
            f"{what}, and could never be recognised: {shown}",
            hint=f"{_VOCAB}; or bring the text into the form of the transcripts (spell out digits, remove punctuation)",
        )
    log.warn(f"{what}; they are left out: {shown}")


def _shown(vocabulary: Vocabulary) -> str:
    symbols = sorted(vocabulary.text_form.symbols - {" "})
    return f"{' '.join(symbols[:40])}{' ...' if len(symbols) > 40 else ''}"


def read_lexicon(path: str | Path, vocabulary: Vocabulary) -> list[Entry]:
    """Read and check a lexicon.

    Raises:
        DataError: missing, a broken line, a symbol outside the vocabulary, no boundary at the end of a spelling, or
            more words of one spelling than a decoder can hold.
    """
    entries: dict[Entry, None] = {}
    if not is_there(path):
        raise DataError(
            "lexicon-not-found", "no such lexicon", where=path, hint="sew lm ngram writes one beside its model"
        )
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                entries[entry_of(line, vocabulary, path, number)] = None
    if not entries:
        raise DataError("lexicon-empty", "no words in this lexicon", where=path)
    check_homographs(entries, path, vocabulary)
    return list(entries)


def check_homographs(entries: Iterable[Entry], path: str | Path, vocabulary: Vocabulary) -> None:
    """Refuse more words of one spelling than a decoder can hold: it would drop some without an error.

    Raises:
        DataError: there are.
    """
    spelling, count = Counter(entry.spelling for entry in entries).most_common(1)[0]
    if count > MAX_HOMOGRAPHS:
        letters = " ".join(vocabulary.tokens[i] for i in spelling)
        raise DataError(
            "too-many-homographs", f"{count} words are spelled {letters!r}; at most {MAX_HOMOGRAPHS} can be", where=path
        )


def words_of(path: str | Path) -> list[str]:
    """What stands first on each line: the words of a lexicon of any kind, or of a list.

    Raises:
        DataError: it cannot be read.
    """
    with open_text(path) as lines:
        return [fields[0] for fields in map(str.split, lines) if fields]


def entry_of(line: str, vocabulary: Vocabulary, path: str | Path, number: int) -> Entry:
    """A line of a lexicon, `WORD<TAB>W O R D |`.

    Raises:
        DataError: no spelling, a symbol outside the vocabulary, or no boundary at its end.
    """
    word, *symbols = line.split()
    if not symbols:
        raise DataError(
            "spelling-missing",
            f"line {number}: {quoted(word)} has no spelling",
            where=path,
            hint="write: WORD<TAB>W O R D |",
        )
    if len(symbols) > LONGEST_SPELLING:
        raise DataError(
            "spelling-too-long",
            f"line {number}: a spelling of {len(symbols):,} symbols; at most {LONGEST_SPELLING:,} can be searched",
            where=path,
            hint="separate the words of the text by blanks, or remove the line",
        )
    end = () if vocabulary.boundary is None else (vocabulary.boundary,)
    if end and symbols[-1] == vocabulary.tokens[end[0]]:  # in the model's own spelling, such as ▁
        symbols[-1] = BOUNDARY
    letters = symbols[:-1] if symbols[-1] == BOUNDARY else symbols
    ids = [_id_of(symbol, vocabulary) for symbol in letters]
    if unknown := [symbol for symbol, known in zip(letters, ids, strict=True) if known is None and symbol != BOUNDARY]:
        raise DataError(
            "spelling-unknown-symbol",
            f"line {number}: {quoted(word)} has {quoted(unknown[0])}, no symbol of the model",
            where=path,
            hint="spell it in the symbols of the model, with blanks between",
        )
    if not letters or BOUNDARY in letters or (end and symbols[-1] != BOUNDARY):
        raise DataError(
            "spelling-without-boundary",
            f"line {number}: the spelling of {quoted(word)} does not end in its one {BOUNDARY!r}",
            where=path,
            hint="write: WORD<TAB>W O R D |",
        )
    return Entry(word, (*(known for known in ids if known is not None), *end))


def _id_of(symbol: str, vocabulary: Vocabulary) -> int | None:
    """As it stands, or in the case and form of the vocabulary."""
    found = vocabulary.id_of(symbol)
    return vocabulary.id_of(vocabulary.text_form(symbol)) if found is None else found
