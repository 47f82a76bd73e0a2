"""`sew report`: the rows of a table of results, gathered from experiment folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.cli import options


def report(
    experiments: Annotated[
        list[Path] | None, typer.Argument(help="Folders to look in, at any depth.", show_default="exp")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the rows to this JSON file.")] = None,
    json: options.Json = False,
) -> None:
    """Show every scored experiment in one table: model, parameters, hours, updates, word error rates, speed.

    Everything is read from what the other commands wrote; nothing is typed in.

        sew report exp/mini --out exp/mini/results.json
    """
    from sewcli.scoring.report import print_rows, result_rows

    rows = result_rows(experiments or [options.EXPERIMENTS])
    if out:
        from sewcli.base.files import write_json

        write_json(out, rows)
    print_rows(rows, as_json=json)
