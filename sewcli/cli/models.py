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
    figures: Annotated[
        bool, typer.Option("--figures", help="Every figure that the papers report, in Markdown.")
    ] = False,
    json: options.Json = False,
) -> None:
    """List the models that `--model` knows by name, with their sizes and the paper's.

    With a name: every layer with its output, parameters and multiply-accumulates for 10 s. Names
    can be varied: +wfe-o-c512 and +wfe-c-c96-l0 (the feature extractor), +fbfe (filter banks),
    +k127 (position kernel), +e384 (width), +s4 (squeeze), +25hz, +upsample, +heads-linear. The
    squeezed rows of the SEW paper's tables 1, 3 and 4 have linear heads.

        sew models
        sew models sew-d-mid
        sew models sew-tiny+wfe-c-c48-l1+k127+heads-linear
        sew models --tables > docs/models.md
        sew models --figures > docs/published.md
    """
    if tables:
        from sewcli.models.tables import tables as written

        print(written(), end="")
        return
    if figures:
        from sewcli.models.published_page import page

        print(page(), end="")
        return
    from sewcli.models.listing import print_models

    print_models(name, as_json=json)
