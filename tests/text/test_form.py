"""The one form of texts: white space, composition, case; idempotent for any text."""

import doctest
import random
import unicodedata

import pytest

from sewcli.base.errors import DataError
from sewcli.text import form
from sewcli.text.form import TextForm, case_of, one_form
from sewcli.text.tokens import Vocabulary

BLANKS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and chr(c).isspace()]
ALPHABETS = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ'",
    "abcdefghijklmnopqrstuvwxyzäöüß'",
    "abcçdefgğhıijklmnoöprsştuüvyz",
    "αβγδεζσς",
)


def own(letters: str) -> Vocabulary:
    return Vocabulary(("<pad>", "<s>", "</s>", "<unk>", "|", *letters))


def test_doctests() -> None:
    assert doctest.testmod(form).failed == 0


@pytest.mark.parametrize("blank", BLANKS, ids=lambda c: f"U+{ord(c):04X}")
def test_every_white_space_is_a_blank(blank: str) -> None:
    assert one_form(f"\ufeff{blank}A{blank}{blank}B{blank}") == "A B"


def test_normalising_twice_is_normalising_once() -> None:
    draw = random.Random(7)
    pools = ["".join(BLANKS) + "\ufeffAbé’", "ÄẞßİıΣςσΟΔ\u0301\u0307\u0323eoj", "漢字ไทยعربى한국", None]
    for number in range(4000):
        pool = pools[number % len(pools)]
        chars = (
            draw.choice(pool) if pool else chr(draw.choice((draw.randrange(0xD800), draw.randrange(0xE000, 0x30000))))
            for _ in range(9)
        )
        text = "".join(chars)
        assert one_form(one_form(text)) == one_form(text)
        for kind in ("NFC", "NFD"):
            assert one_form(unicodedata.normalize(kind, text)) == one_form(text)
        for alphabet in ALPHABETS:
            of = TextForm.of(alphabet)
            assert of(of(text)) == of(text), (alphabet, text)


def test_cases() -> None:
    assert case_of("") == case_of(["سلام", "你好", "ไทย", "1'"]) == "none"
    assert case_of("ABCß") == "upper" and case_of("abcß") == case_of("abcı") == "lower"
    assert case_of(["iPhone"]) == "mixed"


@pytest.mark.parametrize(
    "letters,text,written",
    [
        ("abc'", "A’B C", "a'b c"),
        ("abc’", "A’B C", "a’b c"),
        ("abcß", "ABẞ ß", "abß ß"),
        ("ABCS", "aß", "ASS"),
        ("abcıi", "ABIİ", "abıi"),
        ("ABCIİ", "abıi", "ABIİ"),
        ("αβοδςσ", "ΟΔΟΣ ΣΟ", "οδος σο"),
        ("ABab", "Ab aB", "Ab aB"),
        ("سلام", "سلام ok", "سلام ok"),
        ("e\u0301a", "áé", "a\u0301e\u0301"),
        ("éa", "e\u0301A", "éa"),
    ],
)
def test_texts_take_the_form_of_the_vocabulary(letters: str, text: str, written: str) -> None:
    assert own(letters).text_form(text) == written


@pytest.mark.fault("report-31", "report-8")
def test_composed_and_decomposed_letters_are_one() -> None:
    assert own("ü").encode("u\u0308") == own("ü").encode("ü")
    decomposed = own("u\u0308")
    assert decomposed.encode("ü") == decomposed.encode("u\u0308") == [5, 6]


@pytest.mark.fault("report-35")
@pytest.mark.parametrize("text", ["A\u200bB", "A\u00adB"])
def test_invisible_characters_are_named(text: str) -> None:
    with pytest.raises(DataError, match=r"'\\u200b'|'\\xad'"):
        Vocabulary.letters().encode(text)
