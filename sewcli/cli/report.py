"""`sew report`: all that experiment folders tell, as a table, a web page, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sewcli.base.errors import UsageError
from sewcli.cli import options, show

FORMS = (".html", ".md", ".json")


def report(
    experiments: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Folders to look in, at any depth.", show_default="exp"),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", "-o", help="Also write FILE.html, FILE.md or FILE.json (may be repeated)."),
    ] = None,
    audio: Annotated[
        int,
        typer.Option(min=0, help="Utterances of each test set that the web page can play: the worst, and some others."),
    ] = 50,
    data: Annotated[
        Path | None, typer.Option("--data", help="The prepared corpus.", show_default="where it was decoded")
    ] = None,
    json: options.Json = False,
) -> None:
    """Show every scored experiment in one table: model, parameters, hours, updates, word error rates, speed.

    Everything is read from what the other commands wrote; nothing is typed in, and nothing is
    trained, decoded or scored. Runs that are at work or were stopped are shown as far as they are.

    FILE.html is one page without anything from elsewhere, to look at offline, send or publish: word
    error rates with 95 % intervals beside inference time and the SEW paper's, learning curves,
    which systems differ significantly, errors by word, speaker and length, and utterances to search
    and to hear, with what each system wrote. Their words light up as they sound where `sew align`
    has written their times. At most 1,000 utterances and 24 MB of audio go into a page.
    FILE.md has the same as text. FILE.json has the rows of the table.

        sew report exp/mini
        sew report exp/mini --out exp/mini/results.json --out exp/mini/report.html --out exp/mini/report.md
        sew report exp/sew-tiny-ft exp/sew-d-tiny-ft -o tiny.html --audio 200 --data /corpora/librispeech
    """
    wanted = out or []
    for path in wanted:
        if path.suffix not in FORMS:
            raise UsageError(
                "no-such-format",
                f"a report is written as {', '.join(FORMS)}, not as {path.name!r}",
                hint="--out report.html",
            )

    from contextlib import ExitStack

    from sewcli.base.lock import writing

    with ExitStack() as stack:
        for path in dict.fromkeys(wanted):
            stack.enter_context(writing(path))
        _report(experiments or [options.EXPERIMENTS], wanted, audio, data, json)


def _report(roots: list[Path], wanted: list[Path], audio: int, data: Path | None, json: bool) -> None:
    from sewcli.base import log
    from sewcli.base.files import write_json, write_text
    from sewcli.report.experiments import find_experiments
    from sewcli.report.rows import result_rows

    found = find_experiments(roots)
    rows = result_rows(found)
    pages = [path for path in wanted if path.suffix != ".json"]
    if not rows and not pages:
        raise UsageError(
            "no-scores", "nothing was scored here yet", where=roots[0], hint="first run: sew decode (which also scores)"
        )
    if pages:
        from sewcli.report.content import gather
        from sewcli.report.markdown import render_markdown
        from sewcli.report.page import render_page

        content = gather(found, roots, audio=audio if any(path.suffix == ".html" for path in pages) else 0, data=data)
        for path in pages:
            write_text(path, render_page(content) if path.suffix == ".html" else render_markdown(content))
            log.info(f"{path}: {path.stat().st_size / 2**20:.1f} MB")
    for path in wanted:
        if path.suffix == ".json":
            write_json(path, rows)
    if rows:
        show_rows(rows, as_json=json)
    for note in [note for exp in found for note in exp.notes]:
        log.warn(note)


def show_rows(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """The table, or a JSON object a line."""
    if as_json:
        show.objects(*rows)
        return
    nist = any(row["nist_greedy"] is not None or row["nist_lm"] is not None for row in rows)
    columns = [
        *show.names("experiment"),
        *show.names("model", spare=4),
        *show.figures("parameters", spare=5),
        *show.figures("pre-trained", spare=6),
        *show.figures("hours", spare=7),
        *show.figures("updates", spare=8),
        *show.names("split"),
        *show.figures("WER greedy"),
        *show.figures("95 % interval", spare=3),
        *show.names("LM"),
        *show.figures("WER LM"),
        *show.figures("95 % interval", spare=1),
        *(show.figures("NIST greedy / LM", spare=2) if nist else []),
        *show.figures("real-time factor greedy / LM", spare=9),
    ]
    show.table(columns, [_cells(row, nist) for row in rows])


def _cells(row: dict[str, Any], nist: bool) -> list[str]:
    return [
        row["name"],
        row["model"] or "?",
        f"{row['parameters']:,}" if row["parameters"] else "?",
        _pretraining(row),
        f"{row['hours']:.2f}" if row["hours"] is not None else "?",
        f"{row['updates']:,}" if row["updates"] is not None else "?",
        row["split"],
        show.percent(row["wer_greedy"], 1),
        _interval(row["interval_greedy"]),
        row["lm"] or "-",
        show.percent(row["wer_lm"], 1),
        _interval(row["interval_lm"]),
        *([f"{show.percent(row['nist_greedy'], 1)} / {show.percent(row['nist_lm'], 1)}"] if nist else []),
        f"{_factor(row['rtf_greedy'])} / {_factor(row['rtf_lm'])}",
    ]


def _pretraining(row: dict[str, Any]) -> str:
    if not row["pretrained"]:
        return "no"
    return f"{row['pretrain_updates']:,} updates" if row["pretrain_updates"] is not None else "yes"


def _interval(bounds: Sequence[float] | None) -> str:
    return f"[{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]" if bounds else "-"


def _factor(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
