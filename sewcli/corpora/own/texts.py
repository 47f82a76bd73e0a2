"""What becomes of the transcripts of one's own data: one function, chosen once, its name kept in `prep.json`.

A rule takes a transcript and gives the text that a recogniser is to write, or `Unusable` with the reason: the utterance is then
set aside and listed. Rules change no text in silence: what they change is counted by `Text.changes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sewcli.base.errors import UsageError, nearest
from sewcli.text.form import one_form


@dataclass(frozen=True, slots=True)
class Text:
    """What a recogniser is to write, and the names of the rules that changed it."""

    text: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a transcript cannot be used."""

    reason: str


TextRule = Callable[[str], Text | Unusable]
AS_IS = "as-is"


def as_is(text: str) -> Text | Unusable:
    """Unicode NFC and single blanks; nothing else is changed.

    >>> as_is(" Ça  va ?")
    Text(text='Ça va ?', changes=())
    """
    formed = one_form(text)
    return Text(formed) if formed else Unusable("empty text")


RULES: dict[str, TextRule] = {AS_IS: as_is}


def text_rule(name: str) -> TextRule:
    """The rule of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in RULES:
        raise UsageError(
            "no-such-text-rules", f"no text rules {name!r}{nearest(name, RULES)}", hint=f"there are: {', '.join(RULES)}"
        )
    return RULES[name]
