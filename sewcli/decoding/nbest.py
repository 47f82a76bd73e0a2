"""Hypotheses with the parts of their scores, and `nbest.jsonl`: the list of each utterance, best first, for rescoring.

score = am + lm_weight * lm / ln 10 + word_score * words, where am and lm are natural logarithms: flashlight's weight is on
log10 probabilities, as in wav2vec 2.0 and SEW. A line is {"id", "nbest": [{"text", "score", "am", "lm", "words"}, ...]}.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewcli.artifacts.decode_folder import NBEST
from sewcli.base.errors import DataError
from sewcli.base.files import read_jsonl

LN10 = math.log(10)


@dataclass(frozen=True)
class Hypothesis:
    """A text and its score.

    score: the decoder's total. am: log-probability of its path in the emissions. lm: natural log-probability of the text and
    its end by the n-gram model; None without one.
    """

    text: str
    score: float
    am: float
    lm: float | None = None

    @property
    def words(self) -> int:
        """How many the text has."""
        return len(self.text.split())

    def total(self, lm_weight: float, word_score: float) -> float:
        """The score under other weights; `lm_weight` is on log10 probabilities."""
        return self.am + lm_weight * (self.lm or 0.0) / LN10 + word_score * self.words


def nbest_rows(hypotheses: Sequence[Hypothesis]) -> list[dict[str, Any]]:
    """Hypotheses of an utterance as they stand in the file."""
    return [
        {
            "text": h.text,
            "score": round(h.score, 6),
            "am": round(h.am, 6),
            "lm": None if h.lm is None else round(h.lm, 6),
            "words": h.words,
        }
        for h in hypotheses
    ]


def read_nbest(path: str | Path) -> Iterator[tuple[str, list[Hypothesis]]]:
    """Yield each utterance's id and hypotheses, in the file's order, which is the corpus's.

    Args:
        path: `nbest.jsonl`, or the decode folder that holds it.

    Raises:
        DataError: missing, or a line that is no list of hypotheses.
    """
    file = Path(path) / NBEST if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise DataError(
            "no-nbest", "no n-best lists here", where=file, hint="sew decode --lm 4gram --nbest 100 writes them"
        )
    for number, row in enumerate(read_jsonl(file), start=1):
        try:
            found = [_hypothesis(entry) for entry in row["nbest"]]
            name = str(row["id"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise DataError(
                "invalid-nbest", f"line {number}: not a list of hypotheses", where=file, hint="decode it again"
            ) from None
        if not found:
            raise DataError(
                "invalid-nbest", f"line {number}: {name} has no hypothesis", where=file, hint="decode it again"
            )
        yield name, found


def _hypothesis(entry: dict[str, Any]) -> Hypothesis:
    lm = entry["lm"]
    found = Hypothesis(str(entry["text"]), float(entry["score"]), float(entry["am"]), None if lm is None else float(lm))
    if not all(map(math.isfinite, (found.score, found.am, found.lm or 0.0))):
        raise ValueError("a score that is not finite")
    return found
