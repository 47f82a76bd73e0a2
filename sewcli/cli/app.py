"""The `sew` command: one file a verb. Nothing here imports torch, so that `sew --help` answers at once."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from sewcli import __version__
from sewcli.base import log
from sewcli.base.errors import EXIT_BUG, EXIT_INTERRUPTED, PartialError, PoliteStop, SewError
from sewcli.cli import (
    check,
    decode,
    export,
    finetune,
    import_,
    lm,
    models,
    prep,
    pretrain,
    recipes,
    report,
    score,
)

app = typer.Typer(
    name="sew",
    help="Efficient pre-trained speech recognition: SEW, SEW-D and wav2vec 2.0, from a corpus to a word error rate.",
    epilog="The way: sew prep -> sew pretrain -> sew finetune -> sew lm ngram -> sew decode -> sew score",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("prep")(prep.prep)
app.command("check")(check.check)
app.command("pretrain")(pretrain.pretrain)
app.command("finetune")(finetune.finetune)
app.add_typer(lm.app, name="lm")
app.command("decode")(decode.decode)
app.command("score")(score.score)
app.command("models")(models.models)
app.command("recipes")(recipes.recipes)
app.command("import")(import_.import_model)
app.command("export")(export.export)
app.command("report")(report.report)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"sew {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command; a `SewError` becomes one clear line and its exit code, anything else is a bug with its traceback."""
    try:
        app()
    except SewError as error:
        show = log.info if isinstance(error, PoliteStop) else log.warn if isinstance(error, PartialError) else log.error
        show(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        log.info("interrupted")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone (`sew models | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception:
        traceback.print_exc()
        log.error(f"this is a bug in sew {__version__}, not in what you typed; please report the lines above")
        sys.exit(EXIT_BUG)


if __name__ == "__main__":
    main()
