"""Words and phrases that are given for one search, beside its language model: the files of `--words` and `--boost`.

`--words`: `WORD`, `WORD<TAB>PROBABILITY` or `WORD<TAB>PROBABILITY<TAB>S P E L L I N G |` a line. `--boost`: `PHRASE` or
`PHRASE<TAB>WEIGHT`. Blank lines and lines that begin with `#` and a blank are skipped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewcli.base.errors import DataError, UsageError, quoted
from sewcli.base.files import sha256
from sewcli.base.texts import open_text
from sewcli.lm.lexicon import BOUNDARY, LONGEST, entry_of, report_unspelled
from sewcli.text.form import one_form
from sewcli.text.tokens import Vocabulary

WEIGHT = 1.0  # of a phrase without one: chosen by benchmarks/new_words.py
LARGEST_WEIGHT = 20.0
SHOWN = 6  # hexadecimal digits of a file in a folder's name


@dataclass(frozen=True)
class Bias:
    """The files of a search.

    words: words that it may write though the lexicon lacks them. boost: phrases that it finds likelier.

    Raises:
        UsageError: a file is not there.
    """

    words: Path | None = None
    boost: Path | None = None

    def __post_init__(self) -> None:
        for path in self._files().values():
            if not path.is_file():
                raise UsageError(
                    "list-missing", "no such list", where=path, hint="a text file with a word or a phrase a line"
                )

    def __bool__(self) -> bool:
        return self.words is not None or self.boost is not None

    def marks(self) -> list[str]:
        """What decides the result: the files' content."""
        return [f"{name} {sha256(path)}" for name, path in self._files().items()]

    def name(self) -> list[str]:
        """Parts of a folder's name, such as `words3fa201`: other content is another folder."""
        return [f"{name}{sha256(path)[:SHOWN]}" for name, path in self._files().items()]

    def settings(self) -> dict[str, Any]:
        """Facts for decode.json; empty without files."""
        return {name: {"file": str(path), "sha256": sha256(path)} for name, path in self._files().items()}

    def _files(self) -> dict[str, Path]:
        given = {"words": self.words, "boost": self.boost}
        return {name: path for name, path in given.items() if path is not None}


NO_BIAS = Bias()


@dataclass(frozen=True)
class NewWord:
    """A word as it was given, its spelling as ids with the boundary last, and log10 of its unigram probability or None."""

    word: str
    spelling: tuple[int, ...]
    log10: float | None


def read_new_words(path: Path, vocabulary: Vocabulary) -> list[NewWord]:
    """Read the file of `--words`; words without a spelling are spelled by their letters.

    Raises:
        DataError: missing, empty, a line of another form, or more than a few words that the vocabulary cannot spell.
    """
    found: list[NewWord] = []
    cannot: list[str] = []
    for number, (word, *columns) in _lines(path):
        if " " in word:
            raise DataError(
                "words-line",
                f"line {number}: {quoted(word)} is {len(word.split())} words",
                where=path,
                hint="a word a line: WORD<TAB>PROBABILITY; --boost takes phrases",
            )
        if len(columns) > 2:
            raise DataError("words-line", f"line {number}: {len(columns) + 1} columns", where=path, hint=_WORDS_HINT)
        probability, spelling = (*columns, "", "")[:2]
        log10 = _log10(probability, path, number)
        if spelling:
            found.append(NewWord(word, entry_of(f"{word} {spelling}", vocabulary, path, number).spelling, log10))
        elif len(word) > LONGEST or vocabulary.outside(word):
            cannot.append(word)
        else:
            end = () if vocabulary.boundary is None else (vocabulary.boundary,)
            found.append(NewWord(word, (*vocabulary.encode(word), *end), log10))
    report_unspelled(cannot, len(cannot), len(found) + len(cannot), vocabulary)
    if not found:
        raise DataError("words-empty", "no word that can be spelled in this list", where=path, hint=_WORDS_HINT)
    return found


def read_phrases(path: Path, vocabulary: Vocabulary) -> dict[tuple[str, ...], float]:
    """Read the file of `--boost`: the weight of each phrase, given as its words in the form of hypotheses.

    Raises:
        DataError: missing, empty, a weight that is none, or two weights of one phrase.
    """
    phrases: dict[tuple[str, ...], float] = {}
    for number, (phrase, *columns) in _lines(path):
        if len(columns) > 1:
            raise DataError("boost-line", f"line {number}: {len(columns) + 1} columns", where=path, hint=_BOOST_HINT)
        given = columns[0] if columns else ""
        weight = _number(given) if given else WEIGHT
        if weight is None or not 0 < weight <= LARGEST_WEIGHT:
            raise DataError(
                "boost-line",
                f"line {number}: the weight {quoted(given)} is not a number above 0 and up to {LARGEST_WEIGHT:g}",
                where=path,
                hint=_BOOST_HINT,
            )
        words = tuple(written(word, vocabulary) for word in phrase.split())
        if phrases.setdefault(words, weight) != weight:
            raise DataError(
                "boost-line", f"line {number}: {quoted(phrase)} has another weight above", where=path, hint=_BOOST_HINT
            )
    if not phrases:
        raise DataError("boost-empty", "no phrase in this list", where=path, hint=_BOOST_HINT)
    return phrases


def written(word: str, vocabulary: Vocabulary) -> str:
    """A word as hypotheses write it; over phones, words have a form of their own."""
    return one_form(word) if vocabulary.separated else vocabulary.text_form(word)


_WORDS_HINT = f"write: WORD, WORD<TAB>PROBABILITY or WORD<TAB>PROBABILITY<TAB>W O R D {BOUNDARY}"
_BOOST_HINT = "write: PHRASE or PHRASE<TAB>WEIGHT; 1 makes each of its words ten times as likely"


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbers and columns of the lines."""
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            columns = [one_form(column) for column in line.rstrip("\r\n").split("\t")]
            if not any(columns) or line.startswith("# "):
                continue
            if not columns[0]:
                raise DataError(
                    "list-line", f"line {number} begins with a tab", where=path, hint="the word or phrase comes first"
                )
            yield number, columns


def _log10(text: str, path: Path, number: int) -> float | None:
    if not text:
        return None
    value = _number(text)
    if value is None or not 0 < value < 1:
        raise DataError(
            "words-line",
            f"line {number}: {quoted(text)} is not a probability between 0 and 1",
            where=path,
            hint=_WORDS_HINT,
        )
    return math.log10(value)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
