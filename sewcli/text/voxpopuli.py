"""VoxPopuli's texts as a letter model wants them, and Europarl's for the language model beside it: lists of named rules.

Source: `process_text` of get_lm_data.py in facebookresearch/voxpopuli (called "the tool" below), which makes the text of
the official language model. Its column `normalized_text` is lower case without punctuation, numbers written out; few rows
are not, so the transcripts have rules too. Letters are those of the tool's alphabet for English: a to z and '.
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache

from sewcli.text.rules import Rule, substitution

LONGEST_NUMBER = 15  # digits that are read as one number; more are an identifier, spelled digit by digit

_LETTERS = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
_UNDIVIDED = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})
# The tool removes ASCII punctuation without ' - / (the last two are spaces by then) and «»‟″“”…‘•„‚≤ᵉ.
_PUNCTUATION = string.punctuation.replace("'", "") + "«»‟″“”…‘•„‚≤ᵉ"
_SPOKEN = "#$%&*+=@\\"  # of these, what a speaker says aloud: a transcript cannot lose them in silence
_NUMBER = re.compile(r"[0-9]+(?:[.,:][0-9]+)*((?:st|nd|rd|th)\b)?", re.IGNORECASE)


def _without_brackets(text: str) -> str:
    """Brackets go with what is in them, the innermost first; one without its partner stays for the punctuation rule."""
    while (inner := _BRACKETS.sub(" ", text)) != text:
        text = inner
    return text


_BRACKETS = re.compile(r"\([^()\[\]]*\)|\[[^()\[\]]*\]")


def _number_in_words(match: re.Match[str]) -> str:
    """`50` -> fifty, `50th` -> fiftieth, `12.000` and `1,000,000` are one number, `18.4.2009` and `18:30` several."""
    ordinal = match[1] is not None
    digits = match[0][: len(match[0]) - len(match[1] or "")]
    head, *groups = re.split(r"[.,:]", digits)
    if groups and ":" not in digits and len(head) <= 3 and all(len(group) == 3 for group in groups):
        head, groups = head + "".join(groups), []
    parts = [head, *groups]
    words = [_words(part, ordinal and index == len(parts) - 1) for index, part in enumerate(parts)]
    return f" {' '.join(words)} "


@lru_cache(maxsize=10_000)
def _words(digits: str, ordinal: bool) -> str:
    from num2words import num2words  # imported late: it takes 0.1 s

    if len(digits) > LONGEST_NUMBER:
        return " ".join(str(num2words(int(digit))) for digit in digits)
    spoken = str(num2words(int(digits), to="ordinal" if ordinal else "cardinal"))
    return spoken.replace(",", "").replace("-", " ")  # "one thousand, two hundred and thirty-four"


def _plain_letters(text: str) -> str:
    """`é` -> e, `ß` -> ss; letters of other alphabets stay."""
    if text.isascii():
        return text
    divided = unicodedata.normalize("NFD", text.lower().translate(_UNDIVIDED))
    return unicodedata.normalize("NFC", "".join(c for c in divided if not unicodedata.combining(c)))


# tool: out.replace("’", "'"); the other two are the same sign in other fonts
APOSTROPHES = substitution("typographic apostrophes made plain", "[\u2019\u02bc\uff07]", "'")
# tool: remove_parentheses; there an open bracket without its partner repeats the text before it
BRACKETS = Rule("remarks in brackets removed", _without_brackets)
# tool: "-/–·" to spaces; the dash of the other length and the minus sign are ours
DASHES = substitution("dashes and slashes made spaces", "[-/–·—‐‑−]", " ")
# tool: process_digits; there "3rd" is "three rd", "1,000th" is "zeroth", and the hyphen of "forty-two" stays in the word
NUMBERS = Rule("digits made words", lambda text: _NUMBER.sub(_number_in_words, text))
# ours: the tool leaves such words out of its vocabulary; a letter model writes CAFE for café
ACCENTS = Rule("letters with accents made plain", _plain_letters)
# tool: REMOVE_TRANSLATOR, without the signs that are read aloud
PUNCTUATION = substitution("punctuation removed", f"[{re.escape(''.join(set(_PUNCTUATION) - set(_SPOKEN)))}]", "")
# tool: REMOVE_TRANSLATOR
ALL_PUNCTUATION = substitution("punctuation removed", f"[{re.escape(_PUNCTUATION)}]", "")
# ours: an apostrophe that stands alone, or two side by side, belong to no word
LONE_APOSTROPHES = substitution("apostrophes without a word removed", r"(?<!\S)'(?!\S)|''+", "")
# tool: re.sub("'+", "'"), strip("'"), replace("' ", " "), replace(" '", " ")
QUOTES = substitution("apostrophes at the edges of words removed", r"(?<!\S)'+|'+(?!\S)|(?<=')'+", "")
# ours: the letters of the published English models are capitals
CAPITALS = Rule("capitals", lambda text: text.translate(_LETTERS))

TRANSCRIPT = (APOSTROPHES, BRACKETS, DASHES, NUMBERS, ACCENTS, PUNCTUATION, LONE_APOSTROPHES, CAPITALS)
"""For `normalized_text` (`normed_text` in the annotations). An apostrophe at the edge of a word is part of it, as published."""

SENTENCE = (APOSTROPHES, BRACKETS, DASHES, NUMBERS, ACCENTS, ALL_PUNCTUATION, QUOTES, CAPITALS)
"""For the sentences of Europarl, and of any other text for the language model."""
