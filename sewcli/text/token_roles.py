"""What the symbols of a CTC model are beside letters: blank, word boundary, special symbols, and how labels become text.

A `Roles` says it for one vocabulary, by ids; nothing elsewhere assumes an id or a spelling. Where no file says it
(a list of letters, a bare vocab.json) it is found by the names in use.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sewcli.base.errors import DataError

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")
BLANKS = ("<pad>", "[PAD]", "<PAD>", "[pad]", "<blank>", "[BLANK]", "<blk>", "<ctc_blank>", "<eps>")
FIRST_BLANK = "_"  # a blank only where it is the first symbol
UNKNOWNS = ("<unk>", "[UNK]", "<UNK>", "[unk]")
ENDS = ("<s>", "</s>", "[CLS]", "[SEP]", "[MASK]", "<BOS>", "<EOS>", "<bos>", "<eos>", "<sos/eos>", "<sos>")
BOUNDARIES = ("|", " ")
SPACES = ("<space>", "▁")  # the word boundary in lists of ESPnet and of sentencepiece
PIECE = "▁"  # begins the pieces of words that sentencepiece makes
_DISAMBIGUATION = re.compile(r"#\d+")  # of Kaldi's lexicons, in its phones.txt
PHONES = 0.2  # share of symbols of several characters from which on a list without a word boundary is one of phones
TIDIED = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")
"""Where `clean_up_tokenization_spaces` of transformers takes blanks away, in its order."""


@dataclass(frozen=True)
class Roles:
    """What each id of a vocabulary stands for.

    Args:
        blank: the CTC blank.
        boundary: the symbol between words; None where symbols are whole words or phones, or run on without words.
        silent: ids that no text has: the blank, special symbols, rows of the head without a symbol.
        written: of ids whose text is not the symbol itself: what is written for them.
        unused: rows of the head without a symbol.
        lower_case: whether text is written in lower case, and read in any case, with symbols in capitals.
        separated: whether a blank stands between any two symbols, as between phones.
        tidy: whether blanks before punctuation and English clitics are taken away.
        names: `pad_token`, `unk_token`, ... of transformers -> the symbol.
    """

    blank: int
    boundary: int | None
    silent: frozenset[int]
    written: Mapping[int, str] = field(default_factory=dict)
    unused: frozenset[int] = frozenset()
    lower_case: bool = False
    separated: bool = False
    tidy: bool = False
    names: Mapping[str, str] = field(default_factory=dict)


def roles_by_names(tokens: Sequence[str], *, separated: bool = False) -> Roles:
    """The roles of symbols of which no file says anything but their names.

    Raises:
        DataError: none of them is a CTC blank.
    """
    blank = blank_by_name(tokens)
    if blank is None:
        raise DataError(
            "no-blank",
            "no symbol of the vocabulary is the CTC blank",
            hint=f"name it {BLANKS[0]} or {BLANKS[1]}; or put the tokenizer_config.json with its pad_token beside it",
        )
    silent = {i for i, token in enumerate(tokens) if token in (*BLANKS, *UNKNOWNS, *ENDS)} | {blank}
    boundary = next((tokens.index(name) for name in BOUNDARIES if name in tokens), None)
    names = {"pad_token": tokens[blank]}
    found = {"bos_token": "<s>", "eos_token": "</s>"}
    names |= {role: token for role, token in found.items() if token in tokens and tokens.index(token) != blank}
    unknown = next((token for token in UNKNOWNS if token in tokens), None)
    names |= {"unk_token": unknown} if unknown else {}
    if separated and boundary is not None:
        silent, boundary = silent | {boundary}, None
    return Roles(blank, boundary, frozenset(silent), separated=separated, names=names)


def blank_by_name(tokens: Sequence[str]) -> int | None:
    """The id of the symbol that is called like a blank."""
    named = next((tokens.index(name) for name in BLANKS if name in tokens), None)
    return 0 if named is None and tokens and tokens[0] == FIRST_BLANK else named


def are_phones(symbols: Sequence[str]) -> bool:
    """Whether symbols without a word boundary among them are phones: many have several characters, marks not counted."""
    if not symbols or any(name in symbols for name in BOUNDARIES):
        return False
    long = sum(sum(not unicodedata.category(c).startswith("M") for c in symbol) > 1 for symbol in symbols)
    return long > PHONES * len(symbols)


def listed_symbols(lines: Sequence[str]) -> list[str]:
    """The letters or phones of a list, a line each, with the boundary `|` where it has one under another name.

    What stands behind a symbol is a count (fairseq) or an id (icefall, Kaldi). Blanks, unknown symbols and ends of sentences
    under any name are left out: a vocabulary has its own.

    Raises:
        DataError: numbers before or behind a comma, or pieces of words.
    """
    fields = [line.split() for line in lines if line]
    first = [own[0] for own in fields]
    behind = [own[1] for own in fields if len(own) > 1]
    are_numbers = len(first) > 1 and first == [str(i) for i in range(len(first))]
    if are_numbers and len(behind) == len(first) and not all(map(str.isdecimal, behind)):  # else digits with counts
        raise DataError(
            "not-a-symbol-list", "ids stand before the symbols", hint="write a symbol a line, without its id"
        )
    if len(first) > 1 and all(_COMMA.fullmatch(symbol) for symbol in first):
        raise DataError(
            "not-a-symbol-list",
            "a table with commas, not a list of symbols",
            hint="write a symbol a line, without its id",
        )
    if pieces := [symbol for symbol in first if symbol.startswith(PIECE) and len(symbol) > 1]:
        raise DataError(
            "not-a-symbol-list",
            f"pieces of words ({', '.join(pieces[:3])}), as sentencepiece makes them",
            hint="sew trains letters and phones: give a list of these",
        )
    left_out = {*BLANKS, *UNKNOWNS, *ENDS}
    symbols = [s for s in first if s not in left_out and not _DISAMBIGUATION.fullmatch(s)]
    return symbols if SPECIAL[-1] in symbols else [SPECIAL[-1] if s in SPACES else s for s in symbols]


_COMMA = re.compile(r"(.+,\d+|\d+,.+)")


def tidied(text: str) -> str:
    """Text without the blanks that `clean_up_tokenization_spaces` of transformers takes away."""
    for found in TIDIED:
        text = text.replace(found, found.strip())
    return text
