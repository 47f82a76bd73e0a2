"""What becomes of the transcripts of one's own data, in any language: named presets, made of named rules.

A preset turns a transcript into the text that a recogniser is to write, with the names of the rules that changed it, or into a
reason why it cannot be used. Nothing is guessed: what a speaker says aloud and letters do not show (`%`, `@`, a number in
a language without number words, a remark in brackets) sets the utterance aside, and the reason is listed.

| preset | case | punctuation | digits |
|---|---|---|---|
| `letters` | capitals in English, lower case elsewhere | removed | in words |
| `keep-case` | kept | removed | in words |
| `keep-punctuation` | kept | kept | kept |
| `as-is` | kept | kept | kept; nothing but Unicode's composed form and single blanks is changed |
| `phones` | kept | kept | kept; the symbols of a text stand between blanks |
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache, partial

from sewcli.base.errors import UsageError, nearest
from sewcli.text.form import APOSTROPHES, one_form, without_marks
from sewcli.text.rules import Rule, normalise

LETTERS, KEEP_CASE, KEEP_PUNCTUATION, AS_IS, PHONES = "letters", "keep-case", "keep-punctuation", "as-is", "phones"
PRESETS = (LETTERS, KEEP_CASE, KEEP_PUNCTUATION, AS_IS, PHONES)
WORDS, KEEP, ASIDE = "words", "keep", "aside"
DIGITS = (WORDS, KEEP, ASIDE)
BOUNDARY = "|"  # the symbol between words; no text may hold it
ENGLISH = "en"
LONGEST_NUMBER = 15  # digits that are read as one number

_LANGUAGES = {"english": ENGLISH, "french": "fr", "german": "de", "spanish": "es", "italian": "it", "portuguese": "pt"}
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)
_REMARK = re.compile(r"[\[<{][^\[\]<>{}]*[\]>}]")
_QUOTED = re.compile(r"(?<!\w)'((?:[^']|(?<=\w)'(?=\w))*)'(?!\w)")
_INITIALS = re.compile(r"(?<=\w)\.(?=\w)")
_NO_APOSTROPHE = re.compile(r"(?<![^\W\d_])'(?![^\W\d_])")
_PLAIN: dict[str, str | int | None] = {**APOSTROPHES}
_DOTTED = str.maketrans({"İ": "i", "I": "ı"})


@dataclass(frozen=True, slots=True)
class Text:
    """What a recogniser is to write, and the names of the rules that changed it."""

    text: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a transcript cannot be used."""

    reason: str


@dataclass(frozen=True)
class TextRules:
    """A preset in a language.

    Args:
        preset: a name of PRESETS.
        language: what is spoken, as a code ("fr", "pt-BR") or an English name; empty where it is not known.
        digits: WORDS, KEEP or ASIDE; None is what goes with the preset.

    Raises:
        UsageError: no such preset or kind of digits, or words for digits in a language that has none here.
    """

    preset: str = LETTERS
    language: str = ""
    digits: str | None = None

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise UsageError(
                "unknown-text-rules",
                f"no text rules {self.preset!r}{nearest(self.preset, PRESETS)}",
                hint=f"there are: {', '.join(PRESETS)}",
            )
        if self.digits not in (None, *DIGITS):
            raise UsageError(
                "unknown-digits",
                f"no way to write digits {self.digits!r}{nearest(str(self.digits), DIGITS)}",
                hint=f"there are: {', '.join(DIGITS)}",
            )
        if self.digits == WORDS and not has_number_words(self.code):
            raise UsageError(
                "no-number-words",
                f"no number words in {repr(self.language) if self.language else 'an unknown language'}",
                hint=f"--language with a code that num2words knows (fr, de, ...), or {self.preset}+keep or {self.preset}+aside",
            )

    @classmethod
    def parse(cls, rules: str, language: str = "") -> TextRules:
        """`letters`, or with what becomes of digits: `letters+keep`."""
        preset, plus, digits = rules.partition("+")
        return cls(preset, language, digits if plus else None)

    @property
    def code(self) -> str:
        """The code of the language, "" when it is not known."""
        plain = self.language.strip().lower().replace("-", "_")
        return _LANGUAGES.get(plain, plain)

    @property
    def name(self) -> str:
        """For `prep.json`: all that decides what becomes of a text."""
        return " ".join(filter(None, (self.preset, self.code, self._digits)))

    @classmethod
    def named(cls, name: str) -> TextRules:
        """The rules of a `name`."""
        preset, *language, digits = name.split(" ")
        return cls(preset, " ".join(language), digits)

    @property
    def _digits(self) -> str:
        if self.preset in (AS_IS, PHONES, KEEP_PUNCTUATION):
            return self.digits or KEEP
        return self.digits or (WORDS if has_number_words(self.code) else ASIDE)

    def __call__(self, text: str) -> Text | Unusable:
        """The text to write, or why there is none.

        >>> TextRules(LETTERS, "en")("“It’s 21 o'clock,” he said.")
        Text(text="IT'S TWENTY ONE O'CLOCK HE SAID", changes=('plain apostrophes', ...
        >>> TextRules(LETTERS, "fr")("50 % des gens")
        Unusable(reason="a sign that is spoken: '%'")
        """
        if BOUNDARY in text:
            return Unusable(f"the symbol between words, {BOUNDARY!r}, in the text")
        plain = self.preset in (LETTERS, KEEP_CASE)
        if plain and (reason := _unspoken(one_form(text))):
            return Unusable(reason)
        found, changes = normalise(text, self._rules)
        if any(c.isdecimal() for c in found) and self._digits != KEEP:
            return Unusable(f"digits: {_number_in(found)!r}")
        if not found or (plain and not any(c.isalpha() for c in found)):
            return Unusable("empty text" if not one_form(text) else "no letter in the text")
        return Text(found, changes)

    @property
    def _rules(self) -> tuple[Rule, ...]:
        return _rules(self.preset, self.code, self._digits)


