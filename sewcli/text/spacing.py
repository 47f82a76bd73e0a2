"""Whether texts separate their words: by blanks, as most scripts do, or not at all, as Chinese, Japanese and Thai are written.

A word error rate, captions broken between words and models of words presume words. Where there are none, a text is one
"word", and letters are what can be counted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

LONG = 15.0  # letters of the average word from which on blanks cannot separate words (Finnish, Turkish: below 9)
LONG_IN_SCRIPT = 6.0  # of scripts that are usually written without: a Chinese word has 1.6, a Thai one 4
BLANKS = 0.1  # share of such texts with a blank, below which blanks separate no words
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "BALINESE", "JAVANESE")
SAMPLE = 5000  # texts looked at


def has_words(texts: Iterable[str]) -> bool:
    """Whether blanks separate words in these texts; texts without letters have words.

    >>> [has_words([text]) for text in ("THE CAT SAT", "PLAYHAPPYMUSICNOW", "今天天气很好", "今天 天气 很 好")]
    [True, False, False, True]
    """
    words = letters = unspaced = with_blanks = count = 0
    for number, text in enumerate(texts):
        if number == SAMPLE:
            break
        found = text.split()
        count += bool(found)
        words += len(found)
        with_blanks += len(found) > 1
        own = [c for word in found for c in word if unicodedata.category(c)[0] == "L"]
        letters += len(own)
        unspaced += sum(map(in_unspaced_script, own))
    if not letters:
        return True
    if unspaced > letters / 2:
        return letters <= LONG_IN_SCRIPT * words and with_blanks >= BLANKS * count
    return letters <= LONG * words


def in_unspaced_script(character: str) -> bool:
    """Whether a character is of a script that is written without blanks between words."""
    return character > "\u0dff" and unicodedata.name(character, "").startswith(UNSPACED)
