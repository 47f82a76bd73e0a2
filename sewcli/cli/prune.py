"""`sew prune`: zeros for small weights, or fewer heads, units and layers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sewcli.cli import options, show


class Among(StrEnum):
    """What weights are compared with."""

    GLOBAL = "global"
    LAYER = "layer"
    SENSITIVITY = "sensitivity"


def prune(
    model: Annotated[Path, typer.Argument(help="A recogniser: its folder, its experiment, or a Hub id.")],
    out: Annotated[Path, typer.Argument(help="Model folder to write.")],
    magnitude: Annotated[
        float | None, typer.Option(min=0, max=0.99, help="Share of weights to set to zero.", show_default="none")
    ] = None,
    scope: Annotated[
        Among, typer.Option(help="The smallest of all layers, of each layer, or so that all layers suffer alike.")
    ] = Among.GLOBAL,
    heads: Annotated[int | None, typer.Option(min=1, help="Heads left in each layer.", show_default="all")] = None,
    feedforward: Annotated[
        int | None, typer.Option(min=1, help="Feed-forward units left in each layer.", show_default="all")
    ] = None,
    drop_layers: Annotated[int, typer.Option(min=0, help="Layers to drop.")] = 0,
    data: options.Data = None,
    split: Annotated[
        str | None, typer.Option(help="Split whose audio tells what matters.", show_default="dev*")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="So much of it.")] = 600,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Write a sparser or smaller copy of a recogniser; a short fine-tuning should follow.

    --magnitude sets the smallest weights of the transformer layers' matrices to zero: nothing gets faster,
    but such a file compresses. --heads, --feedforward and --drop-layers cut out what matters least on
    some audio (the loss's first-order change without it; transcripts are used where there are any):
    that saves time. transformers loads all but models with fewer heads, for which it has no form.

        sew prune exp/w2v2-base-ft exp/half/model --magnitude 0.5
        sew prune exp/w2v2-base-ft exp/half/model --magnitude 0.5 --scope sensitivity
        sew prune exp/w2v2-base-ft exp/slim/model --feedforward 2048 --heads 8 --drop-layers 2
        sew finetune --model exp/half/model --config prune --exp exp/half-ft      # zeros stay zero
    """
    from sewcli.base.lock import writing
    from sewcli.compression.prune import Wish
    from sewcli.compression.prune import prune as run

    wish = Wish(magnitude, scope.value, heads, feedforward, drop_layers)
    with writing(out):
        row = run(
            options.recogniser(model),
            out,
            wish,
            data=data or options.DATA,
            split=split,
            seconds=seconds,
            device_name=device,
        )
    if json:
        show.objects(row)
        return
    share = (
        f", {100 * row['zeros'] / row['of']:.1f} % zeros in the transformer layers' matrices" if row["zeros"] else ""
    )
    show.line(f"{out}: {row['parameters']:,} of {row['parameters_before']:,} parameters{share}")
