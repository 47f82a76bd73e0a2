"""Normalisation, by a table of examples and by its laws."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewcli.text import normalize
from sewcli.text.tokens import Vocabulary


@pytest.mark.parametrize(
    ("text", "expected", "outside"),
    [
        ("KNIT TWO TOGETHER KNIT THREE", "KNIT TWO TOGETHER KNIT THREE", []),  # as published: unchanged
        ("IT'S JAMES' OWN", "IT'S JAMES' OWN", []),
        ("  two   spaces\tand a tab\n", "TWO SPACES AND A TAB", []),
        ("it’s", "IT'S", []),
        ("", "", []),
        ("room 101", "ROOM 101", ["1", "0"]),
        ("well, yes.", "WELL, YES.", [",", "."]),
        ("café straße", "CAFé STRAßE", ["é", "ß"]),  # str.upper would write SS for one letter, in silence
        ("<unk> [noise]", "<UNK> [NOISE]", ["<", ">", "[", "]"]),
    ],
)
def test_examples(text: str, expected: str, outside: list[str]) -> None:
    assert normalize.librispeech(text) == expected
    assert normalize.outside(expected) == outside


@given(st.text())
def test_laws(text: str) -> None:
    normalised = normalize.librispeech(text)
    assert normalize.librispeech(normalised) == normalised
    if not normalize.outside(normalised):
        letters = Vocabulary.letters()
        assert letters.text(letters.encode(normalised)) == normalised  # a letter model can write it


def test_examples_in_the_docstrings() -> None:
    results = doctest.testmod(normalize)
    assert results.attempted >= 3 and results.failed == 0
