"""The corpora by name, where they are looked for, and what is said about a place that is none.

A corpus is one module of this folder. It has `NAME` (its folder as published), `find_corpus(folder)` and
`find_splits(corpus, wanted)`; where its language model has text of its own, `lm_sources(corpus)` and `lm_vocabulary(corpus)`.
Nothing heavy is imported here: `sew prep --help` lists the names.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from sewcli.base.errors import UsageError, nearest

CORPORA = ("librispeech", "librilight", "tedlium3", "voxpopuli", "swbd_fisher")


def recipe_of(corpus: str) -> ModuleType:
    """The module of a corpus.

    Raises:
        UsageError: no such corpus.
    """
    name = corpus.replace("-", "_")
    if name not in CORPORA:
        raise UsageError(
            "no-such-corpus", f"no corpus {corpus!r}{nearest(name, CORPORA)}", hint=f"there are: {', '.join(CORPORA)}"
        )
    return import_module(f"sewcli.corpora.{name}")


MINIATURE = "MINIATURE.json"  # the plan that a miniature was made by; a folder without it is never overwritten


def is_miniature(corpus: Path) -> bool:
    """Whether a corpus is one of our miniatures, whose counts are not the published ones."""
    return (corpus / MINIATURE).is_file()


def require_folder(folder: Path) -> None:
    """Check that a folder that was given is one.

    Raises:
        UsageError: a file, or nothing; with the nearest name beside it.
    """
    if folder.is_dir():
        return
    if folder.exists():
        raise UsageError(
            "file-for-folder", "a file, not the folder of a corpus", where=folder, hint="unpack it, and give the folder"
        )
    siblings = [path.name for path in folder.absolute().parent.glob("*/")]
    raise UsageError("folder-not-found", f"no such folder{nearest(folder.name, siblings)}", where=folder)
