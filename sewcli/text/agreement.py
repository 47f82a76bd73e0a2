"""Whether references are texts that a recogniser can write: its letters, its case. What is not is said before it is scored.

A rate of 100 % has two causes: a model that has learned nothing, and two texts that were never in one form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sewcli.text.form import LOWER, MIXED, NONE, UPPER, TextForm, case_of, one_form, without_marks
from sewcli.text.tokens import Vocabulary

WORD, PHONE = "word", "phone"
TEXT = "text"  # of decode.json
ALPHABET = 500  # symbols at most; a vocabulary of Chinese has thousands
MANY = 0.02  # share of words with symbols outside the vocabulary that is worth a warning
SHOWN = 8


def unit_of(vocabulary: Vocabulary) -> str:
    """What its texts are made of and blanks separate: words, or phones."""
    return PHONE if vocabulary.separated else WORD


def text_facts(vocabulary: Vocabulary) -> dict[str, Any]:
    """What scoring must know of a model's texts, for `decode.json`: unit, case, and the symbols of an alphabet."""
    form = vocabulary.text_form
    symbols = sorted(form.symbols - {" "})
    symbols = symbols if len(symbols) <= ALPHABET else []
    return {"unit": unit_of(vocabulary), "case": form.case, "symbols": symbols}


def form_of(facts: Any) -> Callable[[str], str]:
    """What brings a reference into the form of a model's texts, by its `text_facts`; without any, `one_form`."""
    known = facts.get("symbols") if isinstance(facts, Mapping) else None
    if not isinstance(known, list) or not known:
        return one_form
    return TextForm(str(facts.get("case")), frozenset(map(str, known)) | {" "})


def mismatches(references: Iterable[str], vocabulary: Vocabulary) -> Iterator[str]:
    """Sentences on what of these references the model cannot write. Another case is none: scoring brings both into one."""
    form, words = vocabulary.text_form, Counter[str]()
    for text in references:
        words.update(one_form(without_marks(text, form.symbols)).split())
    outside = {word: found for word in words if (found := vocabulary.outside(word))}
    if not outside:
        return
    if len(outside) == len(words) and not any(_is_partly_written(word, vocabulary) for word in outside):
        yield (
            f"no symbol of the references (such as {', '.join(map(repr, list(outside)[:3]))}) is a symbol of the model, which "
            f"writes {_some(form)}: every word will be an error (hint: is it a model of this language and alphabet?)"
        )
        return
    count = sum(words[word] for word in outside)
    if count > MANY * words.total():
        symbols = Counter[str]()
        for word, found in outside.items():
            symbols.update(dict.fromkeys(found, words[word]))
        yield (
            f"{count:,} of the {words.total():,} words of the references hold symbols that the model cannot write, and will be "
            f"errors: {' '.join(symbol for symbol, _ in symbols.most_common(SHOWN))} "
            "(hint: bring the references into the form of its training transcripts)"
        )


def case_note(texts: Iterable[str], vocabulary: Vocabulary) -> str | None:
    """A sentence on texts that are in another case than a vocabulary, which reads them in its own."""
    own, given = vocabulary.text_form.case, case_of(texts)
    if own not in (UPPER, LOWER) or given in (own, NONE):
        return None
    return f"texts in {given} case are read in {own} case, the only one that the vocabulary has"


def counterpart_missing(texts: Iterable[str], form: TextForm) -> list[str]:
    """Words in the other case whose letters have no single counterpart in the form's (ß and SS, İ and i)."""
    words = dict.fromkeys(word for text in texts for word in text.split())
    return [word for word in words if _is_ambiguous(word, form)]


def _is_ambiguous(word: str, form: TextForm) -> bool:
    if form.case not in (UPPER, LOWER) or case_of([word]) in (MIXED, NONE, form.case):
        return False
    cased = form(word)
    return (cased.upper() if form.case == LOWER else cased.lower()) != word


def _is_partly_written(word: str, vocabulary: Vocabulary) -> bool:
    if unit_of(vocabulary) == PHONE:
        return False
    return any(c in vocabulary.text_form.symbols for c in vocabulary.text_form(word))


def _some(form: TextForm) -> str:
    symbols = sorted(form.symbols - {" "})
    return f"{' '.join(symbols[:12])}{' ...' if len(symbols) > 12 else ''}"
