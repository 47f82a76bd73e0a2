"""`sew prep`: from the folders of a corpus as published to cuts that the other commands read."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from sewcli.base.errors import PartialError, UsageError, nearest
from sewcli.cli import options

CORPORA = ("librispeech",)
MINI = Path("data/mini")


def prep(
    corpus: Annotated[str, typer.Argument(help="Which corpus: librispeech (or any corpus in its layout).")],
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="The folder that holds its parts.",
            show_default="$SEW_CORPORA/LibriSpeech, or download/LibriSpeech",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write.", show_default="data/librispeech, or data/mini with --mini")
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(help="Only this part (may be repeated).", show_default="all that LibriSpeech knows by name"),
    ] = None,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(metavar="SPLIT=SPEAKER,...", help="Move speakers to a split of their own (may be repeated)."),
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="First download the parts from openslr.org.")] = False,
    mini: Annotated[
        bool, typer.Option("--mini", help="First speak a synthetic miniature into OUT/corpus/LibriSpeech.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Threads, or processes that speak.", show_default="all cores"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Prepare again what is done.")] = False,
    json: options.Json = False,
) -> None:
    """Check a corpus to its last sample; write cuts, texts and counts of its parts.

    Every sound file is decoded to its end. What cannot be used is set aside
    in OUT/rejected.jsonl with the reason (the exit code is then 4), and the
    counts are held against the published ones. Run it again at any time:
    what is done and has not changed is passed over.

        sew prep librispeech /corpora/LibriSpeech
        sew prep librispeech --download --part train-clean-5 --part dev-clean-2
        sew prep librispeech my-speech --part train-mine --part dev-mine
        sew prep librispeech my-speech --part train-mine --hold-out dev=anna --hold-out test=ben,carla
        sew prep librispeech --mini
    """
    import os

    from sewcli.corpora import librispeech, preparation

    if corpus not in CORPORA:
        raise UsageError(f"no corpus {corpus!r}{nearest(corpus, CORPORA)}", mend=f"there are: {', '.join(CORPORA)}")
    if mini and (folder or download):
        raise UsageError("--mini makes a corpus of its own", mend="leave out DIR and --download")
    cores = jobs or os.cpu_count() or 1
    out = out or (MINI if mini else options.DATA)
    if mini:
        from sewcli.corpora.miniatures.librispeech import write_miniature

        folder = out / "corpus" / librispeech.NAME
        write_miniature(folder, jobs=cores)
    elif download:
        folder = folder or librispeech.default_folder()
        if not part:
            raise UsageError(
                "--download needs to know the parts",
                mend="for example --part train-clean-5 --part dev-clean-2 (0.5 GB); "
                "train-clean-100 is 6 GB, all seven parts are 60 GB",
            )
        librispeech.download(folder, part)
    source = librispeech.find_corpus(folder)
    summaries = preparation.prepare(
        out, corpus, librispeech.find_splits(source, part, _speakers(hold_out or [])), jobs=cores, force=force
    )
    _show(summaries, as_json=json)
    if rejected := sum(summary["rejected"] for summary in summaries.values()):
        raise PartialError(
            f"{rejected} utterances were set aside; all others are prepared",
            where=out / preparation.REJECTED,
            mend="mend the files and run this again, or go on without them",
        )


def _speakers(settings: list[str]) -> dict[str, list[str]]:
    """`["test=ben,carla"]` -> `{"test": ["ben", "carla"]}`."""
    held_out: dict[str, list[str]] = {}
    for setting in settings:
        split, equals, names = setting.partition("=")
        speakers = [name for name in names.split(",") if name]
        if not equals or not speakers or not split or Path(split).name != split:
            raise UsageError(
                f"--hold-out {setting!r} is not of the form SPLIT=SPEAKER,...", mend="e.g. --hold-out test=1737,7312"
            )
        held_out.setdefault(split, []).extend(speakers)
    return held_out


def _show(summaries: dict[str, dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for name, summary in summaries.items():
            counts = {k: v for k, v in summary.items() if k not in ("folder", "inputs", "outputs")}
            print(json_module.dumps({"split": name, **counts}))
        return

    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from sewcli.base import log

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("split", no_wrap=True)
    for title in ("utterances", "hours", "speakers", "words", "set aside", "published"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, summary in summaries.items():
        shown = [f"{summary[key]:,}" for key in ("utterances", "speakers", "words", "rejected")]
        shown.insert(1, f"{summary['hours']:.2f}")
        published = "-" if summary["published"] is None else "differs" if summary["differences"] else "as published"
        table.add_row(name, *shown, published)
    log.stdout.print(table)
