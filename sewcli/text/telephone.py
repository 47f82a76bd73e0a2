"""Transcripts of Switchboard-1 (Mississippi State 1998) and Fisher English as a letter model wants them.

First the rules of Kaldi's egs/fisher_swbd/s5/local (swbd1_data_prep.sh, swbd1_map_words.pl, format_acronyms_dict.py,
fisher_data_prep.sh), named at each; then what the 28 symbols A-Z, ' and space need. Decided here, where Kaldi keeps
a word of its own: noises and laughter go; what was said of a partial word stays, without its hyphen; compounds are two words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sewcli.text.rules import Rule, substitution

LETTERS = {  # how sw-ms98-dict.text writes the names of the letters (Kaldi: conf/MSU_single_letter.txt)
    **{"a": "ey", "b": "b iy", "c": "s iy", "d": "d iy", "e": "iy", "f": "eh f", "g": "jh iy", "h": "ey ch", "i": "ay"},
    **{"j": "jh ey", "k": "k ey", "l": "eh l", "m": "eh m", "n": "eh n", "o": "ow", "p": "p iy", "q": "k y uw"},
    **{"r": "aa r", "s": "eh s", "t": "t iy", "u": "y uw", "v": "v iy", "w": "d ah b ax l y uw", "x": "eh k s"},
    **{"y": "w ay", "z": "z iy"},
}
DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
_START, _END = r"(?<!\S)", r"(?!\S)"  # of a word: Kaldi's scripts go word by word


def _of_words(name: str, pattern: str, replacement: str) -> Rule:
    return substitution(name, f"(?i){_START}{pattern}{_END}", replacement)


def _spelled_digits(match: re.Match[str]) -> str:
    return f" {DIGITS[int(match[0])]} "


_TO_LETTERS: tuple[Rule, ...] = (
    substitution("noises and laughter removed", r"\[[^][]*\]-?", " "),
    substitution("letters around & said as such: AT&T", r"\b[A-Z]+&[A-Z]+\b", lambda match: " ".join(match[0])),
    substitution("& said as a word", r"\s*&\s*", " and "),
    substitution("digits said one by one", r"\d", _spelled_digits),  # of -[40]1K remains 1K
    substitution("partial words without their hyphen", r"(?<![\w'])-+|-+(?![\w'])", " "),
    substitution("compounds as two words", r"-", " "),
    substitution("apostrophes that stand alone removed", r"(?<!\S)'+(?!\S)", " "),
    substitution("typographic apostrophes", "[\u2018\u2019`]", "'"),
    Rule("capitals", str.upper),
)

_SWITCHBOARD: tuple[Rule, ...] = (
    # swbd1_data_prep.sh
    _of_words("[silence] removed", r"\[silence\]", ""),
    substitution("<b_aside> and <e_aside> removed", r"(?i)<[be]_aside>", ""),
    # swbd1_map_words.pl, in its order: each may leave work to the next, as [laughter-th[at]-] does
    _of_words("laughed words: [laughter-yeah] to yeah", r"\[laughter-(\S+)\](-?)", r"\1\2"),
    _of_words("mispronounced words as said: [it'n/isn't] to it'n", r"\[(\S+)/\S+\](-?)", r"\1\2"),
    _of_words("beginnings not said: -[an]y to -y", r"-?\[[^][\s]+\]([^\s-]\S*)", r"-\1"),
    _of_words("ends not said: ab[solute]- to ab-", r"([^\s[]\S*?)\[[^][\s]+\]-*", r"\1-"),
    _of_words("brackets left open: ex[specially]-/especially] to ex-", r"([^][\s]+)\[\S+\]", r"\1-"),
    _of_words("coined words: {yuppiedom} to yuppiedom", r"\{(\S+)\}", r"\1"),
    # Kaldi's own pattern makes AMMN-T- of its example AMMU[N]IT-; this does what its comment says.
    substitution("middles not said: ammu[n]it- to ammu-it-", r"(?i)(?<=[a-z])\[[^][\s]+\](?=[a-z])", "-"),
    substitution("pronunciations: them_1 to them", r"_\d", ""),
)

FISHER: tuple[Rule, ...] = (
    # fisher_data_prep.sh
    substitution("[laugh] as [laughter]", r"(?i)\[laugh\]", "[laughter]"),
    substitution(
        "[sigh] [cough] [mn] [breath] [lipsmack] as [noise]", r"(?i)\[(?:sigh|cough|mn|breath|lipsmack)\]", "[noise]"
    ),
    # fisher_map_words.pl, which Kaldi runs for language models only: what else is not a letter
    substitution("[[skip]] and [pause] removed", r"(?i)\[\[skip\]\]|\[pause\]", " "),
    substitution("foreign phrases removed: <german ...>", r"<[^>]*>", " "),
    substitution("acronyms in letters: c._n._n. to c n n", r"\._", " "),
    substitution("plurals of letters: t.s and t.'s to t's", r"(?i)(?<=\w)\.'?s(?![\w.])", "'s"),
    substitution("full stops removed", r"\.", " "),
    substitution("other marks removed: * ( ) , ? ~ _", r"[*(),?~_]", " "),
    _of_words("quotation marks removed: 'word' to word", r"'(\w+)'", r"\1"),
    *_TO_LETTERS,
)


def switchboard(acronyms: Mapping[str, str]) -> tuple[Rule, ...]:
    """The rules of Switchboard.

    Args:
        acronyms: what `read_acronyms` found in the corpus's dictionary.
    """

    def spell(text: str) -> str:
        return " ".join(acronyms.get(word, word) for word in text.split(" "))

    # map_acronyms_transcripts.py: CNN to c._n._n. - and then, for letters, as Fisher's
    return (*_SWITCHBOARD, Rule("acronyms in letters: CNN to C N N", spell), *_TO_LETTERS)


def read_acronyms(lines: Iterable[str]) -> dict[str, str]:
    """The words of sw-ms98-dict.text that are said as the names of their letters: IBM, TVs, BBC's (format_acronyms_dict.py).

    Args:
        lines: `IBM ay b iy eh m`; `#` begins a comment.

    Returns:
        `{"IBM": "I B M", "TVs": "T V'S", "BBC's": "B B C'S"}`.
    """
    found = {}
    for line in lines:
        word, *phones = line.split() or [""]
        if not (match := re.fullmatch(r"([A-Za-z]+?)('?s)?", word)) or len(word) < 2:
            continue
        stem, ending = match.groups()
        if ending and phones[-1:] in (["s"], ["z"]):
            phones.pop()
        elif ending:
            continue
        if phones == [phone for letter in stem.lower() for phone in LETTERS[letter].split()]:
            found[word] = " ".join(stem.upper()) + ("'S" if ending else "")
    return found


def is_unclear(text: str) -> bool:
    """Whether a line of Fisher holds words that the transcriber guessed: Kaldi's fisher_data_prep.sh leaves it out."""
    return "((" in text
