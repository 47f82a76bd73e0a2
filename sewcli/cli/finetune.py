"""`sew finetune`: from a pre-trained encoder and transcripts to a recogniser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.base import log
from sewcli.cli import options, show
from sewcli.cli.options import given


def finetune(
    model: Annotated[
        str | None,
        typer.Option(
            help="A pre-trained folder, or a model of the zoo to train from nothing.", show_default="the newest in exp/"
        ),
    ] = None,
    data: options.Data = None,
    exp: Annotated[Path | None, typer.Option(help="Experiment folder.", show_default="exp/MODEL-ft")] = None,
    config: options.Recipe = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Of a recogniser take the encoder alone, for the symbols of these data.")
    ] = False,
    updates: Annotated[int | None, typer.Option(min=1, help="Updates in all.")] = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    sets: options.Sets = None,
    print_config: options.PrintConfig = False,
    dry_run: options.DryRun = False,
) -> None:
    """Fine-tune a pre-trained encoder with CTC on letters; the best model on the dev split is kept.

    Recipes by the amount of labels: 10m, 1h, 10h, 100h, 960h, 10m-stable to 100h-stable for models that
    degenerate, vox-10m to vox-960h for LARGE. Each takes the split of LibriSpeech or Libri-Light that it
    is named by, and refuses half or twice as many hours; --set data.train names other labels. small-data is
    for ten minutes to ten hours of your own. Without --config all train splits are taken, at the rate and
    for the updates of 100 hours (sew recipes).

        sew finetune --model exp/sew-d-mid/model --config 10h                        # the split 10h
        sew finetune --model exp/sew-d-mid/model --data data/mine --config 10h --set data.train=train
        sew finetune --model facebook/wav2vec2-xls-r-300m --data data/mine --config small-data --exp exp/mine
        sew finetune --model sew-tiny --set extractor_gradient=1   # from nothing, to compare
        sew finetune --set data.train=10h*8,data/pseudo/train-960  # true labels 8 times, and those of sew pseudo-label
    """
    from sewcli.training.config import FinetuneConfig
    from sewcli.training.recipes import compose

    chosen = model or str(options.newest_model("ForPreTraining", hint="first run: sew pretrain, or give --model"))
    flags = given(
        model=chosen,
        new_head=new_head or None,
        updates=updates,
        seed=seed,
        precision=precision,
        data={"dir": str(data)} if data else None,
    )
    resolved = compose(FinetuneConfig, "finetune", config, flags, sets or [])
    if print_config:
        from sewcli.base.config import dump_yaml
        from sewcli.training.checked import check_run

        show.text(dump_yaml(resolved))
        check_run(resolved)
        return
    if config is None:
        log.info(
            f"no --config: {resolved.updates:,} updates at a rate of {resolved.optim.lr:g}, which the papers take for 100 "
            "hours of labels; --config 10m, 1h or 10h for less (with --set data.train=... for labels of your own), or "
            "--config small-data for 10 minutes to 10 hours of your own"
        )

    from sewcli.training.finetune import run

    path = Path(chosen)
    name = path.parent.name if path.name == "model" else path.name
    show.text(run(resolved, exp or options.EXPERIMENTS / f"{name}-ft", device, dry=dry_run))
