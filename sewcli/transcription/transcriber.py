"""`sew transcribe`: recordings of any length become transcripts.

stream -> windows -> emissions -> stitched frames -> segments of speech -> words -> forms, each step handing on what is final,
so that memory does not grow with the recording and lines appear while it is read.
"""

from __future__ import annotations

import io
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np

from sewcli.alignment.alignment import FrameTimes
from sewcli.artifacts.digest import digest, model_marks
from sewcli.audio.level import Loudest, is_quiet
from sewcli.audio.opening import guessed_seconds
from sewcli.audio.streams import Mode, Stream, is_pipe, name_of, open_stream
from sewcli.base import log
from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.base.memory import keep_freed_memory
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.decoding.plan import require_use
from sewcli.lm.bias import NO_BIAS, Bias
from sewcli.lm.files import LanguageModelFiles, check_model, model_name, resolve
from sewcli.runtimes.recogniser import AUTO, Recogniser, RuntimeOptions
from sewcli.text.tokens import Vocabulary
from sewcli.transcription.case import Case, caser
from sewcli.transcription.inputs import Recording
from sewcli.transcription.output import Folder, Stdout, TranscriptWriter
from sewcli.transcription.segments import LONGEST, Segment, Segmenter
from sewcli.transcription.windows import Layout, Stitcher, Windows
from sewcli.transcription.words import Line, SegmentDecoder

if TYPE_CHECKING:
    import torch

WINDOW, LIVE_WINDOW = 24.0, 10.0  # seconds of a window: of a file, of a pipe
LINE, LIVE_LINE = LONGEST, 10.0  # seconds of talk without a pause in a line
OVERLAP = 6.0  # seconds that windows share, at most half of one
SLACK = 5  # seconds of audio between two steps of the progress bar


class Transcriber:
    """A model and how it is to be used; good for any number of recordings.

    Args:
        weights: folder or file of the model.
        lm: None is greedy; a path is a beam search.
        lexicon: of the language model; None looks beside it.
        options: of the beam search.
        device: chooses where the model runs.
        runtime: by what it is computed, and how exactly.
        bias: words and phrases of the beam search.

    Raises:
        SewError: the model, the language model or the lexicon cannot be read, or do not fit.
    """

    def __init__(
        self,
        weights: Path,
        lm: str | None,
        lexicon: Path | None,
        options: BeamOptions,
        device: Callable[[], torch.device],
        runtime: RuntimeOptions = AUTO,
        bias: Bias = NO_BIAS,
    ) -> None:
        keep_freed_memory()
        require_use(bias, beam=lm is not None)
        recogniser = Recogniser(weights, device, runtime)
        self.config, self.vocabulary = recogniser.config, recogniser.vocabulary
        self.model = recogniser.start()
        self._files = _language_model(lm, lexicon, self.vocabulary) if lm else None
        self._options, self._weights = options, weights
        self.times = FrameTimes.of(self.config)
        self.reader = self._reader(bias)
        files = [self._files.model, self._files.lexicon] if self._files else []
        search = [sorted(options.model_dump().items()), *map(_state, files)] if files else []
        self._settings: list[object] = [search, *bias.marks(), *recogniser.options.marks()]

    def biased(self, bias: Bias) -> Transcriber:
        """The same recogniser with other words and phrases.

        Raises:
            SewError: it has no beam search, or the files cannot be read.
        """
        require_use(bias, beam=self._files is not None)
        other = copy(self)
        other.reader = other._reader(bias)
        return other

    def _reader(self, bias: Bias) -> SegmentDecoder:
        beam = BeamDecoder(self._files, self.vocabulary, self._options, bias) if self._files else None
        return SegmentDecoder(self.vocabulary, self.times, beam)

    @cached_property
    def digest(self) -> str:
        """Of the model's files and the settings: the same text for the same recording. Reads all weights."""
        return digest(repr([model_marks(self._weights), *self._settings]))


