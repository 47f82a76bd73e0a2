"""`sew pseudo-label`: audio that nobody transcribed becomes training data, its texts written by a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sewcli.base import dist
from sewcli.base.errors import PartialError
from sewcli.cli import options, show

if TYPE_CHECKING:
    from sewcli.self_training.label_config import LabelConfig
    from sewcli.self_training.pseudo_labels import Labelled


def pseudo_label(
    split: Annotated[list[str], typer.Option(help="Split to label (may be repeated).")],
    model: options.Recogniser = None,
    data: options.Data = None,
    lm: Annotated[
        str | None, typer.Option(help="A name in DATA/lm, a file, or none (greedy).", show_default="4gram")
    ] = None,
    rescore: Annotated[
        Path | None,
        typer.Option(help="A neural language model, which rescores the best 100.", show_default="no"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Data folder to write.", show_default="DATA-pseudo")] = None,
    keep: Annotated[
        float | None,
        typer.Option(help="Share to keep of the texts that pass the other filters.", show_default="0.9"),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="SPLIT", help="Pass over the cuts of this split, which have true labels."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one key, e.g. --set filter.min_confidence=0.3 (may be repeated)."),
    ] = None,
    device: options.Device = "auto",
    shard: options.Shard = None,
    print_config: options.PrintConfig = False,
    json: options.Json = False,
) -> None:
    """Transcribe cuts with a model and a language model, and keep the texts that can be trusted as labels.

    OUT is a data folder like any other: cuts_SPLIT.jsonl.gz with, in each cut's custom fields, where
    its label came from; rejected.jsonl has what was not kept, with the reason. Filters: no text,
    rates of letters and words (filter.letters_per_second, filter.words_per_second), n-grams that
    repeat (filter.max_repeats), filter.min_confidence, filter.min_agreement with greedy decoding, and
    last --keep, a share by filter.rank: confidence, margin, agreement or score. Search: search.beam,
    search.weights. Killed or stopped, the same command goes on. Where true texts are known they are
    used for one thing: to tell the error rate of the labels.

        sew pseudo-label --split train-960 --without 10h --model exp/sew-d-mid-ft-10h
        sew pseudo-label --split small --lm 4gram --rescore exp/lm --keep 0.8 --out data/small-pseudo
        sew pseudo-label --split large --shard 1/64               # of 64 jobs, on any machines
        sew finetune --model exp/sew-d-mid/model --set data.train=10h*8,data/librispeech-pseudo/train-960
    """
    mine = options.shard_of(shard)

    from sewcli.base.config import build, dump_yaml, merge, parse_sets
    from sewcli.self_training.label_config import LabelConfig

    flags = options.given(lm=lm, rescore=str(rescore) if rescore else None, filter=options.given(keep=keep) or None)
    config = build(LabelConfig, merge(flags, parse_sets(sets or [])))
    corpus = data or options.DATA
    if print_config:
        show.text(dump_yaml(config))
        _check(config, corpus, split, without, model)
        return
    chosen = options.recogniser(model)

    from sewcli.base.device import choose_device
    from sewcli.data.utterances import require_splits
    from sewcli.self_training.pseudo_labels import pseudo_label as label

    splits = list(dict.fromkeys(require_splits(corpus, split, default_prefix="")))
    excluded = require_splits(corpus, without, default_prefix="") if without else []
    folder = out or corpus.parent / f"{corpus.resolve().name}-pseudo"
    done = label(
        chosen,
        corpus,
        splits,
        config,
        out=folder,
        device=partial(choose_device, device),
        shard=mine,
        without=excluded,
    )
    _show([labelled for labelled in done if labelled.new or dist.is_main()], as_json=json)
    if failed := sum(labelled.failed for labelled in done if labelled.entry is not None or shard):
        raise PartialError(
            "utterances-failed",
            f"{failed} cuts cannot be read; all others are done",
            where=folder,
            hint="rejected.jsonl there names them; correct the audio and run this again, or go on without them",
        )


def _check(config: LabelConfig, corpus: Path, split: list[str], without: list[str] | None, model: Path | None) -> None:
    """What can be checked without decoding; that nothing is prepared yet at the usual place is only a warning."""
    from sewcli.base import log
    from sewcli.data.utterances import require_splits
    from sewcli.self_training.pseudo_labels import require_models

    if model:
        options.recogniser(model)
    if corpus == options.DATA and not corpus.is_dir():
        log.warn(f"{corpus}: nothing is prepared here yet, so splits and the language model are not checked")
        return
    for names in (split, without):
        if names:
            require_splits(corpus, names, default_prefix="")
    require_models(config, corpus)


def _show(done: Sequence[Labelled], *, as_json: bool) -> None:
    """What was kept of each split, and why the rest was not."""
    from sewcli.self_training.manifest import CUSTOM

    for split, entry in [(labelled.split, labelled.entry) for labelled in done if labelled.entry is not None]:
        figures, cuts = entry[CUSTOM], entry["utterances"] + entry["rejected"]
        if as_json:
            keys = ("utterances", "hours", "words", "rejected", "reasons", CUSTOM)
            show.objects({"split": split, **{key: value for key, value in entry.items() if key in keys}})
            continue
        counts = {"labelled": entry["utterances"], **entry["reasons"]}
        rows = [[name, f"{count:,}", f"{100 * count / cuts:.1f} %"] for name, count in counts.items()]
        show.table([*show.names(split), *show.figures("cuts", "share")], rows)
        if errors := figures["label_errors"]:
            kept, every = (100 * errors[which]["wer"] for which in ("kept", "all"))
            show.line(f"word error rate of the labels: {kept:.2f} % (of all texts: {every:.2f} %)")
