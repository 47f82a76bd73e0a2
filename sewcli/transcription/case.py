"""The case of a transcript: as the model writes it, all in lower case, or each line as a sentence.

Scripts without case stay as they are; so does Georgian, which has capitals but begins no sentence with them. Names are not
known, nor is the English I: what stands within a line is in lower case. I and İ follow Turkish where the model has ı or İ.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from sewcli.alignment.writers import Span
from sewcli.text.tokens import Vocabulary
from sewcli.transcription.words import Line

Case = Literal["as-is", "lower", "sentence"]
_TURKISH_LOWER, _TURKISH_UPPER = str.maketrans({"I": "ı", "İ": "i"}), {"i": "İ", "ı": "I"}


def caser(case: Case, vocabulary: Vocabulary) -> Callable[[Line], Line]:
    """What brings lines of this vocabulary into a case.

    Words keep their times, and those of their letters.
    """
    turkish = bool({"ı", "İ"} & set(vocabulary.symbols))

    def lower(text: str) -> str:
        return (text.translate(_TURKISH_LOWER) if turkish else text).lower()

    def capital(text: str) -> str:
        place = next((n for n, c in enumerate(text) if c.isalpha()), len(text))
        letter = text[place : place + 1]
        title = _TURKISH_UPPER.get(letter, letter.title()) if turkish else letter.title()
        return text[:place] + title + text[place + 1 :]

    def written(line: Line) -> Line:
        words = [_changed(word, lower) for word in line.words]
        return Line([_changed(words[0], capital), *words[1:]] if case == "sentence" else words)

    return written if case != "as-is" else lambda line: line


def _changed(word: Span, change: Callable[[str], str]) -> Span:
    """A word with its letters, as far as each of these changes by itself."""
    text = change(word.text)
    ends = list(itertools.accumulate((len(letter.text) for letter in word.letters), initial=0))
    if len(text) != len(word.text) or ends[-1] != len(text):
        return replace(word, text=text)
    parts = (text[a:b] for a, b in itertools.pairwise(ends))
    letters = tuple(replace(letter, text=part) for letter, part in zip(word.letters, parts, strict=True))
    return replace(word, text=text, letters=letters)
