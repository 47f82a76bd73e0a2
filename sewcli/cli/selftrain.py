"""`sew selftrain`: rounds of pseudo-labelling and fine-tuning as one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.cli import options, show

HELP = "A recipe by name (`sew recipes`), or a YAML file of what differs."


def selftrain(
    model: Annotated[
        str | None,
        typer.Option(
            help="A recogniser, or a pre-trained model to make one of with the true labels first.",
            show_default="the newest recogniser below exp/",
        ),
    ] = None,
    data: options.Data = None,
    untranscribed: Annotated[
        list[str] | None, typer.Option(metavar="SPLIT", help="Split to label (may be repeated).")
    ] = None,
    lm: Annotated[str | None, typer.Option(help="A name in DATA/lm or a file.", show_default="4gram")] = None,
    rescore: Annotated[str | None, typer.Option(help="A neural language model, which rescores the best 100.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Label and fine-tune so often.", show_default="1")] = None,
    final: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Fine-tune another model at the end: a pre-trained folder, or a name of exp/."
        ),
    ] = None,
    exp: Annotated[Path, typer.Option(help="Experiment folder.")] = Path("exp/selftrain"),
    config: Annotated[str | None, typer.Option("--config", "-c", help=HELP)] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one key, e.g. --set finetune.optim.lr=3e-5 (may be repeated)."),
    ] = None,
    device: options.Device = "auto",
    print_config: options.PrintConfig = False,
    json: options.Json = False,
) -> None:
    """Label audio with a model, fine-tune on true labels and those, and again; then a table of all rounds.

    EXP/round-N is what `sew finetune` makes, with labels/ (see sew pseudo-label) and decode/.
    selftrain.json and selftrain.md tell word error rates of dev and test before and after each
    round, the share of labels kept, and their error rate where the truth is known. Killed or
    stopped anywhere, the same command goes on; more --rounds go on from the last.

        sew selftrain --model exp/sew-d-mid/model --untranscribed train-960 --config 10h --rounds 3
        sew selftrain --untranscribed small --set labelled=train-mine --set finetune.updates=20000
        sew selftrain --model exp/sew-tiny-ft --untranscribed small --final sew-d-mid --set final_finetune.updates=80000
        sew selftrain --untranscribed train-rest --set label.filter.keep=0.8 --set begin=last --set labelled_times=8
    """
    from sewcli.base.config import dump_yaml
    from sewcli.models.source import of_experiment
    from sewcli.self_training.config import SelfTrainingConfig
    from sewcli.self_training.rounds import check_plan, self_train, started_from
    from sewcli.self_training.table import cells
    from sewcli.training.recipes import compose, read

    named = read("selftrain", config).settings.get("model") if config else None
    start = model or named or started_from(exp)
    start = start or options.newest_model("ForCTC", hint="first run: sew finetune, or give --model")
    label = options.given(lm=lm, rescore=rescore)
    flags = options.given(
        model=str(of_experiment(Path(start))),
        data=str(data) if data else None,
        untranscribed=tuple(untranscribed) if untranscribed else None,
        rounds=rounds,
        final=final,
        label=label or None,
    )
    resolved = compose(SelfTrainingConfig, "selftrain", config, flags, sets or [])
    if print_config:
        show.text(dump_yaml(resolved))
        check_plan(resolved, exp)
        return
    rows = self_train(resolved, exp, device)
    if json:
        show.objects(*rows)
        return
    titles, lines = cells(rows)
    show.table([*show.names(titles[0]), *show.figures(*titles[1:])], lines)
