"""`sew prep`: from the folders of a corpus as published to cuts that the other commands read."""

from __future__ import annotations

import json as json_module
import os
import re
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from sewcli.artifacts.data_folder import REJECTED, Splits
from sewcli.base.errors import PartialError, UsageError
from sewcli.base.log import info
from sewcli.cli import options
from sewcli.corpora.places import CORPORA, recipe_of

MINI = Path("data/mini")


def prep(
    corpus: Annotated[str, typer.Argument(help=f"Which corpus: {', '.join(CORPORA)}.")],
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="The folder of the corpus, as it was unpacked.",
            show_default="below $SEW_CORPORA or download/",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write.", show_default="data/CORPUS, or data/mini with --mini")
    ] = None,
    part: Annotated[
        list[str] | None, typer.Option(help="Only this part (may be repeated).", show_default="all that are there")
    ] = None,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPLIT=SPEAKER,...", help="librispeech: move speakers to a split of their own (may be repeated)."
        ),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=HOURS[@SEED]",
            help="Draw hours of the train splits, balanced over speakers, as a split NAME (may be repeated).",
        ),
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="librispeech: first download the parts.")] = False,
    mini: Annotated[
        bool, typer.Option("--mini", help="First speak a synthetic miniature of the corpus into OUT/corpus.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Check and convert one shard of N; the plain command comes last.")
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Write paths relative to this folder; $SEW_ROOT then says where it is.", show_default="absolute"
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, max=1024, help="Threads and processes.", show_default="all cores"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Prepare again what is done.")] = False,
    json: options.Json = False,
) -> None:
    """Check a corpus to its last sample; write cuts, texts and counts of its parts.

    Every sound file is decoded to its end; telephone speech becomes 16 kHz
    once. What cannot be used is set aside in OUT/rejected.jsonl with the
    reason (the exit code is then 4), and the counts are held against the
    published ones. OUT/vocabulary.md says what the rules of the corpus
    changed and left out. Run it again at any time: what is done and has not
    changed is passed over.

        sew prep librispeech /corpora/LibriSpeech
        sew prep librispeech --download --part train-clean-5 --part dev-clean-2
        sew prep librispeech my-speech --part train-mine --part dev-mine
        sew prep librispeech my-speech --part train-mine --hold-out dev=anna --hold-out test=ben,carla
        sew prep librispeech /corpora/LibriSpeech --subset 10h=10@1
        sew prep librispeech --mini
        sew prep librilight /corpora/librispeech_finetuning    # into data/librispeech
        sew prep librilight /corpora/LibriSpeech --part 1h=1h.lst --part 10h=10h.lst
        sew prep swbd_fisher /corpora/LDC --shard 1/8          # of eight machines; afterwards once without --shard
    """
    from sewcli.corpora.recipes import prepare_corpus, prepare_corpus_shard

    recipe = recipe_of(corpus)
    if mini and (folder or download):
        raise UsageError("options-conflict", "--mini makes a corpus of its own", hint="leave out DIR and --download")
    if corpus != "librispeech" and (download or hold_out):
        raise UsageError(
            "options-conflict",
            "--download and --hold-out are for librispeech",
            hint=f"leave them out of sew prep {corpus}",
        )
    mine, wishes = options.shard(shard) if shard else None, [_subset(wish) for wish in subset or []]
    held_out = _speakers(hold_out or [])
    out = out or _default_out(getattr(recipe, "DATA", corpus), mini)
    if mini:
        folder = out / "corpus" / recipe.NAME
        import_module(f"sewcli.corpora.miniatures.{corpus}").write_miniature(folder, jobs=jobs or os.cpu_count() or 1)
    elif download:
        folder = _download(folder, part)
    if mine:
        done = prepare_corpus_shard(corpus, folder, out, mine, parts=part, held_out=held_out, jobs=jobs)
        info(f"shard {shard}: {sum(done.values()):,} sound files done; run the plain command when all shards are")
        return
    summaries = prepare_corpus(
        corpus, folder, out, parts=part, held_out=held_out, subsets=wishes, jobs=jobs, force=force, root=root
    )
    _show(summaries, as_json=json)
    if rejected := sum(summary["rejected"] for summary in summaries.values()):
        raise PartialError(
            "utterances-failed",
            f"{rejected} utterances were set aside; all others are prepared",
            where=out / REJECTED,
            hint="correct the files and run this again, or go on without them",
        )


def _default_out(data: str, mini: bool) -> Path:
    if mini:
        return MINI if data == "librispeech" else MINI.with_name(f"{MINI.name}-{data}")
    return options.DATA.with_name(data)


def _download(folder: Path | None, parts: list[str] | None) -> Path:
    from sewcli.corpora import librispeech

    if not parts:
        raise UsageError(
            "option-missing",
            "--download needs to know the parts",
            hint="for example --part train-clean-5 --part dev-clean-2 (0.5 GB); "
            "train-clean-100 is 6 GB, all seven parts are 60 GB",
        )
    folder = folder or librispeech.default_folder()
    librispeech.download(folder, parts)
    return folder


def _subset(wish: str) -> tuple[str, float, int]:
    """`"10h=10@1"` -> ("10h", 10.0, 1)."""
    form = re.fullmatch(r"([^=]+)=(\d+(?:\.\d+)?)(?:@(\d+))?", wish)
    if form is None:
        raise UsageError(
            "invalid-subset", f"--subset {wish!r} is not of the form NAME=HOURS[@SEED]", hint="for example 10h=10@1"
        )
    return form[1], float(form[2]), int(form[3] or 1)


def _speakers(settings: list[str]) -> dict[str, list[str]]:
    """`["test=ben,carla"]` -> `{"test": ["ben", "carla"]}`."""
    held_out: dict[str, list[str]] = {}
    for setting in settings:
        split, equals, names = setting.partition("=")
        speakers = [name for name in names.split(",") if name]
        if not equals or not speakers or not split or Path(split).name != split:
            raise UsageError(
                "invalid-hold-out",
                f"--hold-out {setting!r} is not of the form SPLIT=SPEAKER,...",
                hint="e.g. --hold-out test=1737,7312",
            )
        held_out.setdefault(split, []).extend(speakers)
    return held_out


def _show(summaries: Splits, *, as_json: bool) -> None:
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
    for title in ("utterances", "published", "hours", "published", "speakers", "published", "words", "set aside"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, summary in summaries.items():
        published, cells = summary.get("published") or {}, []
        shown = {
            "utterances": f"{summary['utterances']:,}",
            "hours": f"{summary['hours']:,.2f}",
            "speakers": f"{summary['speakers']:,}",
        }
        for key, count in shown.items():
            figure = published.get(key)
            cells += [count, "-" if figure is None else f"{figure:,}"]
        table.add_row(name, *cells, f"{summary['words']:,}", f"{summary['rejected']:,}")
    log.stdout.print(table)
