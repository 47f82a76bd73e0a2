"""`sew models`: the zoo."""

from __future__ import annotations

from typing import Annotated

import typer

from sewcli.cli import options


def models(
    name: Annotated[str | None, typer.Argument(help="Explain this one.")] = None,
    json: options.Json = False,
) -> None:
    """List the models that `--model` knows by name, with their sizes.

    sew models
    sew models sew-d-mid
    """
    from sewcli.models.listing import print_models

    print_models(name, as_json=json)
