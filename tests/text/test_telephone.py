"""Every rule for Switchboard and Fisher on examples; what they leave can be written by a letter model."""

import pytest

from sewcli.text.normalize import outside
from sewcli.text.rules import normalise
from sewcli.text.telephone import FISHER, LETTERS, is_unclear, read_acronyms, switchboard

DICTIONARY = """\
# comment
A ax
a ey
IBM ay b iy eh m
TV t iy v iy
TVs t iy v iy z
BBC's b iy b iy s iy z
Bs b iy z
NASA n ae s ax
us ah s
is ih z
PCS p iy s iy eh s
W d ah b ax l y uw
AT&T ey t iy ae n t iy
"""
SWITCHBOARD = switchboard(read_acronyms(DICTIONARY.splitlines()))

SWITCHBOARD_EXAMPLES = [
    ("hi um yeah i'd like to talk about", "HI UM YEAH I'D LIKE TO TALK ABOUT"),
    ("[silence]", ""),
    ("[SILENCE] yes [silence]", "YES"),
    ("<b_aside> hang on <E_ASIDE> yes", "HANG ON YES"),
    ("[laughter-yeah] okay", "YEAH OKAY"),
    ("[LAUGHTER-story]", "STORY"),
    ("[laughter-th[at]-] one", "TH ONE"),
    ("[laughter-i]- i", "I I"),
    ("[it'n/isn't] it", "IT'N IT"),
    ("[lem[guini]-/linguini] please", "LEM PLEASE"),
    ("[th[is]-/that]- one", "TH ONE"),
    ("-[an]y day", "Y DAY"),
    ("[an]y day", "Y DAY"),
    ("-[a]b[out]- it", "B IT"),
    ("th[at]- that", "TH THAT"),
    ("ab[solute] no", "AB NO"),
    ("ex[specially]-/especially] now", "EX NOW"),
    ("{yuppiedom} is", "YUPPIEDOM IS"),
    ("ammu[n]it- ammunition", "AMMU IT AMMUNITION"),
    ("them_1 and them_1's", "THEM AND THEM'S"),
    ("an IBM and NASA", "AN I B M AND NASA"),
    ("TVs on TV", "T V'S ON T V"),
    ("the BBC's news got Bs", "THE B B C'S NEWS GOT B'S"),
    ("[laughter-IBM] is us", "I B M IS US"),
    ("for AT&T", "FOR A T AND T"),
    ("r & r", "R AND R"),
    ("my -[40]1K", "MY ONE K"),
    ("[vocalized-noise]- [noise] so [laughter]", "SO"),
    ("uh-huh twenty-one", "UH HUH TWENTY ONE"),
    ("i- i don't - know", "I I DON'T KNOW"),
    ("'cause of goin' to 'em", "'CAUSE OF GOIN' TO 'EM"),
    ("it’s ' here", "IT'S HERE"),
]
FISHER_EXAMPLES = [
    ("an- so the topic is ", "AN SO THE TOPIC IS"),
    ("[laugh] yes", "YES"),
    ("[sigh] [cough] [mn] [breath] [lipsmack]", ""),
    ("[noise] [laughter] okay", "OKAY"),
    ("so [[skip]] then [pause]", "SO THEN"),
    ("<german ja wohl > he said", "HE SAID"),
    ("on c._n._n. today", "ON C N N TODAY"),
    ("the a._t._m.s and c._n._n.'s", "THE A T M'S AND C N N'S"),
    ("the u._s.", "THE U S"),
    ("mr. smith at nine a.m.", "MR SMITH AT NINE A M"),
    ("*mandatory (hello), what? ~b", "MANDATORY HELLO WHAT B"),
    ("'absolutely' 'kay", "ABSOLUTELY 'KAY"),
    ("'cause i was goin' home", "'CAUSE I WAS GOIN' HOME"),
    ("a non-stop uh-huh", "A NON STOP UH HUH"),
    ("wor- - word", "WOR WORD"),
    ("route 66", "ROUTE SIX SIX"),
    ("I'm Ann", "I'M ANN"),
]


@pytest.mark.parametrize(("text", "expected"), SWITCHBOARD_EXAMPLES)
def test_switchboard(text: str, expected: str) -> None:
    assert normalise(text, SWITCHBOARD)[0] == expected


@pytest.mark.parametrize(("text", "expected"), FISHER_EXAMPLES)
def test_fisher(text: str, expected: str) -> None:
    assert normalise(text, FISHER)[0] == expected


@pytest.mark.parametrize(
    ("rules", "examples"), [(SWITCHBOARD, SWITCHBOARD_EXAMPLES), (FISHER, FISHER_EXAMPLES)], ids=["swbd", "fisher"]
)
def test_each_rule_has_an_example_and_texts_stay_as_they_are_the_second_time(rules, examples) -> None:
    used = {name for text, _ in examples for name in normalise(text, rules)[1]}
    assert used >= {rule.name for rule in rules} - {
        # of marks that one corpus has and the other has not
        *("letters around & said as such: AT&T", "& said as a word"),
        *("apostrophes that stand alone removed", "typographic apostrophes"),
    }
    for text, expected in examples:
        assert not outside(expected), text
        assert normalise(expected, rules) == (expected, ())


def test_all_rules_together_have_examples() -> None:
    used = {name for text, _ in SWITCHBOARD_EXAMPLES for name in normalise(text, SWITCHBOARD)[1]}
    assert used == {rule.name for rule in SWITCHBOARD}


def test_acronyms_are_the_words_said_as_letters() -> None:
    found = read_acronyms(DICTIONARY.splitlines())
    assert found == {
        **{"IBM": "I B M", "TV": "T V", "TVs": "T V'S", "BBC's": "B B C'S", "Bs": "B'S", "PCS": "P C S"},
    }
    assert len(LETTERS) == 26
    assert normalise("IBM", switchboard({}))[0] == "IBM", "without the dictionary nothing is known to be an acronym"


def test_unclear_lines() -> None:
    assert is_unclear("who he works for (( )) and he") and is_unclear("(( oh yeah ))")
    assert not is_unclear("oh (yeah)")


def test_what_cannot_be_written_is_left_to_be_reported() -> None:
    assert outside(normalise("a half-open [bracket", SWITCHBOARD)[0]) == ["["]
    assert outside(normalise("café", FISHER)[0]) == ["É"]