def _main(code: str) -> str:
    """The language of a code, without its region."""
    return code.split("_", maxsplit=1)[0]


@lru_cache
def _rules(preset: str, code: str, digits: str) -> tuple[Rule, ...]:
    if preset in (AS_IS, PHONES):
        return (Rule("digits in words", partial(_in_words, code=code)),) if digits == WORDS else ()
    rules = [
        Rule("invisible marks removed", without_marks),
        Rule("plain apostrophes", lambda text: text.translate(str.maketrans(_PLAIN))),
    ]
    if digits == WORDS:
        rules.append(Rule("digits in words", partial(_in_words, code=code)))
    if preset == KEEP_PUNCTUATION:
        return tuple(rules)
    rules.append(Rule("punctuation removed", _without_punctuation))
    if preset == LETTERS:
        rules.append(Rule("capitals" if _main(code) == ENGLISH else "lower case", partial(_cased, code=code)))
    return tuple(rules)


def has_number_words(code: str) -> bool:
    """Whether num2words knows the numbers of a language."""
    from num2words import CONVERTER_CLASSES  # imported late: it takes 0.1 s

    return bool(code) and (_main(code) in CONVERTER_CLASSES)


def _unspoken(text: str) -> str | None:
    """Why letters cannot stand for what is said in this text."""
    if remark := _REMARK.search(text):
        return f"a remark in brackets: {remark[0][:40]!r}"
    spoken = next((c for c in text if _is_spoken(c)), None)
    return f"a sign that is spoken: {spoken!r}" if spoken else None


def _is_spoken(character: str) -> bool:
    """Signs that are read aloud: currencies, per cent, at, and mathematical signs; emoji."""
    return character in "%‰&@#°№§" or unicodedata.category(character) in ("Sc", "Sm", "So")


def _number_in(text: str) -> str:
    found = next((word for word in text.split() if any(c.isdecimal() for c in word)), "")
    return found[:40]


def _in_words(text: str, code: str) -> str:
    """Numbers of Arabic digits in the words of a language; what is no plain number (007, 10:30, B2B, 1.2.3) stays as it is."""
    if text.isascii() and not any(c.isdigit() for c in text):
        return text
    return " ".join(_word_in_words(word, code) for word in text.split())


def _word_in_words(word: str, code: str) -> str:
    head = re.match(r"^\W*", word)
    tail = re.search(r"\W*$", word)
    assert head and tail
    core = word[head.end() : tail.start()] if head.end() < len(word) else ""
    ordinal = _ORDINAL.fullmatch(core) if _main(code) == ENGLISH else None
    number = ordinal[1] if ordinal else core.replace(",", "") if _THOUSANDS.fullmatch(core) else core
    if not _NUMBER.fullmatch(number) or len(number) > LONGEST_NUMBER or (len(number) > 1 and number[0] == "0"):
        return word
    if not number.isdecimal() and (number.count(".") + number.count(",") != 1 or number[:2] == "00"):
        return word
    spoken = _spoken_number(number.replace(",", "."), code, ordinal is not None)
    return f"{head[0]}{spoken}{tail[0]}" if spoken else word


@lru_cache(maxsize=10_000)
def _spoken_number(number: str, code: str, ordinal: bool) -> str | None:
    from num2words import CONVERTER_CLASSES, num2words

    known = next(name for name in (code, _main(code)) if name.lower() in {c.lower() for c in CONVERTER_CLASSES})
    value: int | float = int(number) if number.isdecimal() else float(number)
    try:
        spoken = str(num2words(value, ordinal=ordinal, lang=known))
    except (NotImplementedError, OverflowError, TypeError, ValueError):
        return None
    return " ".join(spoken.replace(",", " ").replace("-", " ").split())


def _without_punctuation(text: str) -> str:
    """Letters, marks and digits, and apostrophes beside letters; initials close up (U.S. is US), the rest parts words."""
    text = _QUOTED.sub(r"\1", _INITIALS.sub("", text))
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in text)
    return _NO_APOSTROPHE.sub(" ", kept)


def _cased(text: str, code: str) -> str:
    """Capitals for English, as all published models of it write; lower case for other languages, with Turkish's dotless i."""
    language = _main(code)
    if language == ENGLISH:
        return text.upper()
    return (text.translate(_DOTTED) if language in ("tr", "az") else text).lower()
