"""The case of a transcript, and lines of captions in scripts of wide characters and of marks."""

import unicodedata
from itertools import pairwise

import pytest

from sewcli.alignment.writers import Span
from sewcli.text.tokens import Vocabulary
from sewcli.transcription.captions import WIDTH, captions
from sewcli.transcription.case import Case, caser
from sewcli.transcription.units import text_width, units
from sewcli.transcription.words import Line

LETTERS = Vocabulary.letters()
TURKISH = Vocabulary(("<pad>", "<s>", "</s>", "<unk>", "|", *"SR", "İ", "I"))


def line(text: str) -> Line:
    return Line([Span(w, n, n + 1, 0.9, tuple(Span(c, n, n + 1, 0.9) for c in w)) for n, w in enumerate(text.split())])


@pytest.mark.parametrize(
    ("case", "said", "written"),
    [
        ("as-is", "THE CAT", "THE CAT"),
        ("lower", "THE CAT ISN'T", "the cat isn't"),
        ("sentence", "THE CAT ISN'T", "The cat isn't"),
        ("sentence", "'TIS SO", "'Tis so"),
        ("sentence", "ÉTÉ ÇA", "Été ça"),
        ("sentence", "გამარჯობა თბილისი", "გამარჯობა თბილისი"),
        ("sentence", "नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("lower", "今天 天气", "今天 天气"),
    ],
)
def test_lines_are_written_in_a_case_and_scripts_without_one_stay(case: Case, said: str, written: str) -> None:
    made = caser(case, LETTERS)(line(said))
    assert made.text == written
    assert all("".join(letter.text for letter in word.letters) == word.text for word in made.words)
    assert [(word.start, word.end) for word in made.words] == [(word.start, word.end) for word in line(said).words]


def test_dotted_and_dotless_letters_follow_the_models_alphabet() -> None:
    assert caser("lower", TURKISH)(line("ISIR İSİR")).text == "ısır isir"
    assert caser("sentence", TURKISH)(line("İSİR ISIR")).text == "İsir ısır"


def test_lines_of_full_width_characters_hold_16_of_them() -> None:
    made = captions([Span("今" * 40, 0.0, 6.0, 0.9)], 9.0)
    assert [len(text) for caption in made for text in caption.lines] == [16, 16, 8]
    assert all(text_width(text) <= WIDTH for caption in made for text in caption.lines)


@pytest.mark.parametrize("text", ["नमस्ते" * 12, "ក្រសួង" * 12, "ที่นี่" * 12, "e\u0301" * 90])
def test_no_line_begins_within_a_character_and_its_marks(text: str) -> None:
    pieces = [span.text for span in units(Span(text, 0.0, 5.0, 0.9), WIDTH)]
    assert "".join(pieces) == text and len(pieces) > 1
    assert all(text_width(piece) <= WIDTH for piece in pieces)
    for before, piece in pairwise(pieces):
        assert unicodedata.category(piece[0])[0] != "M" and unicodedata.combining(before[-1]) != 9
