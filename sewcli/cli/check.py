"""`sew check`: is a prepared corpus fit to train and to test on?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sewcli.base.errors import DataError, UsageError, nearest
from sewcli.cli import options, show

if TYPE_CHECKING:
    from sewcli.data.check import Checked
    from sewcli.data.findings import Finding

LIST = "check.jsonl"
MODEL = "sew-tiny"  # letters and 50 frames a second, as all of the papers' models


def check(
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]", help="What `sew prep` wrote, or lhotse cuts.", show_default="data/librispeech"
        ),
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Only this split (may be repeated).", show_default="all")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Read the audio of so many cuts of each split.", show_default="all")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 1,
    model: Annotated[
        str,
        typer.Option(help="Hold labels against its letters and frames: a name of the zoo, a folder, a file, a Hub id."),
    ] = MODEL,
    vocab: Annotated[
        Path | None,
        typer.Option(
            help="A vocab.json, a text file with a symbol a line, or a model folder.",
            show_default="the model's, else DATA/vocab.json, else English letters",
        ),
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="An error that shall be a warning here (may be repeated).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The list of what was found.", show_default="DATA/check.jsonl")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, max=1024, help="Threads that read.", show_default="all cores")
    ] = None,
    json: options.Json = False,
) -> None:
    """Read every cut of a prepared corpus and name what is not fit to train or to test on.

    Writes DATA/check.jsonl (id, split, file, kind, severity, detail) and
    prints a table. The exit code is 3 when there is an error: something a
    command would stop at, or that makes results mislead. Training leaves
    out, or can live with, what is a warning.

    kind             severity  what it means
    unreadable       error     sound file missing, truncated, damaged
    nan              error     samples that are NaN or infinite
    rate             error     not 16 kHz, or not the manifest's rate
    beyond-end       error     the cut is not inside its file
    rounded          warning   a cut that ends up to 25 ms after its file
    partial          error     a text of more than the audio of its cut
    no-signal        error     all samples are equal
    silent           warning   level below -60 dB of full scale
    clipped          warning   over 0.1 % of samples in flat tops
    offset           warning   mean beyond 2 % of full scale
    too-short        warning   under 0.1 s: fine-tuning leaves it out
    too-long         warning   over 40 s (unlabelled: 10 minutes)
    vocabulary       error     a label that the model cannot write
    no-label         warning   no text, where others of the split have
    too-many-labels  warning   more labels than frames for CTC
    duplicate-id     error     an id twice, in one split or in two
    leak             error     same audio in two of train, dev, test
    twice            warning   same audio twice in one of them
    speaker          error     a speaker in two of train, dev, test
    manifest         error     cuts broken, or not as prep.json says
    text             error     text_SPLIT.txt is not that of the cuts
    segments         warning   cuts of several utterances, or of a part
    transforms       warning   audio that lhotse computes on reading
    unused           warning   features or custom fields: nothing reads them

        sew check data/librispeech
        sew check data/tedlium3 --sample 500 --split train --split dev
        sew check data/librispeech --model sew-tiny+25hz
        sew check data/mine --model exp/mine/model --allow speaker
    """
    import os

    from sewcli.base import log
    from sewcli.base.files import write_jsonl
    from sewcli.data.check import check as check_corpus
    from sewcli.data.check import labels_of
    from sewcli.data.findings import KINDS
    from sewcli.data.utterances import require_splits

    data = data or options.DATA
    for kind in allow or ():
        if kind not in KINDS:
            raise UsageError(
                "no-such-finding", f"no kind {kind!r}{nearest(kind, KINDS)}", hint=f"there are: {', '.join(KINDS)}"
            )
    listed = out or (data.parent if data.is_file() else data) / LIST
    require_splits(data, split, default_prefix="")
    _require_writable(listed)
    labels = labels_of(model, vocab, data)
    checked = check_corpus(data, labels, wanted=split, sample=sample, seed=seed, jobs=jobs or os.cpu_count() or 1)
    rows = [finding.row(allow or ()) for finding in checked.findings]
    write_jsonl(listed, rows)
    errors = sum(row["severity"] == "error" for row in rows)
    _show(checked, allow or [], errors, as_json=json)
    log.info(f"{listed}: {errors:,} errors, {len(rows) - errors:,} warnings")
    if errors:
        raise DataError(
            "corpus-has-errors",
            f"{errors:,} findings that matter",
            where=listed,
            hint="correct them and prepare the corpus again; or, where a kind is meant to be so, --allow KIND",
        )


def _require_writable(listed: Path) -> None:
    """Refuse now what could not be written after hours of reading; and no older list shall be taken for this one."""
    import os

    from sewcli.base.files import os_errors_as_usage_errors

    if not os.access(listed.parent, os.W_OK):
        raise UsageError(
            "cannot-write", "cannot write here", where=listed, hint="give --out FILE in a folder you may write to"
        )
    with os_errors_as_usage_errors(listed):
        listed.unlink(missing_ok=True)


def _show(checked: Checked, allow: list[str], errors: int, *, as_json: bool) -> None:
    groups: dict[str, list[Finding]] = {}
    for finding in checked.findings:
        groups.setdefault(finding.kind, []).append(finding)
    worst = {kind: max(found, key=lambda finding: finding.weight) for kind, found in groups.items()}
    hours = checked.seconds / 3600
    if as_json:
        show.objects(*({**worst[kind].row(allow), "count": len(found)} for kind, found in groups.items()))
        total = {"cuts": checked.cuts, "read": checked.read, "hours": round(hours, 4), "errors": errors}
        show.objects({**total, "warnings": len(checked.findings) - errors})
        return

    from rich.text import Text

    rows: list[list[str | Text]] = []
    for kind, found in groups.items():
        row = worst[kind].row(allow)
        severity = Text(row["severity"], "red" if row["severity"] == "error" else "yellow")
        example = ": ".join(filter(None, (row["split"], row["id"] or row["file"], row["detail"])))
        rows.append([kind, severity, f"{len(found):,}", example.encode(errors="replace").decode()])
    if rows:
        show.table([*show.names("fault", "severity"), *show.figures("count"), *show.names("the worst of them")], rows)
    said = "no fault found" if not groups else f"{sum(map(len, groups.values())):,} findings"
    show.line(f"{said}: {checked.cuts:,} cuts, the audio of {checked.read:,} read ({hours:.2f} h)")
