"""The `sew` command: one file a verb. Nothing here imports torch, so that `sew --help` answers at once."""

from __future__ import annotations

import errno
import itertools
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from sewcli import __version__
from sewcli.base import log, standard
from sewcli.base.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_REQUEUE,
    DataError,
    PartialError,
    PoliteStop,
    SewError,
    UsageError,
)
from sewcli.base.refusals import refusal
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
    show,
    submit,
    transcribe,
    tune,
)
from sewcli.cli.command import Group, Verb

KEPT = {  # what a verb that is stopped has on disk, so that the same command goes on from there
    "prep": "what is finished of the corpus is on disk",
    "shar": "the shards that are finished are on disk",
    "pretrain": "the checkpoints so far are on disk",
    "finetune": "the checkpoints so far are on disk",
    "distill": "the checkpoints so far are on disk",
    "lm train": "the checkpoints so far are on disk",
    "lm official": "what was downloaded is on disk",
    "decode": "the hypotheses so far are on disk",
    "pseudo-label": "the hypotheses so far are on disk",
    "tune": "the trials so far are on disk",
    "selftrain": "the rounds that are finished and the checkpoints so far are on disk",
}


class Stopped(BaseException):
    """A signal came where nobody waits for it; no handler of errors on the way shall take it for one."""


class ReaderGone(Exception):
    """Nobody reads our output any more (`sew models | head -1`)."""


class Verbs(Group):
    """The verbs; tells what typer has its own answers to: a reader that has gone, Ctrl-C, values that are empty."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse `--exp ""`, an unset variable, which as a path would be the folder that the command runs in."""
        for before, argument in itertools.pairwise(["", *args]):
            option, equals, value = argument.partition("=")
            if not argument or (option.startswith("--") and equals and not value):
                named = option or (before if before.startswith("-") and before.strip("-") else "")
                name = named or "an argument"
                raise UsageError(
                    "option-empty",
                    f"{name} is empty: an unset variable?",
                    hint=f"give {named or 'it'} a value, or leave it out",
                )
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb and write all of its output."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        except KeyboardInterrupt as stopped:  # which may say what was saved
            raise Stopped(signal.SIGINT, *stopped.args) from None
        except EOFError as error:
            raise DataError("file-cut-off", "a file ends too early", hint="copy or make it again") from error
        return result


app = typer.Typer(
    name="sew",
    cls=Verbs,
    help="Efficient pre-trained speech recognition: SEW, SEW-D and wav2vec 2.0, from a corpus to a word error rate.",
    epilog="Typical workflow: sew prep -> sew pretrain -> sew finetune -> sew lm ngram -> sew decode -> sew score",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(prep.app, name="prep", rich_help_panel="Prepare")
app.command("check", cls=Verb, rich_help_panel="Prepare")(check.check)
app.command("shar", cls=Verb, rich_help_panel="Prepare")(shar.shar)
app.command("pretrain", cls=Verb, rich_help_panel="Train")(pretrain.pretrain)
app.command("finetune", cls=Verb, rich_help_panel="Train")(finetune.finetune)
app.command("pseudo-label", cls=Verb, rich_help_panel="Train")(pseudo_label.pseudo_label)
app.command("selftrain", cls=Verb, rich_help_panel="Train")(selftrain.selftrain)
app.command("submit", cls=Verb, rich_help_panel="Train")(submit.submit)
app.add_typer(lm.app, name="lm", rich_help_panel="Language models")
app.command("tune", cls=Verb, rich_help_panel="Language models")(tune.tune)
app.command("rescore", cls=Verb, rich_help_panel="Language models")(rescore.rescore)
app.command("decode", cls=Verb, rich_help_panel="Decode and score")(decode.decode)
app.command("transcribe", cls=Verb, rich_help_panel="Decode and score")(transcribe.transcribe)
app.command("align", cls=Verb, rich_help_panel="Decode and score")(align.align)
app.command("score", cls=Verb, rich_help_panel="Decode and score")(score.score)
app.command("distill", cls=Verb, rich_help_panel="Compress and deploy")(distill.distill)
app.command("prune", cls=Verb, rich_help_panel="Compress and deploy")(prune.prune)
app.command("quantize", cls=Verb, rich_help_panel="Compress and deploy")(quantize.quantize)
app.command("import", cls=Verb, rich_help_panel="Compress and deploy")(import_.import_model)
app.command("export", cls=Verb, rich_help_panel="Compress and deploy")(export.export)
app.command("bench", cls=Verb, rich_help_panel="Compress and deploy")(bench.bench)
app.command("report", cls=Verb, rich_help_panel="Inspect")(report.report)
app.command("models", cls=Verb, rich_help_panel="Inspect")(models.models)
app.command("recipes", cls=Verb, rich_help_panel="Inspect")(recipes.recipes)


def _version(wanted: bool) -> None:
    if wanted:
        show.line(f"sew {__version__}")
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
    standard.open_closed()
    standard.write_what_can_be()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _stop)
    came: list[int] = []
    with _interrupts(came):
        try:
            app()
        except ReaderGone:
            standard.give_up_stdout()  # for what is still in Python's buffer
            sys.exit(0)
        except (KeyboardInterrupt, Stopped) as stopped:
            _leave_stopped(stopped)
        except Exception as error:
            _answer_no_more()
            if came:  # Ctrl-C within a library, which made an error of it
                _leave_stopped(KeyboardInterrupt())
            _leave_failed(error)


def _leave_stopped(stopped: BaseException) -> NoReturn:
    _answer_no_more()
    number, *said = stopped.args if isinstance(stopped, Stopped) else (signal.SIGINT, *stopped.args)
    how = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
    log.info(f"{how}; {_left(said)}")
    sys.exit(EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_REQUEUE)


def _left(said: list[str]) -> str:
    """What a stopped command leaves behind, and what to do."""
    verb = next((name for name in (" ".join(sys.argv[1:3]), *sys.argv[1:2]) if name in KEPT), "")
    if verb:
        return f"{said[0] if said else KEPT[verb]}\n  hint: run the same command to go on"
    if sys.argv[1:2] == ["transcribe"]:
        return (
            "recordings that are finished are written\n  hint: run the same command again; with --out those are not "
            "done a second time"
        )
    return "no file is half written\n  hint: run the same command again; it begins at the start"


def _leave_failed(error: Exception) -> NoReturn:
    if fault := standard.stdout_fault(error):
        reason = "no disk space left" if fault.errno == errno.ENOSPC else fault.strerror
        hint = "redirect it elsewhere; what the command writes to files is there"
        error = UsageError("cannot-write", f"the output cannot be written ({reason})", where="stdout", hint=hint)
    shown = error if isinstance(error, SewError) else refusal(error)
    if shown is not None:
        show = log.info if isinstance(shown, PoliteStop) else log.warn if isinstance(shown, PartialError) else log.error
        show(str(shown))
        sys.exit(shown.exit_code)
    with suppress(OSError):
        traceback.print_exception(error)
    log.error(f"this is a bug in sew {__version__}, not in what you typed; please report the lines above")
    sys.exit(EXIT_BUG)


@contextmanager
def _interrupts(came: list[int]) -> Iterator[None]:
    """Note Ctrl-C as well as raise it: libraries make other errors of it, or none."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored, in the background of a shell; or of another's process
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is note:
            signal.signal(signal.SIGINT, before)


def _stop(number: int, frame: FrameType | None) -> None:
    """The training loop, which can save first, has a handler of its own while it runs."""
    raise Stopped(number)


def _answer_no_more() -> None:
    """A further signal (torchrun sends one when a rank has left) shall not break into the leaving."""
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
