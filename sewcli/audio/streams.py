"""Recordings as streams of 16 kHz blocks: files of any format, rate and channels, and what comes out of a pipe.

A pipe cannot be read twice: a WAV header on it is read as it goes by, so that a microphone is heard at once; another sound
file is kept on disk until its end; what is known by name and is no sound is refused; anything else is raw 16-bit samples.
Shapes: n samples of each channel; blocks are float32 in [-1, 1), (n, channels), and memory does not grow with the recording.
"""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sewcli.audio import kinds, media, wav
from sewcli.audio.io import open_channels
from sewcli.audio.resample import blocks_to_16k
from sewcli.base import log
from sewcli.base.errors import DataError
from sewcli.base.files import os_errors_as_usage_errors
from sewcli.base.pipes import Again, Patient, named_pipe
from sewcli.base.sample_rate import SAMPLE_RATE

PIPE = "-"
SLOWEST, FASTEST = 1_000, 1_000_000  # Hz; a header that says another rate is damaged
LATENCY = 0.25  # seconds of a pipe that are waited for
CANCELLED = 0.1  # of the energy that the mean of unrelated channels has
KEPT = 1 << 20  # bytes copied at a time

Mode = Literal["mix", "split"]


@dataclass(frozen=True)
class Stream:
    """A recording that is being read.

    Args:
        channels: of the blocks: 1 when they are mixed.
        seconds: its length; None where nobody knows.
        blocks: at 16 kHz, shape (n, channels).
    """

    channels: int
    seconds: float | None
    blocks: Iterator[np.ndarray]


@contextmanager
def open_stream(
    source: str | Path,
    *,
    mode: Mode = "mix",
    pipe: io.BufferedIOBase | None = None,
    rate: int = SAMPLE_RATE,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Stream]:
    """Open a sound file, or a pipe.

    Args:
        source: a path, which may be that of a named pipe, or `-` for `pipe`.
        mode: mix: the mean of the channels; split: each by itself.
        pipe: where `-` is read from.
        rate: of raw samples in the pipe, which are mono, 16 bits, little-endian.
        is_stopped: whether what comes through the pipe shall end now.

    Raises:
        DataError: not sound, text, no samples, damaged, cut off, NaN or infinite samples, an impossible rate; what is found in
            the middle of the recording is raised while the blocks are read.
        UsageError: no disk space to keep what comes out of the pipe.
        KeyboardInterrupt: stopped before anything came.
    """
    with ExitStack() as stack:
        if is_pipe(source):
            opened = pipe if source == PIPE else stack.enter_context(named_pipe(source, name_of(source), is_stopped))
            assert opened is not None
            patient = Patient.around(opened, is_stopped)
            rate, channels, seconds, blocks = _from_pipe(patient, name_of(source), rate, stack, is_stopped)
        else:
            info, blocks = stack.enter_context(open_channels(source))
            rate, channels, seconds = info.rate, info.channels, info.seconds
        if not SLOWEST <= rate <= FASTEST:
            raise DataError(
                "impossible-sample-rate",
                f"a sample rate of {rate} Hz",
                where=name_of(source),
                hint="export the recording again",
            )
        checked = _checked(blocks, name_of(source))
        if mode == "mix" and channels > 1:
            checked, channels = _mixed(checked, channels, name_of(source)), 1
        yield Stream(channels, seconds, blocks_to_16k(checked, rate))


def is_pipe(source: str | Path) -> bool:
    """Whether it can be read once only: `-`, a named pipe, the shell's `<(...)`."""
    try:
        return source == PIPE or stat.S_ISFIFO(Path(source).stat().st_mode)
    except (OSError, ValueError):  # opening it tells
        return False


def name_of(source: str | Path) -> str:
    """The name of a source in messages and results; bytes that are not UTF-8 are spelled out."""
    return "stdin" if source == PIPE else os.fsencode(source).decode(errors="backslashreplace")


