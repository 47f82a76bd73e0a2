"""Alignments of references with markup, counted by hand; test_nist.py holds them against sclite."""

import random

import pytest

from sewcli.base.errors import DataError
from sewcli.scoring.network import align, align_words, count, network, network_of


@pytest.mark.parametrize(
    ("reference", "hypothesis", "words", "errors"),
    [
        ("A B", "A B", 2, 0),
        ("A (B)", "A", 2, 0),  # an optional word left out is right
        ("A (B)", "A C", 2, 1),
        ("(A) (B)", "", 2, 0),
        ("{ A / B C }", "B C", 2, 0),
        ("{ A / B C }", "A", 1, 0),
        ("{A/@} B", "B", 1, 0),
        ("{ A / { B / C D } } E", "c d e", 3, 0),
        ("{ A / @ }", "X", 0, 1),
        ("TH- X", "THE X", 2, 0),  # of a fragment, what was said
        ("SING", "-ING", 1, 0),
        ("(TH-)", "THE", 1, 0),
        ("(-ING)", "SING", 1, 1),  # sclite does not see a fragment here
        ("", "A B", 0, 2),
        ("A", "", 1, 1),
        ("1/2 @", "1/2", 1, 0),
    ],
)
def test_networks(reference: str, hypothesis: str, words: int, errors: int) -> None:
    found = count(align(network(reference), network(hypothesis)))
    assert (found.words, found.errors) == (words, errors)


@pytest.mark.parametrize("text", ["{ A / B", "A }", "{ { A } "])
def test_braces_must_pair(text: str) -> None:
    with pytest.raises(DataError, match="brace"):
        network(text)


@pytest.mark.parametrize("words", ["A B C", "A B- -B BB AB BA @ A- -", "A"])
def test_plain_words_are_aligned_as_networks_of_them(words: str) -> None:
    rng = random.Random(words)
    for _ in range(600):
        pair = [[rng.choice(words.split()) for _ in range(rng.randint(0, 8))] for _ in range(2)]
        assert align_words(*pair) == align(*map(network_of, pair)), pair
