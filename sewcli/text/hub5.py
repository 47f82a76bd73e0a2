"""References of NIST's telephone tests (Hub5 2000, RT-03S) as a letter model writes them.

These transcripts serve validation and a first word error rate; the published figures come from the STM itself, scored
with its map of spellings (GLM), where words in parentheses may be left out and `{ A / B }` are alternatives. Sources:
SCTK's infmts.htm (STM), Kaldi's fisher_swbd/s5/local/{eval2000,rt03}_data_prep.sh.
"""

from __future__ import annotations

import re

from sewcli.text.rules import Rule, normalise, substitution

_ALTERNATION = re.compile(r"\{([^{}]*/[^{}]*)\}")  # an innermost one


def letters(text: str) -> tuple[str, tuple[str, ...]]:
    """The words of a reference in letters, and the rules that changed it.

    Returns:
        Capitals, apostrophes and single spaces (empty where all that was said is optional), and the names of the rules.

    >>> letters("<B_ASIDE> (%HESITATION) I. B. M. {IS / HAS} (TH-) THE (BEST)")[0]
    'I B M IS TH THE BEST'
    """
    return normalise(text, RULES)


def _first_alternatives(text: str) -> str:
    """`{ A / B }` as A; an alternative `@` is silence, and chosen only where there is no other. From the inside out."""
    while (inner := _ALTERNATION.sub(_first_alternative, text)) != text:
        text = inner
    return text


def _first_alternative(match: re.Match[str]) -> str:
    spoken = [words for part in match[1].split("/") if (words := part.strip()) not in ("", "@")]
    return f" {spoken[0]} " if spoken else " "


RULES: tuple[Rule, ...] = (
    # Kaldi: sed -e 's:<B_ASIDE>::g' -e 's:<E_ASIDE>::g'. Its other fix of the STM, "((" for "(", is in the parentheses below.
    substitution("asides and other tags removed", r"<[^<>]*>", " "),
    # SCTK: NIST lists first what was heard.
    Rule("first alternative taken", _first_alternatives),
    # %HESITATION, %BCACK and %BCNACK stand for classes of words in the GLM, and have no spelling of their own.
    substitution("hesitations and backchannels without a spelling removed", r"%(?i:HESITATION|BCN?ACK)\b", " "),
    # What the LDC's transcripts write %UM is the word "um" to the GLM.
    substitution("marks of hesitations removed", r"(?<!\S)(\(*)%(?=[A-Za-z])", r"\1"),
    substitution("noises removed", r"\[[^\[\]]*\]|\{[^{}]*\}", " "),
    # (TH-): what was said of a word, as in the transcripts of the training set (text/telephone.py).
    substitution("fragments without their hyphen", r"(?<![^\s(])-+(?=[^\s()-])|(?<=[^\s()-])-+(?![^\s)])", ""),
    # Words in parentheses were said; scoring forgives whoever leaves them out.
    substitution("parentheses of optional words removed", r"[()]", " "),
    # UH-HUH, I._B._M. and O. K.: the GLM writes initials as letters with dots (OK => O. K.).
    substitution("joined words parted", r"(?<=[\w.])[-_]+(?=\w)", " "),
    substitution("plurals of letters: V.S and V.'S to V'S", r"(?i)(?<=\w)\.'?s(?![\w.])", "'S"),
    substitution("dots of initials removed", r"\.(?=\w)", " "),
    substitution("dots removed", r"\.", ""),
    Rule("capitals", str.upper),
    # Whatever markup is not known here: the segment stays in the test, for it is the STM that is scored.
    substitution("other symbols removed", r"[^A-Z'\s]+", " "),
    substitution("lone apostrophes removed", r"(?<!\S)'+(?!\S)", " "),
)
