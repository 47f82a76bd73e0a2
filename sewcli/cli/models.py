"""`sew models`: the zoo."""

from __future__ import annotations

from typing import Annotated

import typer

from sewcli.cli import options


def models(
    name: Annotated[str | None, typer.Argument(help="Show this one part by part.")] = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="Every row of the paper's tables beside ours, in Markdown.")
    ] = False,
    json: options.Json = False,
) -> None:
    """List the models that `--model` knows by name, with their sizes and the paper's.

    With a name: every layer with its output, parameters and multiply-accumulates for 10 s. Names
    can be varied: +wfe-o-c512 and +wfe-c-c96-l0 (the feature extractor), +fbfe (filter banks),
    +k127 (position kernel), +e384 (width), +s4 (squeeze), +25hz, +upsample, +heads-mlp.

        sew models
        sew models sew-d-mid
        sew models sew-tiny+wfe-c-c48-l1+k127
        sew models --tables > docs/models.md
    """
    if tables:
        from sewcli.models.tables import tables as written

        print(written(), end="")
        return
    from sewcli.models.listing import print_models

    print_models(name, as_json=json)
