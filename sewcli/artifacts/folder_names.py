"""Names of the folders that decoding, tuning and alignment write: `<data>-<split>`, and `-<decoder>` after it.

Two corpora with a split of one name, two models or two language models with a file of one name never share a folder: each
summary holds what the folder is of (`of`: model, data, split, language model), and where another one has the name already the
data's name gets a number, `<data>.2-<split>`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sewcli.base import log
from sewcli.base.errors import DataError
from sewcli.base.files import read_json
from sewcli.base.names import shortened

Owner = dict[str, str]
OWNER = "of"


def owner(data: Path, split: str, *, cuts: str, model: Path, weights: str, lm: Path | None = None) -> Owner:
    """What a folder is of: the split of a corpus, a model, perhaps a language model; `cuts`, `weights`: their digests."""
    of = {"data": _absolute(data), "split": split, "cuts": cuts, "model": _absolute(model), "weights": weights}
    return of if lm is None else {**of, "lm": _absolute(lm)}


def choose(out: Path, data: Path, ending: str, of: Owner, summaries: Callable[[Path], Iterable[Path]]) -> Path:
    """The folder below `out` for these: the first name that is free, or theirs already.

    Args:
        out: the folder above.
        data: folder of the corpus, whose name comes first.
        ending: what follows the split, such as `-greedy`.
        of: of `owner`.
        summaries: the JSON files that tell whose a folder is.
    """
    corpus, rest = data.resolve().name or "data", f"-{of['split']}{ending}"
    for number in itertools.count(1):
        name = f"{corpus}{f'.{number}' if number > 1 else ''}{rest}".replace("/", "_")
        folder = out / shortened(name)
        owners = [found for path in summaries(folder) if (found := _owner_in(path)) is not None]
        if all(_is_same(found, of) for found in owners):
            if number > 1:
                log.info(f"{folder}: the same name without a number is of another corpus or model")
            return folder
    raise AssertionError


def _owner_in(path: Path) -> Owner | None:
    try:
        found: Any = read_json(path)[OWNER]
        return {str(key): str(value) for key, value in found.items()}
    except (DataError, KeyError, TypeError, AttributeError):  # none there, or of an older version
        return None


def _is_same(found: Owner, of: Owner) -> bool:
    """Whether paths are the same, or of what was moved: nothing is at the old path, and the content is the same."""
    if found.get("split") != of["split"]:
        return False
    for name, content in (("data", "cuts"), ("model", "weights"), ("lm", None)):
        before, now = found.get(name), of.get(name)
        if before == now:
            continue
        if before is None or now is None or Path(before).exists():
            return False
        if (found.get(content) != of[content]) if content else (Path(before).name != Path(now).name):
            return False
    return True


def _absolute(path: str | Path) -> str:
    return str(Path(path).resolve()) if Path(path).exists() else str(path)
