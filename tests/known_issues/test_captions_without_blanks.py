"""Captions and CTM of scripts that are written without blanks: lines of 42 characters, 7 s, times of the characters."""

import unicodedata

import pytest

from sewcli.alignment.alignment import word_span
from sewcli.alignment.writers import Span
from sewcli.transcription.captions import LONGEST, WIDTH, captions
from sewcli.transcription.formats import Channel, make
from sewcli.transcription.units import units
from sewcli.transcription.words import Line

TEXTS = {
    "chinese": "今天天气很好我们去公园喜欢学习语音识别技术" * 16,
    "japanese": "きょうはとてもいいてんきですねコウエンニイキマショウ" * 12,
    "thai": "วันนี้อากาศดีมากเราไปสวนสาธารณะกันเถอะ" * 9,
    "khmer": "ថ្ងៃនេះអាកាសធាតុល្អណាស់យើងទៅសួន" * 9,
    "one long word": "A" * 334,
}


def spoken(text: str, each: float) -> Span:
    """One word without blanks, each of its letters `each` seconds long."""
    letters = [Span(c, n * each, (n + 0.9) * each, 0.9) for n, c in enumerate(text)]
    return word_span(text, letters)


@pytest.mark.fault("report-64", "report-7")
@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("each", [0.03, 0.4])
@pytest.mark.parametrize("known", [True, False])
def test_captions_are_as_long_as_promised(kind: str, each: float, known: bool) -> None:
    text = TEXTS[kind]
    word = spoken(text, each)
    word = word if known else Span(word.text, word.start, word.end, word.confidence)
    made = captions([word], word.end + 2)
    assert "".join(line for caption in made for line in caption.lines) == text
    for caption in made:
        assert len(caption.lines) <= 2 and all(0 < len(line) <= WIDTH for line in caption.lines)
        if kind != "one long word" or each < 0.1:
            assert caption.end - caption.start <= LONGEST + 0.31
        for line in caption.lines:
            assert not unicodedata.category(line[0]).startswith("M")


@pytest.mark.fault("report-64")
def test_times_are_those_of_the_characters() -> None:
    word = spoken("今天iPhone很ด้", 0.5)
    made = units(word, WIDTH)
    assert [unit.text for unit in made] == ["今", "天", "iPhone", "很", "ด้"]
    times = [(0, 0.45), (0.5, 0.95), (1.0, 3.95), (4.0, 4.45), (4.5, 5.45)]
    assert [(unit.start, unit.end) for unit in made] == [pytest.approx(pair) for pair in times]
    whole = Span("你好吗呢", 1.0, 3.0, 0.5)
    assert [(unit.text, unit.start) for unit in units(whole, WIDTH)] == [
        ("你", 1.0),
        ("好", 1.5),
        ("吗", 2.0),
        ("呢", 2.5),
    ]
    assert units(Span("WORD", 0, 1, 1), WIDTH) == [Span("WORD", 0, 1, 1)]


@pytest.mark.fault("report-64")
def test_ctm_is_by_character_where_there_are_no_words() -> None:
    lines = make("ctm", Channel("a.wav", "a")).line(Line([spoken("今天天气", 0.5)])).splitlines()
    assert lines == [f"a 1 {n * 0.5:.3f} 0.450 {c} 0.900" for n, c in enumerate("今天天气")]
    spaced = make("ctm", Channel("a.wav", "a")).line(Line([Span("今天", 0, 1, 1), Span("天气", 1, 2, 1)])).splitlines()
    assert [line.split()[4] for line in spaced] == ["今天", "天气"]
