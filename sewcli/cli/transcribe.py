"""`sew transcribe`: a recording of any length becomes text, captions or words with their times."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from sewcli.base import log, standard
from sewcli.base.errors import DataError, PartialError, UsageError, nearest
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.cli import options
from sewcli.decoding.best_path import language_model
from sewcli.decoding.weights import DEFAULT, find_weights

if TYPE_CHECKING:
    from sewcli.transcription.inputs import Recording
    from sewcli.transcription.transcriber import Report

LISTED = 5  # failures named in the last line


class Format(StrEnum):
    """Forms of a transcript."""

    TEXT = "text"
    JSONL = "jsonl"
    SRT = "srt"
    VTT = "vtt"
    CTM = "ctm"
    TEXTGRID = "textgrid"


class Channels(StrEnum):
    """What becomes of several channels."""

    MIX = "mix"
    SPLIT = "split"


class CaseName(StrEnum):
    """Of a transcript."""

    AS_IS = "as-is"
    LOWER = "lower"
    SENTENCE = "sentence"


def transcribe(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Sound files, folders (searched to the bottom), patterns, or - for a pipe."
        ),
    ],
    model: options.Recogniser = None,
    out: Annotated[
        Path | None, typer.Option(help="Gets a file for each recording and format.", show_default="stdout")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", "-f", help="text, jsonl, srt, vtt, ctm, textgrid, or several with commas.")
    ] = "text",
    channels: Annotated[
        Channels, typer.Option(help="mix: the mean of all channels; split: a transcript of each.")
    ] = Channels.MIX,
    case: Annotated[
        CaseName, typer.Option(help="lower, sentence (a capital begins each line), or as the model writes.")
    ] = CaseName.AS_IS,
    lm: Annotated[str, typer.Option(help="none (greedy), or a language model: .bin, .arpa or .arpa.gz.")] = "none",
    lexicon: Annotated[
        Path | None, typer.Option(help="Its words and their spellings.", show_default="the one beside it")
    ] = None,
    weights: options.SearchWeights = DEFAULT,
    words: options.Words = None,
    boost: options.Boost = None,
    rate: Annotated[
        int, typer.Option(min=1000, max=1_000_000, help="Hz of raw samples that come through a pipe.")
    ] = SAMPLE_RATE,
    force: Annotated[
        bool, typer.Option("--force", help="Do again what is done; overwrite what is in the way.")
    ] = False,
    device: options.Device = "auto",
    runtime: options.Runtime = options.RuntimeName.AUTO,
    precision: options.ModelPrecision = options.PrecisionName.AUTO,
) -> None:
    """Write down what is said in recordings of any format, rate and length.

    Every format of libsndfile is read (WAV, FLAC, Ogg, Opus, MP3, AIFF, SPHERE
    and more), and with pip install 'sewcli\\[media]' M4A, MP4, WebM, WMA, AMR, AAC
    and more. The model hears windows of 24 s, one goes on where the other ends
    between two words, and memory does not grow with the recording. A line is
    what is said between two pauses of half a second.

    Words have times, as in `sew align`, and confidences: the geometric mean of
    the probabilities that the model gives their letters. Captions (srt, vtt)
    have at most two lines of 42 characters (16 of Chinese, Japanese or Korean)
    and last at most 7 s. --case sentence is easier to read than capitals; no
    names are capitalised, and scripts without case stay as they are.

    With --lm, --words FILE gives the search words that the language model does
    not know, and --boost FILE makes phrases likelier, as in `sew decode`.

    With --out, a recording whose files are there already, made with the same
    model and settings, is passed over. What cannot be read is listed at the
    end; the rest is done all the same, and the exit code is then 4.

    - reads a pipe, as does the name of one: a WAV as it comes, any other
    sound file at its end, and what is no known kind of file as raw mono samples
    of 16 bits at --rate. Lines appear some seconds after they are said; Ctrl-C
    ends the recording.

        sew transcribe talk.mp3 --model exp/sew-tiny-ft
        sew transcribe interviews/ 'calls/*.wav' --out text --format text,srt
        sew transcribe talk.mp3 --model exp/sew-d-mid-int8        # of `sew quantize`
        sew transcribe talk.mp3 --lm data/mine/lm/4gram.bin --words names.txt --boost phrases.txt
        sew transcribe call.sph --channels split -f ctm --lm data/mine/lm/4gram.bin
        arecord -q -f S16_LE -r 16000 -c 1 | sew transcribe -
        ffmpeg -v error -i film.mkv -f wav - | sew transcribe - -f srt
    """
    formats, tuned = _formats(form), find_weights(weights)

    from sewcli.audio.streams import PIPE, is_pipe
    from sewcli.transcription.inputs import expand

    recordings, vain = expand(files)
    if standard.is_closed(0) and any(recording.source == PIPE for recording in recordings):
        raise UsageError(
            "stdin-closed", "stdin is closed, and - reads it", hint="give files, or the pipe that is to be read"
        )
    if out is None:
        _check_stdout(formats, len(recordings), channels)
    elif out.exists() and not out.is_dir():
        raise UsageError(
            "file-for-folder", "a file, where --out needs a folder", where=out, hint="--out DIR, or > FILE in its place"
        )
    if language_model(lm) is None:
        options.warn_without_effect(context, "without --lm", "weights", "lexicon")
    if not any(is_pipe(recording.source) for recording in recordings):
        options.warn_without_effect(context, "on files, whose rates are known", "rate")
    chosen = options.recogniser(model)

    from sewcli.base.device import choose_device
    from sewcli.decoding.beam import BeamOptions
    from sewcli.lm.bias import Bias
    from sewcli.models.source import resolve
    from sewcli.transcription.output import Folder, Stdout
    from sewcli.transcription.transcriber import Transcriber, transcribe

    search = BeamOptions(lm_weight=tuned.lm_weight, word_score=tuned.word_score)
    by = options.runtime_options(chosen, runtime, precision, device)
    recogniser = Transcriber(
        resolve(chosen),
        language_model(lm),
        lexicon,
        search,
        lambda: choose_device(device),
        by,
        Bias(words, boost),
    )
    _tell_of_inputs(vain, recordings, out)
    target: Folder | Stdout = Stdout(formats[0], sys.stdout, labelled=len(recordings) > 1)
    if out:
        target = Folder(
            out, formats, f"{recogniser.digest} {channels}{'' if case is CaseName.AS_IS else f' {case}'}", force
        )
    report = transcribe(
        recogniser,
        recordings,
        target,
        mode=channels.value,
        pipe=cast(io.BufferedIOBase, sys.stdin.buffer),
        rate=rate,
        case=case.value,
        quiet=out is None and sys.stdout.isatty(),
    )
    if report.recordings or report.skipped:
        for each in report.files if len(report.files) > 1 else ():
            if each.audio_seconds:
                factor = each.wall_seconds / each.audio_seconds
                log.info(f"{each.name}: {each.audio_seconds:.1f} s of audio, real-time factor {factor:.4f}")
        log.info(_summary(report))
    if failed := [*vain, *report.failures]:
        names = ", ".join(str(error.where) for error in failed[:LISTED])
        more = f" and {len(failed) - LISTED} more" if len(failed) > LISTED else ""
        if len(failed) == 1 and not report.recordings + report.skipped:
            raise typer.Exit(failed[0].exit_code)  # it is told already
        if not report.recordings + report.skipped:
            raise DataError("nothing-transcribed", f"nothing could be transcribed: {names}{more}")
        raise PartialError(
            "recordings-failed",
            f"{len(failed)} input{'s have' if len(failed) > 1 else ' has'} no transcript; all others are done",
            where=f"{names}{more}",
            hint="each is explained above; the same command does only what is missing"
            if out
            else "each is explained above",
        )


def _formats(given: str) -> list[str]:
    """The formats of `--format`, each once."""
    names = list(dict.fromkeys(name.strip().lower() for name in given.split(",") if name.strip()))
    for name in names:
        if name not in list(Format):
            raise UsageError(
                "no-such-format", f"no format {name!r}{nearest(name, Format)}", hint=f"one of {', '.join(Format)}"
            )
    if not names:
        raise UsageError("option-empty", "--format names no format", hint="for example --format text,srt")
    return names


def _check_stdout(formats: list[str], recordings: int, channels: Channels) -> None:
    """Refuse what would make a mixture of files on stdout, or go nowhere."""
    if standard.is_closed(1):
        raise UsageError(
            "stdout-closed", "stdout is closed, and transcripts would go there", hint="--out DIR, or > FILE"
        )
    if len(formats) > 1:
        raise UsageError(
            "stdout-holds-one", f"{len(formats)} formats on stdout", hint="--out DIR, or a single --format"
        )
    if formats[0] in (Format.SRT, Format.VTT, Format.TEXTGRID) and (recordings > 1 or channels is Channels.SPLIT):
        raise UsageError(
            "stdout-holds-one", f"several transcripts as {formats[0]} on stdout", hint="--out DIR gives each a file"
        )


def _tell_of_inputs(vain: Sequence[DataError], recordings: Sequence[Recording], out: Path | None) -> None:
    """What was given in vain, and transcripts that cannot have the name of their recording."""
    from sewcli.audio.streams import name_of

    for error in vain:
        log.error(str(error))
    for recording in recordings:
        if out and recording.renamed:
            log.warn(f"{name_of(recording.source)}: its transcript is called {name_of(out / recording.place)}")


def _summary(report: Report) -> str:
    """What was done, and how fast."""
    done = f"{report.recordings} recording{'s' * (report.recordings != 1)}"
    before = f" ({report.skipped} were done before)" if report.skipped else ""
    if not report.audio_seconds:
        return f"{done}{before}"
    factor = report.wall_seconds / report.audio_seconds
    return (
        f"{done}{before}, {report.words:,} words in {report.audio_seconds / 60:.1f} min of audio, "
        f"{report.wall_seconds:.1f} s: real-time factor {factor:.4f} ({1 / factor:.0f} x real time)"
    )
