"""Alphabets derived from transcripts: counts, order, rare symbols, phones."""

import pytest

from sewcli.base.errors import DataError
from sewcli.text.alphabet import RARE, alphabet

COMMON = [(f"u{n}", "გამარჯობა ბაბუა") for n in range(RARE)]


def test_the_most_frequent_symbol_comes_first_whatever_the_order_of_the_texts() -> None:
    found = alphabet([*COMMON, ("last", "ჟ")]).vocabulary
    assert found == alphabet([("last", "ჟ"), *COMMON[::-1]]).vocabulary
    assert found.symbols[0] == "ა" and found.symbols[-1] == "ჟ"
    assert found.text(found.encode("ბაბუა ჟ")) == "ბაბუა ჟ"


def test_rare_symbols_have_an_example() -> None:
    found = alphabet([*COMMON, ("odd", "გa"), ("odder", "ჟჟ")])
    assert found.rare == {"a": "odd", "ჟ": "odder"}
    many = [(f"c{n}", chr(0x4E00 + n)) for n in range(600)]
    assert alphabet(many).rare == {}  # a script of thousands


def test_combining_marks_are_symbols() -> None:
    found = alphabet([("u", "नमस्ते")]).vocabulary
    assert found.text(found.encode("नमस्ते")) == "नमस्ते" and "\u094d" in found.symbols


def test_phones_stand_between_blanks() -> None:
    found = alphabet([("u", "t ʃ aː t")], phones=True).vocabulary
    assert found.separated and found.symbols == ["t", "aː", "ʃ"] and found.boundary is None
    assert found.text(found.encode("ʃ aː")) == "ʃ aː"


def test_no_text_and_special_symbols_are_refused() -> None:
    with pytest.raises(DataError, match="no alphabet"):
        alphabet([("u", " ")])
    with pytest.raises(DataError, match="'<pad>' in a transcript") as caught:
        alphabet([("u1", "a"), ("u2", "b <pad>")], phones=True)
    assert caught.value.where == "u2"
