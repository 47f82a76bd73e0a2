"""Words in the pieces at which a line may end: characters of scripts without blanks, and words longer than a line in parts.

Times of the pieces are those of the letters where the word is spelled as it is written, else shares of the word's time.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import accumulate, pairwise

from sewcli.alignment.writers import Span
from sewcli.text.spacing import in_unspaced_script

WIDE = 42 / 16  # columns of a full-width character: subtitles have 42 letters a line, or 16 Chinese characters
JOINERS = "\u200c\u200d"
VIRAMA = 9  # its combining class in Unicode: in Hindi, Khmer and others


def units(word: Span, width: int) -> list[Span]:
    """A word as pieces at most `width` columns wide.

    Characters of a script without blanks stand alone, each with the marks that combine with it; anything else stays together,
    unless it is longer.
    """
    pieces: list[str] = []
    alone = True
    for cluster in _clusters(word.text):
        own = in_unspaced_script(cluster[0])
        if pieces and not own and not alone and text_width(pieces[-1] + cluster) <= width:
            pieces[-1] += cluster
        else:
            pieces.append(cluster)
        alone = own
    if len(pieces) == 1:
        return [word]
    edges = [0, *accumulate(map(len, pieces))]
    return [
        Span(piece, *_times(word, begin, end), word.confidence)
        for piece, (begin, end) in zip(pieces, pairwise(edges), strict=True)
    ]


def text_width(text: str) -> float:
    """How wide a text is at most, in columns: WIDE of full-width characters, 1 of others, also of marks."""
    return len(text) if text.isascii() else sum(WIDE if unicodedata.east_asian_width(c) in "WF" else 1.0 for c in text)


def _clusters(text: str) -> list[str]:
    """Characters, each with what is written on it or is one sign with it."""
    found: list[str] = []
    for character in text:
        if found and (_continues(character) or _joins(found[-1][-1])):
            found[-1] += character
        else:
            found.append(character)
    return found


def _continues(character: str) -> bool:
    """Whether it is written on the character before it: a mark, a joiner."""
    return unicodedata.category(character)[0] == "M" or character in JOINERS


def _joins(character: str) -> bool:
    """Whether what follows is one sign with it, as after a virama."""
    return character == "\u200d" or unicodedata.combining(character) == VIRAMA


def _times(word: Span, begin: int, end: int) -> tuple[float, float]:
    """Of characters `begin` to `end` of a word."""
    if "".join(letter.text for letter in word.letters) != word.text:
        each = (word.end - word.start) / len(word.text)
        return word.start + begin * each, word.start + end * each
    starts = list(accumulate((len(letter.text) for letter in word.letters), initial=0))
    inside = _inside(word.letters, starts, begin, end)
    return inside[0].start, inside[-1].end


def _inside(letters: Sequence[Span], starts: Sequence[int], begin: int, end: int) -> list[Span]:
    return [letter for letter, (a, b) in zip(letters, pairwise(starts), strict=True) if a < end and b > begin]
