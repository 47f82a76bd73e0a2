"""`sew pretrain`: from untranscribed audio to a pre-trained encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.cli import options, show
from sewcli.cli.options import given


def pretrain(
    model: Annotated[
        str | None,
        typer.Option(
            help="A model of the zoo (see `sew models`), or a folder to go on from.",
            show_default="the recipe's, or sew-tiny",
        ),
    ] = None,
    data: options.Data = None,
    exp: Annotated[
        Path | None,
        typer.Option(help="Experiment folder.", show_default="exp/MODEL, or exp/RECIPE if that names a model"),
    ] = None,
    config: options.Recipe = None,
    updates: Annotated[int | None, typer.Option(min=1, help="Updates in all.")] = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    sets: options.Sets = None,
    print_config: options.PrintConfig = False,
    dry_run: options.DryRun = False,
) -> None:
    """Pre-train an encoder on audio alone (wav2vec 2.0's contrastive task).

    `sew recipes` lists the papers' settings, and every row of wav2vec 2.0's ablations.

    Killed or stopped, the same command goes on from its last checkpoint, to the very same weights.
    Under `torchrun` it trains on several GPUs; the batch stays what the config says.

        sew pretrain --model sew-d-mid
        sew pretrain --model sew-d-tiny --config tiny-100k    # the tiny models have micro-batches of their own
        sew pretrain --config ablation/negatives-any
        sew pretrain --model sew-d-base-plus --dry-run      # does it fit, and how long will it take?
        torchrun --nproc-per-node 8 -m sewcli.cli.app pretrain --model sew-mid
    """
    from sewcli.training.config import PretrainConfig
    from sewcli.training.recipes import compose, experiment_name

    flags = given(
        model=model, updates=updates, seed=seed, precision=precision, data={"dir": str(data)} if data else None
    )
    resolved = compose(PretrainConfig, "pretrain", config, flags, sets or [])
    if print_config:
        from sewcli.base.config import dump_yaml
        from sewcli.training.checked import check_run

        show.text(dump_yaml(resolved))
        check_run(resolved)
        return

    from sewcli.training.pretrain import run

    folder = exp or options.EXPERIMENTS / experiment_name("pretrain", config, model, resolved.model)
    show.text(run(resolved, folder, device, dry=dry_run))
