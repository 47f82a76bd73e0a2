"""References of the telephone tests in letters: a table of examples, one or more lines a rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewcli.text import normalize
from sewcli.text.hub5 import RULES, letters

TAGS, ALTERNATIVES, NOISES = "asides and other tags removed", "first alternative taken", "noises removed"
CLASSES, MARKS = "hesitations and backchannels without a spelling removed", "marks of hesitations removed"
FRAGMENTS, OPTIONAL = "fragments without their hyphen", "parentheses of optional words removed"
PLURALS = "plurals of letters: V.S and V.'S to V'S"
JOINED, INITIALS, DOTS = "joined words parted", "dots of initials removed", "dots removed"
OTHERS, APOSTROPHES = "other symbols removed", "lone apostrophes removed"
EXAMPLES = [
    # reference in the STM, letters, rules that changed it
    ("HE IS A POLICE OFFICER", "HE IS A POLICE OFFICER", []),
    ("  I  DON'T KNOW ", "I DON'T KNOW", []),
    ("<B_ASIDE> NOT NOW <E_ASIDE> SORRY", "NOT NOW SORRY", [TAGS]),
    ("{ HE IS / HE HAS } GONE", "HE IS GONE", [ALTERNATIVES]),
    ("{ @ / UM } YES {M G/M_G}", "UM YES M G", [ALTERNATIVES]),
    ("{ A { SMALL / TINY } ONE / @ } MORE", "A SMALL ONE MORE", [ALTERNATIVES]),
    ("{ @ / @ } WELL", "WELL", [ALTERNATIVES]),
    ("(%HESITATION) WELL", "WELL", [CLASSES, OPTIONAL]),
    ("%BCACK SURE %BCNACK %hesitation", "SURE", [CLASSES]),
    ("%UM SO (%EH) THEN", "UM SO EH THEN", [MARKS, OPTIONAL]),
    ("[LAUGH] YES {BREATH} WE [LIP SMACK] DO", "YES WE DO", [NOISES]),
    ("(TH-) THAT", "TH THAT", [FRAGMENTS, OPTIONAL]),
    ("((TH-) THAT", "TH THAT", [FRAGMENTS, OPTIONAL]),  # one optional word: Kaldi mends "((" for hubscr.pl
    ("TH- THAT -TION IS W-", "TH THAT TION IS W", [FRAGMENTS]),
    ("I SAW (THE) (BEST)", "I SAW THE BEST", [OPTIONAL]),
    ("UH-HUH TWENTY-FIVE", "UH HUH TWENTY FIVE", [JOINED]),
    ("OVER AT I._B._M.", "OVER AT I B M", [JOINED, DOTS]),
    ("O.K. T.V.", "O K T V", [INITIALS, DOTS]),
    ("O. K. AND MRS. SMITH", "O K AND MRS SMITH", [DOTS]),
    ("THE T. V.'S ON", "THE T V'S ON", [PLURALS, DOTS]),
    ("TWO T. V.S", "TWO T V'S", [PLURALS, DOTS]),
    ("I_B_M.S U.S.", "I B M'S U S", [JOINED, PLURALS, INITIALS, DOTS]),
    ("oh yeah i'm here", "OH YEAH I'M HERE", ["capitals"]),
    ("YES + NO * 'EM", "YES NO 'EM", [OTHERS]),
    ("' YES THE '60S", "YES THE S", [OTHERS, APOSTROPHES]),
    ("(%HESITATION) (%HESITATION)", "", [CLASSES, OPTIONAL]),
]


@pytest.mark.parametrize(("reference", "expected", "rules"), EXAMPLES)
def test_examples(reference: str, expected: str, rules: list[str]) -> None:
    assert letters(reference) == (expected, tuple(rules))


def test_every_rule_has_an_example() -> None:
    assert {rule.name for rule in RULES} == {name for _, _, rules in EXAMPLES for name in rules}


MARKUP = st.lists(
    st.sampled_from([*"ABTH'-_.()[]{}<>/@%+", " ", "É", "7", "%HESITATION", "<B_ASIDE>", "I. B. M.", "uh"]), max_size=30
)


@given(MARKUP.map("".join))
def test_only_letters_are_left_and_nothing_is_left_to_do(reference: str) -> None:
    text, _ = letters(reference)
    assert normalize.outside(text) == []
    assert letters(text) == (text, ())
