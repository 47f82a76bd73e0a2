"""Words in the pieces at which a line may end: characters of scripts without blanks, and words longer than a line in parts.

Times of the pieces are those of the letters where the word is spelled as it is written, else shares of the word's time.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import accumulate, pairwise

from sewcli.alignment.writers import Span
from sewcli.text.spacing import in_unspaced_script


def units(word: Span, width: int) -> list[Span]:
    """A word as pieces of at most `width` characters.

    Characters of a script without blanks stand alone, each with the marks that combine with it; anything else stays together,
    unless it is longer.
    """
    pieces: list[str] = []
    alone = True
    for character in word.text:
        own = in_unspaced_script(character)
        marks = bool(pieces) and unicodedata.category(character).startswith("M")
        if marks or (pieces and not own and not alone and len(pieces[-1]) < width):
            pieces[-1] += character
        else:
            pieces.append(character)
        alone = own or (marks and alone)
    if len(pieces) == 1:
        return [word]
    edges = [0, *accumulate(map(len, pieces))]
    return [
        Span(piece, *_times(word, begin, end), word.confidence)
        for piece, (begin, end) in zip(pieces, pairwise(edges), strict=True)
    ]


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
