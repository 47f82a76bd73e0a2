"""References and hypotheses in one form before they are compared, and a word where they can have nothing in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sewcli.text.agreement import PHONE, WORD, counterpart_missing
from sewcli.text.form import LOWER, MIXED, NONE, UPPER, TextForm, case_of, one_form, without_marks
from sewcli.text.spacing import has_words

FEW = 5  # reference words below which nothing in common may be chance
RATES = {WORD: "WER", PHONE: "PER"}


@dataclass(frozen=True)
class Compared:
    """Texts to score.

    references, hypotheses: in one form. unit: what blanks separate, "word" or "phone". case: which both were brought into;
    None: compared as they are. spaced: whether blanks separate words at all. notes: what the reader of a rate must know.
    """

    references: list[str]
    hypotheses: list[str]
    unit: str
    case: str | None
    spaced: bool
    notes: list[str]

    @property
    def rate(self) -> str:
        """The name of its error rate: WER or PER."""
        return RATES[self.unit]


def compared(references: Sequence[str], hypotheses: Sequence[str], facts: Mapping[str, Any] | None = None) -> Compared:
    """Bring texts into one form: NFC, plain blanks, no invisible marks, and the case of a model that has only one.

    Args:
        references: of the corpus.
        hypotheses: as many.
        facts: `text` of decode.json (`text.agreement.text_facts`); None looks at the hypotheses.
    """
    facts = facts if isinstance(facts, Mapping) else {}
    known = facts.get("symbols")
    own_symbols = frozenset(map(str, known)) if isinstance(known, list) else frozenset[str]()
    written, said = ([one_form(without_marks(t, own_symbols)) for t in texts] for texts in (references, hypotheses))
    unit = PHONE if facts.get("unit") == PHONE else WORD
    own, given = str(facts.get("case") or case_of(said)), case_of(written)
    notes: list[str] = []
    case = None
    symbols = own_symbols or frozenset("".join(said))
    if own in (UPPER, LOWER) and ((given == MIXED and "case" in facts) or {own, given} == {UPPER, LOWER}):
        form = TextForm(own, symbols | {" "})
        written, case = [one_form(form(text)) for text in written], own
        odd = counterpart_missing(references, form)
        lost = f"; {len(odd):,} words such as {odd[0]!r} have letters without one counterpart there" if odd else ""
        notes.append(f"the references are in {given} case, the model writes {own} case: compared in {own} case{lost}")
    elif {own, given} in ({UPPER, MIXED}, {LOWER, MIXED}):
        notes.append(
            f"the references are in {given} case, the hypotheses in {own} case: words in another case count as errors "
            "(hint: bring both into one case before they are scored)"
        )
    if case is None:  # apostrophes, and letters that the model writes with their marks apart
        plain = TextForm(NONE, symbols | {" "})
        written = [one_form(plain(text)) for text in written]
    spaced = unit == PHONE or has_words(written)
    notes += _strangers(written, said, spaced=spaced)
    if not spaced:
        notes.append("blanks do not separate words in these references: the CER is the rate to look at, not the WER")
    return Compared(written, said, unit, case, spaced, notes)


def _strangers(references: Sequence[str], hypotheses: Sequence[str], *, spaced: bool) -> list[str]:
    """A note where no word, or no character, of the references is in any hypothesis."""
    if not any(hypotheses):
        return ["all hypotheses are empty: the model writes nothing but blanks"]
    unit, parts = ("word", str.split) if spaced else ("character", list)
    wanted, found = ({part for text in texts for part in parts(text)} for texts in (references, hypotheses))
    if len(wanted) < FEW or wanted & found:
        return []
    ours, theirs = ({c for text in texts for c in text if not c.isspace()} for texts in (references, hypotheses))
    cause = (
        "no character either: another script, or another language"
        if not ours & theirs
        else ("are they of the same utterances, in the same language, and in one form?")
    )
    return [f"no {unit} of the references is in any hypothesis ({cause}), e.g. {min(wanted)!r} and {min(found)!r}"]
