"""`sew prep`: from the folders of a corpus as published, or from one's own data, to cuts that the other commands read."""

from __future__ import annotations

import inspect
import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from sewcli.base.errors import UsageError, nearest
from sewcli.base.log import info
from sewcli.cli import options, own_data
from sewcli.cli.command import Group, Verb
from sewcli.cli.prep_work import Force, Jobs, Out, Root, Shard, Subset, report, subset_wish
from sewcli.corpora.places import CORPORA, recipe_of

MINI = Path("data/mini")
TITLES = {
    "librispeech": "LibriSpeech, mini LibriSpeech, or speech in its layout.",
    "librilight": "Libri-light: 10 min, 1 h, 10 h with text; small, medium, large without.",
    "tedlium3": "TED-LIUM release 3, legacy.",
    "voxpopuli": "VoxPopuli, English with transcripts.",
    "swbd_fisher": "Switchboard and Fisher, RT-03S, Hub5 Eval2000.",
}


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
    out: Out = None,
    part: Annotated[
        list[str] | None, typer.Option(help="Only this part (may be repeated).", show_default="all that are there")
    ] = None,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPLIT=SPEAKER,...", help="librispeech: move speakers to a split of their own (may be repeated)."
        ),
    ] = None,
    subset: Subset = None,
    download: Annotated[bool, typer.Option("--download", help="librispeech: first download the parts.")] = False,
    mini: Annotated[
        bool, typer.Option("--mini", help="First speak a synthetic miniature of the corpus into OUT/corpus.")
    ] = False,
    shard: Shard = None,
    root: Root = None,
    jobs: Jobs = None,
    force: Force = False,
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
        sew prep tedlium3 /corpora/TEDLIUM_release-3
        sew prep voxpopuli /corpora/voxpopuli
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
    mine, wishes = options.shard(shard) if shard else None, [subset_wish(wish) for wish in subset or []]
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
    report(summaries, out, as_json=json)


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


class Sources(Group):
    """Names of corpora and forms of one's own data; an unknown one is answered with the nearest."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of a name."""
        if args and not args[0].startswith("-") and (known := args[0].replace("-", "_")) in self.commands:
            args = [known, *args[1:]]
        elif args and not args[0].startswith("-"):
            raise UsageError(
                "no-such-corpus",
                f"no corpus {args[0]!r}{nearest(args[0], self.commands)}",
                hint=f"there are: {', '.join(CORPORA)}; of your own data: {', '.join(own_data.READERS)}",
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=Sources, no_args_is_help=True)


@app.callback()
def _prep() -> None:
    """Check a corpus or your own recordings to the last sample; write cuts, texts and counts.

    What can be read: corpora as they were published, and your own data in the usual forms.

        sew prep librispeech /corpora/LibriSpeech
        sew prep table recordings.tsv --audio clips/ --out data/mine
    """


def _of_corpus(name: str) -> Any:
    """`prep` for one corpus, without the options that it does not have."""

    def run(**values: Any) -> None:
        prep(name, **values)

    parameters = list(inspect.signature(prep, eval_str=True).parameters.values())[1:]
    parameters = [p for p in parameters if name == "librispeech" or p.name not in ("download", "hold_out")]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _help_of(name: str) -> str:
    """The help of `prep`, with the examples of one corpus."""
    lines = (prep.__doc__ or "").splitlines()
    return "\n".join(line for line in lines if "    sew prep " not in line or f"sew prep {name}" in line)


for _name in CORPORA:
    app.command(_name, cls=Verb, help=_help_of(_name), short_help=TITLES[_name], rich_help_panel="Published corpora")(
        _of_corpus(_name)
    )
for _name, (_run, _help) in own_data.commands().items():
    app.command(_name, cls=Verb, help=_help, rich_help_panel="Your own data")(_run)
