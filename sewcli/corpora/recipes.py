"""A whole preparation, as `sew prep` and `sewcli.prepare` run it: parts are found and checked, cuts written, subsets drawn."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from sewcli.artifacts.data_folder import Splits
from sewcli.corpora import lm_text, preparation
from sewcli.corpora.places import recipe_of
from sewcli.corpora.subset import draw, refresh, require_drawable


def prepare_corpus(
    corpus: str,
    folder: Path | None,
    out: Path,
    *,
    parts: Sequence[str] | None = None,
    held_out: Mapping[str, Sequence[str]] | None = None,
    subsets: Sequence[tuple[str, float, int]] = (),
    jobs: int | None = None,
    force: bool = False,
    root: Path | None = None,
) -> Splits:
    """Prepare a corpus into the data folder `out`.

    Args:
        corpus: one of `places.CORPORA`.
        folder: the corpus as it was unpacked; None looks below $SEW_CORPORA and download/.
        out: the data folder.
        parts: which; None is all that are there.
        held_out: librispeech alone: new splits by name, with the speakers that leave their parts for them.
        subsets: (name, hours, seed) of splits to draw from the train splits, balanced over speakers.
        jobs: threads and processes; None is all cores.
        force: prepare again what is done.
        root: paths are written relative to it; None writes absolute ones.

    Returns:
        The summary of each split by name, as in `prep.json`.

    Raises:
        UsageError: no such corpus, folder or part; a folder that cannot be written, or that another process prepares.
        DataError: a split without a single usable utterance.
    """
    recipe = recipe_of(corpus)
    source, splits = _found(recipe, folder, parts, held_out)
    summaries = prepare_splits(corpus, splits, out, subsets=subsets, jobs=jobs, force=force, root=root)
    if sentences := getattr(recipe, "lm_sources", None):
        words = getattr(recipe, "lm_vocabulary", lambda _: None)(source)
        lm_text.write_lm_text(out, sentences(source), words, force=force)
    return summaries


def prepare_splits(
    source: str,
    splits: Sequence[preparation.Split],
    out: Path,
    *,
    subsets: Sequence[tuple[str, float, int]] = (),
    jobs: int | None = None,
    force: bool = False,
    root: Path | None = None,
) -> Splits:
    """Prepare splits of any source, and draw subsets of them; as `prepare_corpus`."""
    require_drawable(out, [split.name for split in splits], [name for name, _, _ in subsets])
    summaries = preparation.prepare(out, source, splits, jobs=jobs or os.cpu_count() or 1, force=force, root=root)
    for name, hours, seed in subsets:
        summaries[name] = draw(out, name, hours, seed)
    return summaries | refresh(out)


def prepare_corpus_shard(
    corpus: str,
    folder: Path | None,
    out: Path,
    shard: tuple[int, int],
    *,
    parts: Sequence[str] | None = None,
    held_out: Mapping[str, Sequence[str]] | None = None,
    jobs: int | None = None,
) -> dict[str, int]:
    """Check and convert the sound files of one shard (i, n); `prepare_corpus` comes after all of them.

    Returns:
        The sound files of the shard by split.

    Raises:
        UsageError: as `prepare_corpus`.
    """
    _, splits = _found(recipe_of(corpus), folder, parts, held_out)
    return preparation.prepare_shard(out, splits, shard, jobs=jobs or os.cpu_count() or 1)


def _found(
    recipe: ModuleType,
    folder: Path | None,
    parts: Sequence[str] | None,
    held_out: Mapping[str, Sequence[str]] | None,
) -> tuple[Path, list[preparation.Split]]:
    """The folder of the corpus, and the splits to prepare."""
    source = recipe.find_corpus(folder)
    return source, recipe.find_splits(source, parts, **({"held_out": held_out} if held_out else {}))
