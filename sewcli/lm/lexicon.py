"""Lexicons: the words a decoder may write, each spelled in the model's symbols with the word boundary last.

The file is flashlight's and fairseq's: `WORD<TAB>W O R D |`, one spelling a line; a word may have several. The word is the
language model's, the spelling the recogniser's: `word<TAB>W O R D |` joins a model in lower case with letters in capitals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sewcli.base.errors import DataError
from sewcli.base.files import write_text
from sewcli.text.tokens import Vocabulary

BOUNDARY = "|"
MAX_HOMOGRAPHS = 6  # words of one spelling that a node of flashlight's trie can hold; it drops more without an error


@dataclass(frozen=True)
class Entry:
    """One spelling of a word, as ids of the vocabulary."""

    word: str
    spelling: tuple[int, ...]


def spellable(
    words: Iterable[str], vocabulary: Vocabulary, letters: Callable[[str], str] = str
) -> tuple[list[str], list[str]]:
    """The words in order, once each, parted into those whose letters the vocabulary has and the others."""
    can: list[str] = []
    cannot: list[str] = []
    for word in sorted(set(words)):
        (cannot if vocabulary.outside(letters(word)) else can).append(word)
    return can, cannot


def write_lexicon(
    words: Iterable[str], vocabulary: Vocabulary, path: str | Path, *, letters: Callable[[str], str] = str
) -> list[str]:
    """Write the words that the vocabulary spells; returns those it cannot.

    Args:
        words: as the language model knows them.
        vocabulary: the recogniser's symbols.
        path: the file to write.
        letters: from a word to its letters; `str.upper` for a language model in lower case.

    Raises:
        DataError: it can spell none of them.
    """
    can, cannot = spellable(words, vocabulary, letters)
    if not can:
        shown = ", ".join(repr(word) for word in cannot[:3])
        raise DataError(
            f"the model's symbols spell none of the {len(cannot)} words (e.g. {shown})",
            where=path,
            mend="bring the text into the form of the transcripts (capitals A-Z and apostrophes)",
        )
    write_text(path, "".join(f"{word}\t{' '.join(letters(word))} {BOUNDARY}\n" for word in can))
    return cannot


def read_lexicon(path: str | Path, vocabulary: Vocabulary) -> list[Entry]:
    """Read and check a lexicon.

    Raises:
        DataError: missing, a broken line, a symbol outside the vocabulary, no boundary at the end of a spelling, or
            more words of one spelling than a decoder can hold.
    """
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    entries: dict[Entry, None] = {}
    try:
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, start=1):
                if line.strip():
                    entries[_entry(line, ids, path, number)] = None
    except FileNotFoundError:
        raise DataError("no such lexicon", where=path, mend="sew lm ngram writes one beside its model") from None
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text ({error})", where=path) from None
    if not entries:
        raise DataError("no words in this lexicon", where=path)
    spelling, count = Counter(entry.spelling for entry in entries).most_common(1)[0]
    if count > MAX_HOMOGRAPHS:
        letters = " ".join(vocabulary.tokens[i] for i in spelling)
        raise DataError(f"{count} words are spelled {letters!r}; at most {MAX_HOMOGRAPHS} can be", where=path)
    return list(entries)


def _entry(line: str, ids: dict[str, int], path: str | Path, number: int) -> Entry:
    word, *symbols = line.split()
    if not symbols:
        raise DataError(f"line {number}: {word!r} has no spelling", where=path, mend="write: WORD<TAB>W O R D |")
    if unknown := [symbol for symbol in symbols if symbol not in ids]:
        hint = "the lexicon is in another case than the model" if unknown[0].swapcase() in ids else "spell it anew"
        raise DataError(f"line {number}: {word!r} has {unknown[0]!r}, no symbol of the model", where=path, mend=hint)
    if symbols[-1] != BOUNDARY or BOUNDARY in symbols[:-1]:
        raise DataError(
            f"line {number}: the spelling of {word!r} does not end in its one {BOUNDARY!r}",
            where=path,
            mend="write: WORD<TAB>W O R D |",
        )
    return Entry(word, tuple(ids[symbol] for symbol in symbols))
