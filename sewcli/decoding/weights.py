"""Weights of a beam search by name, and from the file that `sew tune` writes.

`paper` is what SEW (section 4.1) and wav2vec 2.0's published script decode with. The others are wav2vec 2.0's own, tuned on
dev-other for each amount of labels with LibriSpeech's 4-gram and a beam of 1500 (appendix, table 7).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewcli.base.errors import DataError, UsageError, nearest
from sewcli.models.published import figures

FILE = "weights.json"
NUMBERS = r"[-+]?\d+(\.\d+)?,[-+]?\d+(\.\d+)?"  # of a language model and of a word


@dataclass(frozen=True)
class Weights:
    """lm_weight: on the language model's log10 probabilities. word_score: added for every word."""

    lm_weight: float
    word_score: float


DEFAULT = "paper"
PAPER = figures(paper="wav2vec 2.0", table="7", lm="4-gram")
NAMED = {
    DEFAULT: Weights(2.0, -1.0),
    **{
        f"w2v2-{weight.labels}-4gram": Weights(weight.number, score.number)
        for weight, score in zip(PAPER[::2], PAPER[1::2], strict=True)
    },
}


def find_weights(given: str) -> Weights:
    """Weights by name, of a file or folder that `sew tune` wrote, or as two numbers with a comma between.

    Raises:
        UsageError: none of these.
        DataError: the file does not hold two finite numbers.
    """
    if given in NAMED:
        return NAMED[given]
    if re.fullmatch(NUMBERS, given):
        return Weights(*map(float, given.split(",")))
    path = Path(given) / FILE if Path(given).is_dir() else Path(given)
    if not path.is_file():
        raise UsageError(
            "no-such-weights",
            f"no weights {given!r}{nearest(given, NAMED)}",
            hint=f"one of {', '.join(NAMED)}, the {FILE} that sew tune writes, or two numbers such as 2.5,-1",
        )
    from sewcli.base.files import read_json

    found = read_json(path)
    if not isinstance(found, dict):
        raise DataError("invalid-weights-file", "no weights in this file", where=path, hint="sew tune writes one")
    return Weights(*(_number(found.get(name), name, path) for name in ("lm_weight", "word_score")))


def _number(value: Any, name: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(
            "invalid-weights-file", f"{name} is {value!r}, not a number", where=path, hint="sew tune writes such a file"
        )
    return float(value)
