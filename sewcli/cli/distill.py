"""`sew distill`: smaller recognisers that learn from a larger one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sewcli.base.errors import UsageError
from sewcli.cli import options, show
from sewcli.cli.options import given


def distill(
    teacher: Annotated[Path, typer.Option(help="A recogniser: folder, experiment or Hub id.")],
    layers: Annotated[
        str | None, typer.Option(metavar="N,...", help="Depths, a student each.", show_default="that of --student")
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(help="What it begins as: a folder, or a zoo name (new weights).", show_default="the teacher"),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="Its layers: alternate or last ones; random: all new.", show_default="alternate"),
    ] = None,
    data: options.Data = None,
    exp: Annotated[
        Path | None, typer.Option(help="Experiments EXP-L8, ...; table EXP.md.", show_default="exp/TEACHER-distill")
    ] = None,
    config: options.Recipe = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Split of the table (may be repeated).", show_default="as in sew decode"),
    ] = None,
    lm: Annotated[str, typer.Option(help="Language model of the table's second rate: a name or file.")] = "none",
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Another model for the table (may be repeated).", show_default="none"),
    ] = None,
    device: options.Device = "auto",
    sets: options.Sets = None,
    print_config: options.PrintConfig = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Train students whose distribution over letters is their teacher's, frame by frame.

    Each is a run of its own, an ordinary model folder in the end, and goes on where it was stopped.
    Audio alone is enough; transcripts serve the validation, and CTC with --set ctc_weight=1. At the
    end a table: layers, size, time beside the teacher's, word error rates.

        sew distill --teacher exp/base-ft --layers 10,8,6,4 --lm 4gram --split dev-clean --split test-clean
        sew distill --teacher exp/base-ft --layers 6 --init last
        sew distill --teacher exp/base-ft --layers 4 --student exp/base-ft-distill-L12/model  # as the paper's
        sew distill --teacher exp/large-ft --student exp/sew-tiny/model                       # another family
        sew distill --teacher exp/base-ft --layers 6 --exp exp/alone \
          --set divergence_weight=0 --set ctc_weight=1        # the same layers, and no teacher
    """
    from sewcli.compression.config import DistillConfig
    from sewcli.decoding.best_path import language_model
    from sewcli.models.source import is_model
    from sewcli.training.recipes import compose

    chosen = options.recogniser(teacher)
    depths = _depths(layers)
    start = student or str(chosen)
    new = not is_model(start)
    if new and init not in (None, "random"):
        raise UsageError(
            "model-without-weights",
            f"--init {init} for {start}, which has no weights",
            hint="leave --init out, or give a folder",
        )
    flags = given(
        teacher=str(chosen),
        model=start,
        layers=depths[0] if depths else None,
        init="random" if new else init,
        data={"dir": str(data)} if data else None,
    )
    resolved = compose(DistillConfig, "distill", config, flags, sets or [])
    if print_config:
        from sewcli.base.config import dump_yaml
        from sewcli.models.opening import open_source
        from sewcli.training.checked import check_run

        show.text(dump_yaml(resolved))
        if chosen.exists():
            open_source(chosen)
        check_run(resolved)
        return

    from sewcli.compression.sweep import sweep
    from sewcli.compression.table import Decoding

    corpus = Path(resolved.data.dir)
    name = f"{_name(chosen)}-distill" + (f"-{_name(Path(start))}" if student else "")
    name += "" if resolved.init == "alternate" or new else f"-{resolved.init}"
    decoding = Decoding(
        corpus, options.splits_of(corpus, split), language_model(lm), lambda m: options.folder_of(m) / "decode"
    )
    others = {_name(options.recogniser(path)): options.recogniser(path) for path in beside or []}
    done = sweep(resolved, depths, exp or options.EXPERIMENTS / name, device, decoding, others, dry=dry_run)
    show.text("".join(done.dry_runs))
    if done.rows:
        _show(done.rows, decoding.lm, as_json=json)
    if done.partial:
        raise done.partial


def _show(rows: Sequence[dict[str, Any]], lm: str | None, *, as_json: bool) -> None:
    from sewcli.compression.table import cells, markdown

    if as_json:
        show.objects(*rows)
    elif show.console.is_terminal:
        titles, lines = cells(rows, lm)
        show.table([*show.names(titles[0]), *show.figures(*titles[1:])], lines)
    else:
        show.text(markdown(rows, lm))


def _depths(given: str | None) -> list[int]:
    parts = [] if given is None else [part.strip() for part in given.split(",")]
    if not all(part.isdigit() and int(part) for part in parts):
        raise UsageError(
            "invalid-layers", f"--layers {given!r} are not numbers of layers", hint="for example --layers 10,8,6"
        )
    return list(dict.fromkeys(map(int, parts)))


def _name(model: Path) -> str:
    """What a model is called: its experiment, its folder or its file."""
    return model.parent.name if model.name == "model" else model.stem if model.is_file() else model.name
