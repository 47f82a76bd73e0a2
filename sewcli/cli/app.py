"""The `sew` command: one file a verb. Nothing here imports torch, so that `sew --help` answers at once."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated, Any

import typer
import typer.core

from sewcli import __version__
from sewcli.base import log
from sewcli.base.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_REQUEUE,
    EXIT_USAGE,
    PartialError,
    PoliteStop,
    SewError,
    quoted,
)
from sewcli.cli import (
    align,
    bench,
    check,
    decode,
    distill,
    export,
    finetune,
    import_,
    lm,
    models,
    prep,
    pretrain,
    prune,
    pseudo_label,
    quantize,
    recipes,
    report,
    rescore,
    score,
    selftrain,
    shar,
    submit,
    transcribe,
    tune,
)

PATHS = (errno.ENAMETOOLONG, errno.ELOOP)  # of a path that no file system can look up


class Stopped(BaseException):
    """SIGTERM or SIGUSR1 came where nobody waits for it; no handler of errors on the way shall take it for one."""


class ReaderGone(Exception):
    """Nobody reads our output any more (`sew models | head -1`)."""


class Verbs(typer.core.TyperGroup):
    """The verbs; tells a reader that has gone from an error, which typer does not."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb and write all of its output."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        return result


app = typer.Typer(
    name="sew",
    cls=Verbs,
    help="Efficient pre-trained speech recognition: SEW, SEW-D and wav2vec 2.0, from a corpus to a word error rate.",
    epilog="The way: sew prep -> sew pretrain -> sew finetune -> sew lm ngram -> sew decode -> sew score",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("prep")(prep.prep)
app.command("check")(check.check)
app.command("shar")(shar.shar)
app.command("pretrain")(pretrain.pretrain)
app.command("finetune")(finetune.finetune)
app.command("distill")(distill.distill)
app.command("prune")(prune.prune)
app.command("quantize")(quantize.quantize)
app.add_typer(lm.app, name="lm")
app.command("decode")(decode.decode)
app.command("tune")(tune.tune)
app.command("rescore")(rescore.rescore)
app.command("pseudo-label")(pseudo_label.pseudo_label)
app.command("selftrain")(selftrain.selftrain)
app.command("align")(align.align)
app.command("transcribe")(transcribe.transcribe)
app.command("score")(score.score)
app.command("bench")(bench.bench)
app.command("models")(models.models)
app.command("recipes")(recipes.recipes)
app.command("import")(import_.import_model)
app.command("export")(export.export)
app.command("report")(report.report)
app.command("submit")(submit.submit)


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
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files need not be text; within JSON this is an escape, too
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SewError as error:
        _answer_no_more()
        show = log.info if isinstance(error, PoliteStop) else log.warn if isinstance(error, PartialError) else log.error
        show(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        log.info("interrupted")
        sys.exit(EXIT_INTERRUPTED)
    except Stopped as stopped:
        _answer_no_more()
        log.info(f"stopped by {stopped}; what was finished is on disk\n  mend: run the same command to go on")
        sys.exit(EXIT_REQUEUE)
    except ReaderGone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still in Python's buffer
        sys.exit(0)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in PATHS:
            log.error(f"{quoted(error.filename)}: {error.strerror}")
            sys.exit(EXIT_USAGE)
        traceback.print_exc()
        log.error(f"this is a bug in sew {__version__}, not in what you typed; please report the lines above")
        sys.exit(EXIT_BUG)


def _stop(number: int, frame: FrameType | None) -> None:
    """The training loop, which can save first, has a handler of its own while it runs."""
    raise Stopped(signal.Signals(number).name)


def _answer_no_more() -> None:
    """A further signal (torchrun sends one when a rank has left) shall not break into the leaving."""
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
