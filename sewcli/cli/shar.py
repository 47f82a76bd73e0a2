"""`sew shar`: a prepared corpus of single files becomes lhotse's Shar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.base.errors import PartialError, UsageError
from sewcli.cli import options, show


def shar(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="What `sew prep` wrote.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new data folder; it gets a folder a split.")],
    split: Annotated[
        list[str] | None, typer.Option(help="Only this split (may be repeated).", show_default="all")
    ] = None,
    shard_size: Annotated[int, typer.Option(min=1, help="Cuts a shard.")] = 1000,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, max=1024, help="Threads that read.", show_default="all cores")
    ] = None,
    json: options.Json = False,
) -> None:
    """Pack the sound files of a prepared corpus into tars, for file systems that are slow with many files.

    The format is lhotse's Shar: `CutSet.from_shar(in_dir="OUT/SPLIT")` reads it, and every `--data` here takes
    such a folder, whoever wrote it, in place of single files. Training makes the same batches and draws from it.
    Whole files are copied as they are; segments of longer ones become 16-bit FLAC. Audio that cannot be read is left
    out and listed in OUT/failed_SPLIT.jsonl; the exit code is then 4. Killed, the same command goes on.

        sew shar data/librispeech data/librispeech-shar
        sew shar data/tedlium3 /fast/tedlium3 --split train --shard-size 5000
        sew pretrain --model sew-d-mid --data /fast/tedlium3
    """
    import os

    from sewcli.data.packing import pack
    from sewcli.data.utterances import require_splits

    if out.resolve() == data.resolve():
        raise UsageError("output-is-input", "OUT is the folder to read from", where=out, hint="give another folder")
    failed = 0
    for name in list(dict.fromkeys(require_splits(data, split, default_prefix=""))):
        done = pack(data, name, out, shard_size=shard_size, jobs=jobs or os.cpu_count() or 1)
        failed += done.failed
        if json:
            counts = {"cuts": done.cuts, "hours": done.hours, "shards": done.shards, "failed": done.failed}
            show.objects({"split": name, **counts})
        else:
            show.line(f"{out / name}: {done.cuts:,} cuts, {done.hours:.2f} h in {done.shards:,} shards")
    if failed:
        raise PartialError(
            "utterances-failed",
            f"{failed:,} cuts cannot be read and were left out; all others are packed",
            where=out / "failed_SPLIT.jsonl",
            hint="sew check names what is wrong with them",
        )