def _checked(blocks: Iterator[np.ndarray], name: str) -> Iterator[np.ndarray]:
    samples = 0
    for block in blocks:
        if not np.isfinite(block).all():
            raise DataError(
                "nan-samples", "holds samples that are NaN or infinite", where=name, hint="export the recording again"
            )
        samples += len(block)
        yield block
    if not samples:
        raise DataError("no-samples", "holds no samples", where=name, hint="look at what writes into the pipe")


def _mixed(blocks: Iterator[np.ndarray], channels: int, name: str) -> Iterator[np.ndarray]:
    """The mean of the channels; it is said when they cancel each other out, as those of a balanced line do."""
    before = after = 0.0
    for block in blocks:
        mean = block.mean(axis=1, keepdims=True)
        before += float(np.square(block, dtype=np.float64).sum()) / channels**2  # of the mean, were they unrelated
        after += float(np.square(mean, dtype=np.float64).sum())
        yield mean
    if after < CANCELLED * before:
        log.warn(
            f"{name}: its channels cancel each other out in the mean, so that little of it is left to recognise; take "
            "them one by one: --channels split"
        )


def _from_pipe(
    pipe: io.BufferedIOBase, name: str, rate: int, stack: ExitStack, is_stopped: Callable[[], bool]
) -> tuple[int, int, float | None, Iterator[np.ndarray]]:
    """Rate, channels, seconds and blocks of what comes."""
    head = pipe.read(kinds.HEAD)
    head += pipe.read(max(kinds.wanted(head) - len(head), 0))
    if not head and is_stopped():
        raise KeyboardInterrupt
    kind = kinds.of(head)
    if kind is not None and kind.reader == kinds.NONE:
        raise DataError("not-a-sound-file", f"{kind.name}, not sound", where=name, hint=kind.hint)
    again = io.BufferedReader(Again(head, pipe))
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
        header = wav.read_header(again, name)
        if header.coding is not None:
            if header.size is None:
                log.info(f"{name}: its header does not state a length: read to the end of the pipe")
            blocks = wav.blocks(again, header, name, LATENCY, is_stopped)
            return header.rate, header.channels, None, blocks
        again = io.BufferedReader(Again(header.taken, again))
    if kind is not None:
        if kind.reader != kinds.SOUND:
            media.require(kind.name, name)
        kept = stack.enter_context(_kept(again))
        with _named(name):
            info, blocks = stack.enter_context(open_channels(kept))
        return info.rate, info.channels, info.seconds, _named_blocks(blocks, name)
    if kinds.is_text(head):
        raise DataError(
            "not-a-sound-file", "text, not sound", where=name, hint="give it a sound file, or raw 16-bit samples"
        )
    return rate, 1, None, _raw_blocks(again, rate)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """An error of the file that keeps what came through a pipe is one of the pipe."""
    try:
        yield
    except DataError as error:
        raise DataError(error.code, error.what, where=name, hint=error.hint) from None


def _named_blocks(blocks: Iterator[np.ndarray], name: str) -> Iterator[np.ndarray]:
    with _named(name):
        yield from blocks


def _raw_blocks(pipe: io.BufferedIOBase, rate: int) -> Iterator[np.ndarray]:
    size = 2 * max(int(LATENCY * rate), 1)
    while data := pipe.read(size):
        samples = np.frombuffer(data[: len(data) & ~1], dtype="<i2")
        yield (samples / np.float32(32768)).astype(np.float32)[:, None]


@contextmanager
def _kept(pipe: io.BufferedIOBase) -> Iterator[Path]:
    """The pipe as a file: a decoder of FLAC, Ogg or MP3 needs to go back and forth in it."""
    with tempfile.NamedTemporaryFile(prefix="sew-stdin-") as file:
        with os_errors_as_usage_errors(file.name):
            while data := pipe.read(KEPT):
                file.write(data)
            file.flush()
        yield Path(file.name)