class Listener:
    """One voice of a recording: samples in, lines out as they become final."""

    def __init__(self, recogniser: Transcriber, layout: Layout, name: str, longest: float = LINE) -> None:
        self._with, self._name = recogniser, name
        self._loudest = Loudest()
        self._windows = Windows(layout)
        self._stitcher = Stitcher(layout, recogniser.vocabulary)
        self._segmenter = Segmenter(recogniser.vocabulary, recogniser.times.step / SAMPLE_RATE, longest)

    def accept_waveform(self, samples: np.ndarray) -> Iterator[Line]:
        """Take samples (S,) at 16 kHz."""
        self._loudest.push(samples)
        for start, wave in self._windows.push(samples):
            yield from self._read(self._segmenter.push(self._stitcher.add(start, self._emission(wave))))

    def close(self) -> Iterator[Line]:
        """There is no more."""
        for start, wave in self._windows.close():
            yield from self._read(self._segmenter.push(self._stitcher.add(start, self._emission(wave))))
        rest = self._stitcher.close()
        if rest is not None:
            yield from self._read(self._segmenter.push(rest))
        yield from self._read(self._segmenter.close())
        level = self._loudest.decibels()
        if is_quiet(level) and not self._with.config.normalize_waves:
            log.warn(
                f"{self._name}: a quiet recording ({level:.0f} dB of full scale at its loudest), and this model does not "
                "normalise the level: words may be missing or wrong; raise it, e.g. ffmpeg -i FILE -af dynaudnorm LOUDER.wav"
            )

    def _emission(self, wave: np.ndarray) -> np.ndarray:
        if not self._with.config.frames(len(wave)):
            return np.zeros((0, len(self._with.vocabulary)), dtype=np.float32)
        emission = self._with.model.run([wave])[0]
        if not (emission < np.inf).all():  # a frame of NaN would count as silence
            what = "the model gave NaN or infinite scores for this audio"
            raise DataError("audio-truncated", what, where=self._name, hint="look at the audio and the model")
        return emission

    def _read(self, segments: Iterator[Segment]) -> Iterator[Line]:
        for segment in segments:
            if line := self._with.reader.read(self._name, segment):
                yield line


@dataclass(frozen=True)
class FileTime:
    """Seconds of a recording, and that it took."""

    name: str
    audio_seconds: float
    wall_seconds: float


@dataclass
class Report:
    """What a run did."""

    recordings: int = 0
    skipped: int = 0
    words: int = 0
    audio_seconds: float = 0.0
    wall_seconds: float = 0.0
    failures: list[SewError] = field(default_factory=list)
    files: list[FileTime] = field(default_factory=list)


def transcribe(
    recogniser: Transcriber,
    recordings: Sequence[Recording],
    target: Stdout | Folder,
    *,
    mode: Mode = "mix",
    window: float | None = None,
    pipe: io.BufferedIOBase | None = None,
    rate: int = SAMPLE_RATE,
    case: Case = "as-is",
    quiet: bool = False,
) -> Report:
    """Transcribe recordings one after the other; one that cannot be read is told and passed over.

    Args:
        recogniser: on its device.
        recordings: of `inputs.expand`.
        target: where transcripts go.
        mode: mix: one transcript of the mean of all channels; split: one of each channel.
        window: seconds of audio that the model hears at a time; None: 24, and 10 of a pipe.
        pipe: what `-` reads.
        rate: Hz of raw samples in the pipe.
        case: of the transcripts.
        quiet: no progress bar.

    Raises:
        UsageError: a transcript cannot be written.
    """
    report, began, in_case = Report(), time.perf_counter(), caser(case, recogniser.vocabulary)
    lengths = {recording.source: _seconds(recording) for recording in recordings}
    total = None if None in lengths.values() else round(sum(filter(None, lengths.values())))
    with _bar("transcribe (seconds of audio)", total, quiet) as bar:

        def is_done(recording: Recording) -> bool:
            if not target.is_done(recording):
                return False
            report.skipped += 1
            bar.advance(round(lengths[recording.source] or 0))
            return True

        def work(recording: Recording) -> None:
            seconds = LIVE_WINDOW if is_pipe(recording.source) else WINDOW
            layout = Layout.of(recogniser.config, window or seconds, min(OVERLAP, (window or seconds) / 2))
            with (
                _until_interrupted(recording) as is_interrupted,
                open_stream(recording.source, mode=mode, pipe=pipe, rate=rate, is_stopped=is_interrupted) as stream,
                target.writer(recording, stream.channels if mode == "split" else None) as writer,
            ):
                _write_down(recogniser, recording, stream, writer, layout, report, bar, is_interrupted, in_case)
            report.recordings += 1

        for recording in recordings:
            try:
                if is_done(recording):
                    continue
                with target.alone(recording):
                    if not is_done(recording):  # it may have been waited for
                        work(recording)
            except DataError as error:
                log.error(str(error))
                report.failures.append(error)
            except BaseException:
                if isinstance(target, Folder):
                    log.info(
                        f"{report.recordings + report.skipped} of {len(recordings)} recordings are done and on disk"
                    )
                raise
    report.wall_seconds = time.perf_counter() - began
    return report


