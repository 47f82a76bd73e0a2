"""What the transcribers of Switchboard and Fisher would have written of a sentence, and what is then heard.

Each draws one kind of markup for about a third of the sentences; the forms are those of the two corpora's guidelines, as the
rules of `text.telephone` undo them. A sentence is capitals; speech is small letters; what is written is as in the corpus.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Pair = tuple[str, str]  # what is said, what is written
Markup = Callable[[str, np.random.Generator], Pair]
Kind = Callable[[list[str], int], Pair]  # the words of a sentence, and the place of one of at least four letters

SHARE = 0.35  # of the sentences that get any markup


def _around(before: str = "", after: str = "") -> Kind:
    return lambda words, _: (" ".join(words), " ".join(filter(None, [before, *words, after])))


def _word(said: Callable[[str], str], written: Callable[[str], str]) -> Kind:
    """Change one word: how it is said, how it is written."""

    def change(words: list[str], place: int) -> Pair:
        before, word, after = words[:place], words[place], words[place + 1 :]
        return " ".join([*before, said(word), *after]), " ".join([*before, written(word), *after])

    return change


def _added(said: str, written: str) -> Kind:
    return lambda words, _: (" ".join([*words, said]), " ".join([*words, written]))


def _same(word: str) -> str:
    return word


_SWITCHBOARD: tuple[Kind, ...] = (
    _around("[noise]"),
    _around(after="[laughter]"),
    _around("[vocalized-noise]", "[noise]"),
    _around("<b_aside>", "<e_aside>"),
    _word(_same, lambda word: f"[laughter-{word}]"),
    _word(_same, lambda word: f"{{{word}}}"),
    _word(_same, lambda word: f"{word}_1"),
    _word(lambda word: word[:-1], lambda word: f"[{word[:-1]}/{word}]"),
    _word(lambda word: f"{word[:2]} {word}", lambda word: f"{word[:2]}[{word[2:]}]- {word}"),
    _word(lambda word: f"{word[2:]} {word}", lambda word: f"-[{word[:2]}]{word[2:]} {word}"),
    _word(lambda word: f"{word[:2]} {word}", lambda word: f"[laughter-{word[:2]}[{word[2:]}]-] {word}"),
    _added("on t v", "on TV"),
    _added("and c dees", "and CDs"),
    _added("uh huh", "uh-huh"),
)
_FISHER: tuple[Kind, ...] = (
    _around("[laugh]"),
    _around(after="[sigh]"),
    _around("[breath]", "[lipsmack]"),
    _around("[mn]"),
    _around(after="[[skip]]"),
    _around("((", "))"),
    _added("or so", "or (( ))"),
    _word(lambda word: f"{word[:2]} {word}", lambda word: f"{word[:2]}- {word}"),
    _added("on t v", "on t._v."),
    _added("and c dees", "and c._d.s"),
    _added("uh huh", "uh-huh"),
)


def _draw(kinds: tuple[Kind, ...], alone: tuple[str, ...]) -> Markup:
    """One of `kinds` for some sentences; now and then a turn that is a noise `alone`."""

    def markup(sentence: str, rng: np.random.Generator) -> Pair:
        words = sentence.lower().split()
        chance, kind, place = rng.random(), int(rng.integers(len(kinds))), int(rng.integers(100))
        if chance < 0.02:
            return "ha ha", alone[place % len(alone)]
        long_ones = [index for index, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
        if chance > SHARE or not long_ones:
            return " ".join(words), " ".join(words)
        return kinds[kind](words, long_ones[place % len(long_ones)])

    return markup


SWITCHBOARD = _draw(_SWITCHBOARD, ("[laughter]", "[noise]", "[vocalized-noise]"))
FISHER = _draw(_FISHER, ("[laugh]", "[cough]", "", "((  ))"))
