"""From the letters of a recogniser to the words of NIST's telephone references: hypotheses as timed words of a CTM.

Our texts are letters, apostrophes and blanks (text/telephone.py, text/hub5.py), the references write initials as `T. V.`, their
plurals as `D.S` and backchannels as `UH-HUH`. Without this mapping a perfect text has errors. It looks at the hypothesis alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sewcli.base.errors import DataError
from sewcli.scoring.nist import TimedWord

BACKCHANNELS = (("UH", "HUH"), ("UM", "HUM"), ("MM", "HM"), ("MM", "HMM"), ("HUH", "UH"))
# A, I and O are words too. They are letters between two letters, and in these.
INITIALISMS = frozenset(
    """
    ABC AC ACLU ADD AI AM AOL ATM CEO CIA CIO CPA DEA DNA DOA EPA FBI FDA FYI GPA HBO HMO IBM ICU ID IQ IRA IRS IUD IV
    MBA NASA NBA NCAA NRA PGA PPO PTA RCA SPCA SUV UFO UPI USA USDA VA YMCA YWCA
    """.split()  # noqa: SIM905 (a line each otherwise)
)
_MARKS = re.compile(r"\[[^\]]*\]|<[^>]*>")  # noises and unknown words, as Kaldi drops them


def reference_forms(text: str) -> list[str]:
    """The words of a hypothesis, spelled as the references do.

    >>> reference_forms("UH HUH I BOUGHT TWO C D'S AND A T V FROM I B M")
    ['UH-HUH', 'I', 'BOUGHT', 'TWO', 'C.', 'D.S', 'AND', 'A', 'T.', 'V.', 'FROM', 'I.', 'B.', 'M.']
    """
    words = _MARKS.sub(" ", text.upper()).split()
    out: list[str] = []
    place = 0
    while place < len(words):
        if tuple(words[place : place + 2]) in BACKCHANNELS:
            out.append("-".join(words[place : place + 2]))
            place += 2
            continue
        run = _run(words, place)
        if run:
            out += _letters(words[place : place + run])
            place += run
            continue
        out.append(words[place])
        place += 1
    return out


def timed_words(rows: Sequence[Mapping[str, Any]], cuts: Mapping[str, Mapping[str, Any]]) -> list[TimedWord]:
    """Words of hypotheses (id, text), spread evenly over their cuts, whose supervision says where they are in the STM.

    Raises:
        DataError: a hypothesis of no cut, or a cut that does not say.
    """
    words: list[TimedWord] = []
    for row in rows:
        cut = cuts.get(row["id"])
        if cut is None:
            raise DataError(
                "hypotheses-of-other-cuts",
                "a hypothesis of a cut that the corpus does not have",
                where=row["id"],
                hint="decode it again",
            )
        try:
            file, channel = cut["supervisions"][0]["custom"]["stm"]
            start, duration = float(cut["start"]), float(cut["duration"])
        except (KeyError, IndexError, TypeError, ValueError):
            raise DataError(
                "cut-without-time",
                "a cut that does not say where it is in the STM",
                where=row["id"],
                hint="prepare the corpus again",
            ) from None
        spoken = reference_forms(row["text"])
        each = duration / max(len(spoken), 1)
        words += [TimedWord(file, channel, start + each * n, 0.9 * each, word) for n, word in enumerate(spoken)]
    return words


def _run(words: Sequence[str], place: int) -> int:
    """How many letters follow each other from here; the last one may be a plural."""
    end = place
    while end < len(words) and _is_letter(words[end]):
        end += 1
        if len(words[end - 1]) > 1:
            break
    return end - place


def _is_letter(word: str) -> bool:
    return bool(re.fullmatch(r"[A-Z]('S)?", word))


def _letters(run: Sequence[str]) -> list[str]:
    size = len(run)
    spelled = "".join(word[0] for word in run)
    edges = ((0, size), (0, size - 1), (1, size), (1, size - 1))  # TV I: a word beside the letters
    known = next((range(begin, end) for begin, end in edges if spelled[begin:end] in INITIALISMS), range(0))
    return [
        _dotted(word) if place in known or word not in ("A", "I", "O") or 0 < place < size - 1 else word
        for place, word in enumerate(run)
    ]


def _dotted(word: str) -> str:
    return word[0] + (".S" if len(word) > 1 else ".")
