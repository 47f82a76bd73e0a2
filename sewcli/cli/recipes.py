"""`sew recipes`: settings by name."""

from __future__ import annotations

from typing import Annotated

import typer

from sewcli.cli import options, show


def recipes(
    tables: Annotated[
        bool, typer.Option("--tables", help="With the papers' rows and word error rates, in Markdown.")
    ] = False,
    check_figures: Annotated[
        bool, typer.Option("--check-figures", help="Compare every figure of a paper with the table of them (exit 3).")
    ] = False,
    json: options.Json = False,
) -> None:
    """List the recipes that `--config` knows by name, and what differs in each.

    The papers' settings for pre-training, fine-tuning and distillation, and each row of wav2vec 2.0's ablations, with
    the word error rates that the papers report (all of them: sew models --figures).

        sew recipes
        sew pretrain --config ablation/codebook-8x8 --print-config
        sew recipes --tables > docs/recipes.md
        sew recipes --check-figures       # recipes, docs/ and egs/ of a checkout against sew models --figures
    """
    if check_figures:
        _check()
    elif tables:
        from sewcli.training.recipes_page import page

        show.text(page())
    else:
        _print(as_json=json)


def _print(as_json: bool) -> None:
    """One line a recipe."""
    from sewcli.training.recipes_page import differs, recipes

    rows = []
    for verb, name, recipe in recipes():
        about = recipe.about
        if as_json:
            row = {"verb": verb, "name": name, "inherits": recipe.inherits}
            show.objects({**row, "about": about and about.model_dump(), "own": recipe.own})
        else:
            wer = about.wer if about and isinstance(about.wer, str) else ""
            rows.append([verb, name, wer, differs(recipe)])
    if rows:
        show.table([*show.names("verb", "recipe"), *show.figures("WER"), *show.names("differs")], rows)


def _check() -> None:
    """Print what was compared.

    Raises:
        DataError: a figure is not that of the table.
    """
    from sewcli.base.errors import DataError
    from sewcli.training.figure_check import check_figures

    found = check_figures()
    if found.differences:
        raise DataError("figures-differ", "\n  ".join(["figures differ from those of the papers:", *found.differences]))
    show.line(f"{found.figures:,} figures compared, 0 differ: {', '.join(found.places)}")
