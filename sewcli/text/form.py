"""The one form of a text: Unicode NFC, single blanks for every kind of white space, and the case that a vocabulary has.

Every text that meets another goes through here: transcripts and labels, references and hypotheses, vocabularies, lexicons,
text for language models. Nothing is dropped but byte order marks and white space; what a vocabulary cannot write stays and
is named where it matters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable
from dataclasses import dataclass

BOM = "\ufeff"
ZERO_WIDTH_SPACE = "\u200b"
APOSTROPHE = "'"
APOSTROPHES = {
    "\u2019": APOSTROPHE,
    "\u02bc": APOSTROPHE,
    "\uff07": APOSTROPHE,
}  # typographers' forms of the one symbol
UPPER, LOWER, MIXED, NONE = "upper", "lower", "mixed", "none"
_SHAPES = ("<wide>", "<narrow>", "<initial>", "<medial>", "<final>", "<isolated>")  # of letters: Ａ, ｱ, ﻣ
_TURKISH = {LOWER: {"I": "ı", "İ": "i"}, UPPER: {"i": "İ", "ı": "I"}}  # where a vocabulary has the dotless i


def one_form(text: str) -> str:
    """NFC without byte order marks, words separated by single blanks; no change of case. Idempotent.

    Tab, no-break space (U+00A0), ideographic space (U+3000), line separator (U+2028) and all other white space of Unicode
    are blanks; a zero-width space (U+200B) is none.

    >>> one_form("\\ufeffcafe\\u0301\\tau\\u00a0lait ")
    'café au lait'
    """
    if text.isascii():
        return " ".join(text.split())
    return " ".join(unicodedata.normalize("NFC", text.replace(BOM, "")).split())


def without_marks(text: str, known: Container[str] = ()) -> str:
    """`text` without the marks that nobody sees or says: soft hyphens, marks of direction, joiners; not those `known`.

    For texts that are compared. A zero-width space stays: it parts words where no blank does.

    >>> without_marks("co\u00adop\u200e")
    'coop'
    """
    if text.isascii():
        return text
    return "".join([c for c in text if c in known or c == ZERO_WIDTH_SPACE or unicodedata.category(c) != "Cf"])


def case_of(texts: Iterable[str]) -> str:
    """Of symbols, words or texts: "upper", "lower", "mixed", or "none" where no character has a case (Arabic, Chinese).

    A letter without a counterpart of its own (ß, ı) says nothing.

    >>> case_of(["THE", "CAT"]), case_of(["the"]), case_of(["The"]), case_of(["你好", "7"])
    ('upper', 'lower', 'mixed', 'none')
    """
    upper = lower = False
    for character in {c for text in texts for c in text}:
        upper = upper or (character != character.lower() and character.lower().upper() == character)
        lower = lower or (character != character.upper() and character.upper().lower() == character)
    return MIXED if upper and lower else UPPER if upper else LOWER if lower else NONE


@dataclass(frozen=True)
class TextForm:
    """How the texts of a vocabulary are written.

    Args:
        case: UPPER or LOWER where all its letters are in one; MIXED or NONE leave texts as they are.
        symbols: what it writes.
    """

    case: str
    symbols: frozenset[str]

    @classmethod
    def of(cls, symbols: Iterable[str]) -> TextForm:
        """Of the symbols that a vocabulary writes, without blank, boundary and special ones."""
        known = frozenset(symbols)
        return cls(case_of(known), known | {" "})

    def __call__(self, text: str) -> str:
        """`text` in one form, in the vocabulary's case and with its apostrophe; idempotent.

        Characters that the vocabulary has are kept, whatever their case. One that it has only as letter and mark (é as e and
        U+0301) is taken apart; full-width letters and Arabic presentation forms become the letters that they are shapes of.

        >>> TextForm.of("abc'")("  CAB\\tB’A ")
        "cab b'a"
        """
        text = one_form(text)
        if self.symbols.issuperset(text):
            return text
        if self.case == LOWER and "ς" in self.symbols:
            text = _FINAL_SIGMA.sub("ς", text)
        cased = unicodedata.normalize("NFC", "".join([_cased(c, self) for c in text]))
        return cased if self.symbols.issuperset(cased) else "".join([_written(c, self.symbols) for c in cased])


def _cased(character: str, form: TextForm) -> str:
    if form.case not in _TURKISH or character in form.symbols:
        return character
    if form.symbols & {"ı", "İ"}:
        character = _TURKISH[form.case].get(character, character)
    return character.lower() if form.case == LOWER else character.upper()


def _written(character: str, symbols: frozenset[str]) -> str:
    """A character that a vocabulary may lack in the way that it writes it, or itself."""
    if character in symbols:
        return character
    if character in APOSTROPHES and APOSTROPHE in symbols:
        return APOSTROPHE
    apart = unicodedata.normalize("NFD", character)
    if not symbols.issuperset(apart) and unicodedata.decomposition(character).startswith(_SHAPES):
        apart = unicodedata.normalize("NFKC", character)
    return apart if symbols.issuperset(apart) else character


_FINAL_SIGMA = re.compile(r"(?<=\w)Σ(?!\w)")
