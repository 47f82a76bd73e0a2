"""Presets for the transcripts of one's own data: right texts in several scripts, and reasons for what cannot be written."""

import pytest

from sewcli.base.errors import UsageError
from sewcli.text.presets import PRESETS, Text, TextRules, Unusable

RIGHT = [
    ("letters", "en", "“It’s 21 o'clock,” he said — isn't it, 'Bob'?", "IT'S TWENTY ONE O'CLOCK HE SAID ISN'T IT BOB"),
    (
        "letters",
        "English",
        "The U.S. won 3.5 million in the 1st half.",
        "THE US WON THREE POINT FIVE MILLION IN THE FIRST HALF",
    ),
    (
        "letters",
        "en-GB",
        "1,234 games; the dogs' tails",
        "ONE THOUSAND TWO HUNDRED AND THIRTY FOUR GAMES THE DOGS' TAILS",
    ),
    ("letters", "fr", "L’été, c’est 21 jours ; est-ce vrai ?", "l'été c'est vingt et un jours est ce vrai"),
    ("letters", "fr", "E\u0301TE\u0301 c\u0153ur na\u00efve", "été cœur naïve"),
    ("letters", "de", "Straße 5 ist groß!", "straße fünf ist groß"),
    ("letters", "tr", "Isparta'da İYİ", "ısparta'da iyi"),
    ("letters", "ka", "გამარჯობა, მსოფლიო!", "გამარჯობა მსოფლიო"),
    ("letters", "hi", "नमस्ते, दुनिया। कैसे हो?", "नमस्ते दुनिया कैसे हो"),
    ("letters", "ar", "\u200fمرحبا، كيف الحال؟", "مرحبا كيف الحال"),
    ("letters", "zh", "今天天气很好。", "今天天气很好"),
    ("letters", "", "Ça va, toi?", "ça va toi"),
    ("keep-case", "en", "Dr. Who's 'dog'.", "Dr Who's dog"),
    ("keep-punctuation", "en", "It’s 5 % — really?", "It's 5 % — really?"),
    ("as-is", "en", " It’s\t[so]\u00a05 %", "It’s [so] 5 %"),
    ("phones", "de", "t ʃ  aː", "t ʃ aː"),
]
ASIDE = [
    ("letters", "fr", "50 % des gens", "a sign that is spoken: '%'"),
    ("letters", "en", "it costs £5", "a sign that is spoken: '£'"),
    ("letters", "en", "[laughter] yes", "a remark in brackets: '[laughter]'"),
    ("keep-case", "en", "well <unk> yes", "a remark in brackets: '<unk>'"),
    ("letters", "en", "at 10:30 sharp", "digits: '10'"),
    ("letters", "en", "agent 007", "digits: '007'"),
    ("letters", "en", "a B2B deal", "digits: 'B2B'"),
    ("letters", "hi", "कमरा 12", "digits: '12'"),
    ("letters", "hi", "कमरा १२", "digits: '१२'"),
    ("letters", "en", " ", "empty text"),
    ("letters", "en", "...", "no letter in the text"),
    ("as-is", "", "\u00a0", "empty text"),
    *((preset, "en", "a|b", "the symbol between words, '|', in the text") for preset in PRESETS),
]


@pytest.mark.parametrize(("preset", "language", "text", "written"), RIGHT)
def test_the_text_that_is_written(preset: str, language: str, text: str, written: str) -> None:
    found = TextRules(preset, language)(text)
    assert isinstance(found, Text) and found.text == written
    assert bool(found.changes) == (written != " ".join(text.split())) or preset == "as-is" or "\u0301" in text
    again = TextRules(preset, language)(written)
    assert again == Text(written)


@pytest.mark.parametrize(("preset", "language", "text", "reason"), ASIDE)
def test_what_letters_cannot_show_is_set_aside(preset: str, language: str, text: str, reason: str) -> None:
    assert TextRules(preset, language)(text) == Unusable(reason)


def test_digits_as_one_wants_them() -> None:
    assert TextRules("letters", "hi", digits="keep")("कमरा 12।") == Text("कमरा 12", ("punctuation removed",))
    assert TextRules("letters", "en", digits="aside")("ROOM 12") == Unusable("digits: '12'")
    assert TextRules("as-is", "it", digits="words")("Stanza 12.") == Text("Stanza dodici.", ("digits in words",))
    with pytest.raises(UsageError, match="no number words in 'ka'"):
        TextRules("letters", "ka", digits="words")
    with pytest.raises(UsageError, match="no number words in an unknown language"):
        TextRules("letters", digits="words")


def test_all_that_decides_is_in_the_name() -> None:
    rules = [TextRules(p, language, d) for p in PRESETS for language in ("", "fr") for d in (None, "keep", "aside")]
    assert len({rule.name for rule in rules}) == len({(r.preset, r.code, r._digits) for r in rules})
    assert TextRules("letters", "French").name == "letters fr words"
    with pytest.raises(UsageError, match="did you mean 'letters'"):
        TextRules("leters")
