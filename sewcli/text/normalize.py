"""Transcripts as a letter model wants them: capitals A-Z, the apostrophe, and single spaces.

Pure functions, one a corpus. LibriSpeech is published in this very form, so its own transcripts come back unchanged
(paper: Panayotov et al. 2015, section 4); what a user's own transcripts hold beyond it is reported, never dropped.
"""

from __future__ import annotations

import string

from sewcli.text.form import APOSTROPHES, one_form

SYMBOLS = frozenset(string.ascii_uppercase + "' ")

_CAPITALS = str.maketrans({**dict(zip(string.ascii_lowercase, string.ascii_uppercase, strict=True)), **APOSTROPHES})


def librispeech(text: str) -> str:
    """Capitals, plain apostrophes, single spaces; everything else is left for `outside` to report.

    >>> librispeech("  HE HOPED  THERE WOULD BE STEW ")
    'HE HOPED THERE WOULD BE STEW'
    >>> librispeech("it’s ten o'clock")
    "IT'S TEN O'CLOCK"
    """
    return one_form(text.translate(_CAPITALS))


def outside(text: str) -> list[str]:
    """The characters of a normalised text that no letter model can write, once each, in order of appearance.

    >>> outside("CAFÉ NUMBER 5")
    ['É', '5']
    """
    return list(dict.fromkeys(character for character in text if character not in SYMBOLS))
