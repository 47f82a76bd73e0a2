"""Fisher + Switchboard to train on, RT-03S to develop on, Hub5 Eval2000 to test on: the setting of Kaldi's fisher_swbd.

One folder holds what the LDC delivers, each part in a folder known by its LDC number or by its own marks, three levels down at
most, or links to them. Each part that is there becomes a split: `train-swbd`, `train-fisher`, `dev-rt03`, `test-eval2000`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sewcli.base.errors import UsageError, nearest
from sewcli.base.log import warn
from sewcli.corpora import eval2000, fisher, rt03, switchboard
from sewcli.corpora.calls import DEPTH, Marks, find_folders
from sewcli.corpora.librispeech import CORPORA
from sewcli.corpora.places import is_miniature, require_folder
from sewcli.corpora.utterances import Split

NAME = "swbd_fisher"


@dataclass(frozen=True)
class Part:
    """One of the corpora, and what the LDC calls it."""

    split: str
    title: str
    find: Callable[[Path], list[Split]]


PARTS = (
    Part(
        switchboard.SPLIT,
        "Switchboard-1 Release 2 (LDC97S62, and swb_ms98_transcriptions from OpenSLR 5)",
        switchboard.find_splits,
    ),
    Part(fisher.SPLIT, "Fisher English (LDC2004S13, LDC2004T19, LDC2005S13, LDC2005T19)", fisher.find_splits),
    Part(rt03.SPLIT, rt03.TITLE, rt03.find_splits),
    Part(eval2000.SPLIT, eval2000.TITLE, eval2000.find_splits),
)
TO_FETCH = "; ".join(part.title for part in PARTS)
ANY = Marks.either(switchboard.MARKS, fisher.MARKS, rt03.MARKS, eval2000.MARKS)


def find_corpus(folder: Path | None) -> Path:
    """The folder that holds the parts: the one given, or `$SEW_CORPORA/swbd_fisher`, or `download/swbd_fisher`.

    Raises:
        UsageError: no such folder, none of the parts is in it, or it is some levels off.
    """
    if folder is None:
        folder = Path(os.environ.get(CORPORA) or "download") / NAME
        if not folder.is_dir():
            raise UsageError(
                "corpus-not-found",
                "Switchboard and Fisher are not here, and no folder was given",
                where=folder,
                hint=f"sew prep swbd_fisher DIR, where DIR holds or links to {TO_FETCH}; "
                "or sew prep swbd_fisher --mini for a synthetic miniature",
            )
    require_folder(folder)
    if inside := [above for above in (folder.absolute(), *folder.absolute().parents) if ANY.name(above)]:
        raise UsageError(
            "corpus-folder-too-deep",
            "this is inside one part of the corpus",
            where=folder,
            hint=f"give {inside[-1].parent}",
        )
    if not find_folders(folder, ANY):
        if deeper := find_folders(folder, ANY, depth=2 * DEPTH):
            raise UsageError(
                "corpus-folder-too-high",
                "the corpus is some levels below",
                where=folder,
                hint=f"give {deeper[0].parent}",
            )
        raise UsageError(
            "not-this-corpus",
            "nothing of Switchboard or Fisher is here",
            where=folder,
            hint=f"it should hold folders, or links to folders, with these numbers in their names: {TO_FETCH}",
        )
    return folder


def find_splits(corpus: Path, wanted: Sequence[str] | None) -> list[Split]:
    """The splits to prepare: those `wanted`, or of all parts that are there.

    Raises:
        UsageError: a split is not there, or half of its part is missing.
    """
    names = [part.split for part in PARTS]
    for name in wanted or ():
        if name not in names:
            raise UsageError(
                "no-such-part",
                f"no part {name!r}{nearest(name, names)}",
                where=corpus,
                hint=f"there are: {', '.join(names)}",
            )
    splits = []
    for part in PARTS:
        if wanted and part.split not in wanted:
            continue
        found = part.find(corpus)
        if not found and wanted:
            raise UsageError(
                "corpus-part-missing",
                f"{part.split} is not here",
                where=corpus,
                hint=f"unpack or link {part.title} here",
            )
        if not found:
            warn(f"no {part.split}: {part.title} is not below {corpus}")
        splits += found
    if is_miniature(corpus):
        splits = [replace(split, published=None) for split in splits]
    return splits
