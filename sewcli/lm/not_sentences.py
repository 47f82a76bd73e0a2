"""Files that hold more than sentences where plain text for a language model is expected: what is in them would become words.

Tables of transcripts with their ids (LibriSpeech's .trans.txt, Kaldi's text, sclite's .trn), STM, CTM, TSV, JSON lines,
subtitles, ARPA files. They are known by their first lines, nearly all of which must look alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from sewcli.base.errors import DataError
from sewcli.text.form import one_form

LINES = 100  # looked at
SURE = 0.95  # share of them that must look alike
FEW = 2  # lines that tell nothing yet

_ID = re.compile(  # 84-121123-0000, spk1_utt2, common_voice_fr_17; A00017X
    r"(?=.*\d)(?=.*[-_./])\S{4,}|(?=.*\d)(?=.*[^\W\d_])\S{6,}"
)
_LAST = re.compile(r".*\s\(([\w.-]+)\)")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_CUT = "give the sentences alone, for example: cut"


def refuse_tables(lines: Sequence[str], path: Path) -> None:
    """Refuse a file whose first lines are none of plain text.

    Args:
        lines: the first LINES that are not blank, as they stand.
        path: for messages.

    Raises:
        DataError: what the file is, and how to get at its sentences.
    """
    if len(lines) < FEW:
        return
    found = next(((what, hint) for is_one, what, hint in _KINDS if is_one(lines)), None)
    if found:
        what, hint = found
        raise DataError(
            "not-sentences",
            f"{what}, which would become words: {one_form(lines[0])[:60]!r}",
            where=path,
            hint=hint.replace("FILE", path.name),
        )


def _most(lines: Sequence[str], test: Callable[[str], object]) -> bool:
    return sum(bool(test(line)) for line in lines) >= SURE * len(lines)


def _are_ids_first(lines: Sequence[str]) -> bool:
    """An id before each sentence, no two alike; some sentences may be empty."""
    words = [line.split() for line in lines]
    first = [own[0] for own in words]
    return (
        len(set(first)) == len(first)
        and sum(len(own) > 1 for own in words) > len(words) / 2
        and _most(first, _ID.fullmatch)
    )


def _are_ids_last(lines: Sequence[str]) -> bool:
    found = [match[1] for line in lines if (match := _LAST.fullmatch(line.strip()))]
    return len(found) >= SURE * len(lines) and len(set(found)) == len(found)


def _have_times(lines: Sequence[str]) -> bool:
    """Two numbers that follow each other in the columns where STM and CTM have their times."""
    rows = [line.split() for line in lines if not line.startswith(";;")]

    def timed(row: Sequence[str]) -> bool:
        return len(row) > 4 and (all(map(_NUMBER.fullmatch, row[2:4])) or all(map(_NUMBER.fullmatch, row[3:5])))

    return len(rows) >= FEW and sum(map(timed, rows)) >= SURE * len(rows)


def _are_columns(lines: Sequence[str]) -> bool:
    return len({line.rstrip("\n").count("\t") for line in lines}) == 1 and lines[0].count("\t") > 1


def _are_subtitles(lines: Sequence[str]) -> bool:
    return sum(" --> " in line for line in lines) > len(lines) / 5


_KINDS: tuple[tuple[Callable[[Sequence[str]], bool], str, str], ...] = (
    (lambda lines: lines[0].strip() == "\\data\\", "a language model (ARPA)", "sew decode --lm FILE takes it as it is"),
    (
        lambda lines: _most(lines, re.compile(r"\s*\{.*\}\s*").fullmatch),
        "JSON lines",
        "give the sentences alone, a line each, without names and ids",
    ),
    (_are_subtitles, "subtitles with their times", "give the sentences alone, a line each"),
    (_have_times, "lines with files and times (STM or CTM)", "give the sentences alone, a line each"),
    (
        _are_ids_last,
        "the ids of utterances behind its sentences (sclite's trn)",
        f"{_CUT} -d'(' -f1 FILE > sentences.txt",
    ),
    (_are_ids_first, "the ids of utterances before its sentences", f"{_CUT} -d' ' -f2- FILE > sentences.txt"),
    (_are_columns, "a table with columns", f"{_CUT} -f3 FILE > sentences.txt"),
)
