"""TED-LIUM 3's transcripts as a letter model wants them: capitals A-Z, the apostrophe, single spaces.

The rules are those of Kaldi's egs/tedlium/s5_r3 (local/prepare_data.sh, local/join_suffix.py), then what a model of
letters cannot write is dropped: `<unk>` and noises. Two rules are s5_r2's, for marks that older releases' stm files have.
"""

from __future__ import annotations

import re
import unicodedata

from sewcli.text import normalize
from sewcli.text.rules import Rule, substitution

_UNKNOWN = re.compile(r"(?<!\S)<unk>\S*", re.IGNORECASE)


def join_clitics(text: str) -> str:
    """Glue a token that begins with an apostrophe to the one before, in pairs from the left (Kaldi's join_suffix.py).

    Kaldi's script joins the whole line of an stm file, so that it loses the first word of a transcript like `'cause we
    can` to the label before; here that word stays.

    >>> join_clitics("it 's rock 'n' roll 'em")
    "it's rock'n' roll'em"
    >>> join_clitics("you 'd 've")
    "you'd 've"
    """
    joined: list[str] = []
    free = False  # whether the last token may still take one
    for token in text.split():
        if free and token.startswith("'"):
            joined[-1] += token
            free = False
        else:
            joined.append(token)
            free = True
    return " ".join(joined) if len(joined) < len(text.split()) else text


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


NAMES = substitution(  # s5_r3 prepare_data.sh, `s:([^ ]*)$::`
    "name of the utterance at the end dropped: (Talk-12.34-20.10-F0_M-S1)", r"\s*\([^\s()]*\)\s*$", ""
)
VARIANTS = substitution("number of the pronunciation dropped: word(2)", r"\([0-9]\)", "")  # s5_r2 prepare_data.sh
SILENCES = substitution("<sil> dropped", r"<sil>", " ")  # s5_r2 prepare_data.sh
# s5_r3 makes {NOISE} [NOISE], a word of its lexicon; letters cannot write it. It goes before clitics are joined, because
# `it {NOISE} 's` is `it's`, not a word "[NOISE]'s".
NOISES = substitution("noises dropped: {NOISE}, [NOISE]", r"\{[^{}]*\}|\[[^\[\]]*\]", " ")
CLITICS = Rule("split clitics joined: it 's", join_clitics)  # s5_r3 join_suffix.py
# A word of s5_r3, removed before its scoring. With a clitic joined to it (`<unk> 's`) the whole is one unknown word.
UNKNOWN = Rule("<unk> dropped", lambda text: _UNKNOWN.sub(" ", text))
APOSTROPHES = substitution("typographic apostrophes made plain", "[\u2019\u02bc\uff07]", "'")
ACCENTS = Rule("accents dropped: café", _without_accents)
HYPHENS = substitution("hyphens made spaces: x-ray", r"[-\u2010\u2011]", " ")
CAPITALS = Rule("made capitals", normalize.librispeech)

RULES = (NAMES, VARIANTS, SILENCES, NOISES, APOSTROPHES, CLITICS, UNKNOWN, ACCENTS, HYPHENS, CAPITALS)
"""From a transcript of an stm file."""

END = substitution("</s> dropped", r"\s*</s>\s*$", "")  # s5_r3 ted_train_lm.sh, `s/ <\/s>//g`
LM_RULES = (END, APOSTROPHES, CLITICS, ACCENTS, HYPHENS, CAPITALS)
"""From a line of LM/*.en.gz: tokenised like the transcripts, without their marks."""