def _write_down(
    recogniser: Transcriber,
    recording: Recording,
    stream: Stream,
    writer: TranscriptWriter,
    layout: Layout,
    report: Report,
    bar: log.Meter,
    is_interrupted: Callable[[], bool],
    in_case: Callable[[Line], Line],
) -> None:
    """One recording, from its first block to the end of its transcripts."""
    name, began, before = name_of(recording.source), time.perf_counter(), report.audio_seconds
    longest = LIVE_LINE if is_pipe(recording.source) else LINE
    listeners = [Listener(recogniser, layout, name, longest) for _ in range(stream.channels)]
    seconds, shown = 0.0, 0

    def put(number: int, lines: Iterator[Line]) -> None:
        for line in lines:
            report.words += len(line.words)
            writer.line(number, in_case(line))

    for block in stream.blocks:
        for number, listener in enumerate(listeners):
            put(number, listener.accept_waveform(block[:, number]))
        seconds += len(block) / SAMPLE_RATE
        report.audio_seconds = before + seconds
        if seconds >= shown + SLACK:
            bar.advance(int(seconds) - shown, note=f"{seconds / (time.perf_counter() - began):.1f} x real time")
            shown = int(seconds)
        if is_interrupted():
            break
    for number, listener in enumerate(listeners):
        put(number, listener.close())
    writer.close(seconds)
    bar.advance(round(seconds) - shown)
    report.files.append(FileTime(name, seconds, time.perf_counter() - began))


def _language_model(lm: str, lexicon: Path | None, vocabulary: Vocabulary) -> LanguageModelFiles:
    """The files of `--lm`, with the lexicon that lies beside it or is given."""
    if lexicon is None:
        return resolve(lm, Path(), vocabulary)
    path = Path(lm)
    for file, what in ((path, "language model"), (lexicon, "lexicon")):
        if not file.is_file():
            raise UsageError("file-not-found", f"no such {what}", where=file)
    check_model(path, vocabulary, lexicon)
    return LanguageModelFiles(model_name(path), path, lexicon)


def _state(path: Path) -> str:
    """Language models are too large to be read for a digest."""
    facts = path.stat()
    return f"{path.absolute()} {facts.st_size} {facts.st_mtime_ns}"


def _seconds(recording: Recording) -> float | None:
    """The length of a recording; None for what comes through a pipe, 0 for what cannot be read."""
    if is_pipe(recording.source):
        return None
    try:
        return guessed_seconds(recording.source)
    except DataError:
        return 0.0


@contextmanager
def _bar(title: str, total: int | None, quiet: bool) -> Iterator[log.Meter]:
    if quiet:
        yield _NoBar()
    else:
        with log.progress(title, total) as bar:
            yield bar


class _NoBar:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass


@contextmanager
def _until_interrupted(recording: Recording) -> Iterator[Callable[[], bool]]:
    """Ctrl-C ends what comes through a pipe (a microphone has no other end) and the rest is still transcribed; a second one
    ends everything.
    """
    asked: list[int] = []
    if not is_pipe(recording.source) or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def note(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
