"""The alignment of splits of a data folder, as `sew align` and `sewcli.align` run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sewcli.alignment.k2.worker import K2
from sewcli.alignment.split import ALIGNED, AlignedSplit, align_split
from sewcli.artifacts.folder_names import OWNER, choose
from sewcli.data.utterances import read_named
from sewcli.decoding.emission_source import owner_of
from sewcli.models.source import resolve
from sewcli.runtimes.recogniser import Recogniser

if TYPE_CHECKING:
    import torch


def align_corpus(
    model: Path,
    data: Path,
    splits: Sequence[str],
    *,
    out: Path,
    forms: Sequence[str],
    device: Callable[[], torch.device],
    k2: K2 | None = None,
) -> list[AlignedSplit]:
    """Align the transcripts of `splits`; each gets the folder `out`/DATA-SPLIT.

    Args:
        model: a folder or file of a recogniser, or a Hub id.
        data: the data folder.
        splits: names that are there.
        out: the folder above.
        forms: `ctm`, `textgrid` or both.
        device: chosen when the weights are loaded.
        k2: checks every alignment, when given.

    Raises:
        DataError: a split of which no utterance could be aligned.
        UsageError: a model or a folder that cannot be used.
    """
    recogniser = Recogniser(resolve(model), device)
    network = recogniser.start()
    done = []
    for split in splits:
        of = owner_of(recogniser, data, split)
        folder = choose(out, data, "", of, lambda folder: [folder / ALIGNED])
        settings = {
            OWNER: of,
            "split": split,
            "model": str(model),
            "data": str(data),
            "formats": list(forms),
            **network.facts(),
        }
        utterances = read_named(data, split)
        done.append(
            align_split(network, recogniser.vocabulary, utterances, folder, forms=forms, k2=k2, settings=settings)
        )
    return done
