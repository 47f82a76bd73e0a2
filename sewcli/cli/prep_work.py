"""What every `sew prep` shares, of published corpora and of one's own data: options, and the report at the end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from sewcli.artifacts.data_folder import REJECTED, Splits
from sewcli.base.errors import PartialError, UsageError
from sewcli.cli import show

Out = Annotated[Path | None, typer.Option(help="Where to write.", show_default="data/CORPUS, or data/mini with --mini")]
Subset = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=HOURS[@SEED]",
        help="Draw hours of the train splits, balanced over speakers, as a split NAME (may be repeated).",
    ),
]
Shard = Annotated[
    str | None, typer.Option(metavar="I/N", help="Check and convert one shard of N; the plain command comes last.")
]
Root = Annotated[
    Path | None,
    typer.Option(help="Write paths relative to this folder; $SEW_ROOT then says where it is.", show_default="absolute"),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, max=1024, help="Threads and processes.", show_default="all cores"),
]
Force = Annotated[bool, typer.Option("--force", help="Prepare again what is done.")]


def subset_wish(wish: str) -> tuple[str, float, int]:
    """`"10h=10@1"` -> ("10h", 10.0, 1)."""
    form = re.fullmatch(r"([^=]+)=(\d+(?:\.\d+)?)(?:@(\d+))?", wish)
    if form is None:
        raise UsageError(
            "invalid-subset", f"--subset {wish!r} is not of the form NAME=HOURS[@SEED]", hint="for example 10h=10@1"
        )
    return form[1], float(form[2]), int(form[3] or 1)


def report(summaries: Splits, out: Path, *, as_json: bool) -> None:
    """Show what was made.

    Raises:
        PartialError: utterances were set aside.
    """
    _show(summaries, as_json=as_json)
    if rejected := sum(summary["rejected"] for summary in summaries.values()):
        raise PartialError(
            "utterances-failed",
            f"{rejected} utterances were set aside; all others are prepared",
            where=out / REJECTED,
            hint="correct the files and run this again, or go on without them",
        )


def _show(summaries: Splits, *, as_json: bool) -> None:
    if as_json:
        for name, summary in summaries.items():
            counts = {k: v for k, v in summary.items() if k not in ("folder", "inputs", "outputs")}
            show.objects({"split": name, **counts})
        return

    published = any(summary.get("published") for summary in summaries.values())
    columns = [
        *show.names("split"),
        *show.figures("utterances"),
        *show.figures("published", spare=1),
        *show.figures("hours"),
        *show.figures("published", spare=2),
        *show.figures("speakers", spare=4),
        *show.figures("published", spare=3),
        *show.figures("words", spare=5),
        *show.figures("set aside"),
    ]
    rows = []
    for name, summary in summaries.items():
        figures, cells = summary.get("published") or {}, []
        shown = {
            "utterances": f"{summary['utterances']:,}",
            "hours": f"{summary['hours']:,.2f}",
            "speakers": f"{summary['speakers']:,}",
        }
        for key, count in shown.items():
            figure = figures.get(key)
            cells += [count, *(["-" if figure is None else f"{figure:,}"] if published else [])]
        rows.append([name, *cells, f"{summary['words']:,}", f"{summary['rejected']:,}"])
    show.table([column for column in columns if published or column.title != "published"], rows)
