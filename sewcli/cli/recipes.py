"""`sew recipes`: settings by name."""

from __future__ import annotations

from typing import Annotated

import typer

from sewcli.cli import options


def recipes(
    tables: Annotated[
        bool, typer.Option("--tables", help="With the papers' rows and word error rates, in Markdown.")
    ] = False,
    json: options.Json = False,
) -> None:
    """List the recipes that `--config` knows by name, and what differs in each.

    The papers' settings for pre-training, fine-tuning and distillation, and each row of wav2vec 2.0's ablations.

        sew recipes
        sew pretrain --config ablation/codebook-8x8 --print-config
        sew recipes --tables > docs/recipes.md
    """
    from sewcli.training.recipe_list import page, print_recipes

    if tables:
        print(page(), end="")
    else:
        print_recipes(as_json=json)
