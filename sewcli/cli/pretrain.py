"""`sew pretrain`: from untranscribed audio to a pre-trained encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.cli import options
from sewcli.cli.options import given


def pretrain(
    model: Annotated[
        str, typer.Option(help="A model of the zoo (see `sew models`), or a folder to go on from.")
    ] = "sew-tiny",
    data: options.Data = None,
    exp: Annotated[Path | None, typer.Option(help="Experiment folder.", show_default="exp/MODEL")] = None,
    config: options.Recipe = None,
    updates: Annotated[int | None, typer.Option(min=1, help="Updates in all.")] = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    sets: options.Sets = None,
    print_config: options.PrintConfig = False,
) -> None:
    """Pre-train an encoder on audio alone (wav2vec 2.0's contrastive task).

    Killed or stopped, the same command goes on from its last checkpoint, to the very same weights.
    Under `torchrun` it trains on several GPUs; the batch stays what the config says.

        sew pretrain --model sew-d-mid
        sew pretrain --model sew-d-mid --config 400k --set batch.micro_seconds=175
        torchrun --nproc-per-node 8 -m sewcli.cli.app pretrain --model sew-mid
    """
    from sewcli.training.config import PretrainConfig
    from sewcli.training.recipes import compose

    flags = given(
        model=model, updates=updates, seed=seed, precision=precision, data={"dir": str(data)} if data else None
    )
    resolved = compose(PretrainConfig, "pretrain", config, flags, sets or [])
    if print_config:
        from sewcli.base.config import dump_yaml

        print(dump_yaml(resolved), end="")
        return

    from sewcli.training.pretrain import run

    run(resolved, exp or options.EXPERIMENTS / Path(model).name, device)
