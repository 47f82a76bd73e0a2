"""Letters of a model as NIST's references write words."""

import pytest
from support.refusals import refused

from sewcli.base.errors import DataError
from sewcli.scoring.telephone import reference_forms, timed_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("UH HUH YEAH", "UH-HUH YEAH"),
        ("ON T V I THINK", "ON T. V. I THINK"),
        ("A T V", "A T. V."),
        ("TWO C D'S", "TWO C. D.S"),
        ("THE I R S AND C I A AND I B M I KNOW", "THE I. R. S. AND C. I. A. AND I. B. M. I KNOW"),
        ("I A B C", "I A. B. C."),
        ("I", "I"),
        ("IT'S A [NOISE] B <UNK>", "IT'S A B."),
        ("", ""),
    ],
)
def test_letters_as_the_references_write_them(text: str, words: str) -> None:
    assert " ".join(reference_forms(text)) == words


def test_words_are_spread_over_their_cut() -> None:
    cut = {"start": 10.0, "duration": 2.0, "supervisions": [{"custom": {"stm": ["f", "2"]}}]}
    words = timed_words([{"id": "u", "text": "WE BE"}], {"u": cut})
    assert [(w.file, w.channel, w.start, w.duration, w.word) for w in words] == [
        ("f", "2", 10.0, 0.9, "WE"),
        ("f", "2", 11.0, 0.9, "BE"),
    ]
    with refused(DataError, "hypotheses-of-other-cuts"):
        timed_words([{"id": "v", "text": "A"}], {"u": cut})
    with pytest.raises(DataError, match="where it is in the STM"):
        timed_words([{"id": "u", "text": "A"}], {"u": {"supervisions": [{}]}})
