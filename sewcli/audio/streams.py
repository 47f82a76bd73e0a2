"""Recordings as streams of 16 kHz blocks: files of any format, rate and channels, and what comes out of a pipe.

A pipe cannot be read twice: a WAV header on it is read as it goes by, so that a microphone is heard at once; another sound
file is kept on disk until its end; text is refused; anything else is raw 16-bit samples. Shapes: n samples of each channel;
blocks are float32 in [-1, 1), (n, channels), and memory does not grow with the recording.
"""

from __future__ import annotations

import codecs
import io
import os
import tempfile
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import soundfile

from sewcli.audio import mpeg
from sewcli.audio.io import RATE, open_channels
from sewcli.audio.resample import blocks_to_16k
from sewcli.base.errors import DataError
from sewcli.base.files import explained

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIPE = "-"
SLOWEST, FASTEST = 1_000, 1_000_000  # Hz; a header that says another rate is damaged
LATENCY = 0.25  # seconds of a pipe that are waited for
KEPT = 1 << 20  # bytes copied at a time
HEAD = 64  # bytes of a pipe by which its format is known
SOUND_FILES = (
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"riff",
    b"fLaC",
    b"OggS",
    b"FORM",
    b"NIST_1A",
    b".snd",
    b"caff",
    b"ID3",
)

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
    source: str | Path, *, mode: Mode = "mix", pipe: io.BufferedIOBase | None = None, rate: int = RATE
) -> Iterator[Stream]:
    """Open a sound file, or a pipe.

    Args:
        source: a path, which may be that of a named pipe, or `-` for `pipe`.
        mode: mix: the mean of the channels; split: each by itself.
        pipe: where `-` is read from.
        rate: of raw samples in the pipe, which are mono, 16 bits, little-endian.

    Raises:
        DataError: not sound, text, no samples, damaged, cut off, NaN or infinite samples, an impossible rate; what is found in
            the middle of the recording is raised while the blocks are read.
        UsageError: no disk space to keep what comes out of the pipe.
    """
    with ExitStack() as stack:
        if is_pipe(source):
            opened = pipe if source == PIPE else stack.enter_context(_named_pipe(source))
            assert opened is not None
            rate, channels, seconds, blocks = _from_pipe(opened, name_of(source), rate, stack)
        else:
            info, blocks = stack.enter_context(open_channels(source))
            rate, channels, seconds = info.rate, info.channels, info.seconds
        if not SLOWEST <= rate <= FASTEST:
            raise DataError(f"a sample rate of {rate} Hz", where=name_of(source), mend="export the recording again")
        checked = _checked(blocks, name_of(source))
        if mode == "mix" and channels > 1:
            checked, channels = (block.mean(axis=1, keepdims=True) for block in checked), 1
        yield Stream(channels, seconds, blocks_to_16k(checked, rate))


def is_pipe(source: str | Path) -> bool:
    """Whether it can be read once only: `-`, a named pipe, the shell's `<(...)`."""
    return source == PIPE or Path(source).is_fifo()


def name_of(source: str | Path) -> str:
    """The name of a source in messages and results; bytes that are not UTF-8 are spelled out."""
    return "stdin" if source == PIPE else os.fsencode(source).decode(errors="backslashreplace")


def _checked(blocks: Iterator[np.ndarray], name: str) -> Iterator[np.ndarray]:
    samples = 0
    for block in blocks:
        if not np.isfinite(block).all():
            raise DataError("holds samples that are NaN or infinite", where=name, mend="export the recording again")
        samples += len(block)
        yield block
    if not samples:
        raise DataError("holds no samples", where=name, mend="look at what writes into the pipe")


def _named_pipe(path: str | Path) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=name_of(path)) from None


def _from_pipe(
    pipe: io.BufferedIOBase, name: str, rate: int, stack: ExitStack
) -> tuple[int, int, float | None, Iterator[np.ndarray]]:
    """Rate, channels, seconds and blocks of what comes."""
    head = pipe.read(HEAD)
    if frame := mpeg.frame_bytes(head):
        head += pipe.read(max(frame + mpeg.HEADER - len(head), 0))
    again = io.BufferedReader(_Again(head, pipe))
    if head[:4] == b"RIFF" and head[8:16] == b"WAVEfmt " and head[20:22] == b"\1\0":  # integers, no extensions
        try:
            sound = wave.open(again, "rb")  # noqa: SIM115 - it ends with the pipe
        except (wave.Error, EOFError) as error:
            reason = error or "it ends in its header"
            raise DataError(f"cannot be read as WAV ({reason})", where=name) from None
        return sound.getframerate(), sound.getnchannels(), None, _wave_blocks(sound, name)
    if head.startswith(SOUND_FILES) or (frame and mpeg.is_followed(head, frame)):
        kept = stack.enter_context(_kept(again))
        info, blocks = stack.enter_context(open_channels(kept))
        return info.rate, info.channels, info.seconds, blocks
    if _is_text(head):
        raise DataError("text, not sound", where=name, mend="give it a sound file, or raw 16-bit samples")
    return rate, 1, None, _raw_blocks(again, rate)


def _is_text(head: bytes) -> bool:
    """Whether all of it can be read by people, as no samples can but of a very loud and very short sound."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the last letter may be cut
    except UnicodeDecodeError:
        return False
    return bool(text) and "".join(text.split()).isprintable()


def _wave_blocks(sound: wave.Wave_read, name: str) -> Iterator[np.ndarray]:
    """What follows the header, to the end of the pipe: a writer into a pipe cannot know the length before."""
    channels, width = sound.getnchannels(), sound.getsampwidth()
    if not 1 <= width <= 4 or not channels:
        raise DataError(f"a WAV of {channels} channels and {8 * width} bits", where=name)
    kind = {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}[width]
    frames = max(int(LATENCY * sound.getframerate()), 1)
    while data := sound.readframes(frames):
        whole = len(data) - len(data) % (channels * width)
        if whole:
            yield soundfile.read(
                io.BytesIO(data[:whole]), dtype="float32", always_2d=True, format="RAW", subtype=kind, endian="LITTLE",
                channels=channels, samplerate=sound.getframerate(),
            )[0]  # fmt: skip


def _raw_blocks(pipe: io.BufferedIOBase, rate: int) -> Iterator[np.ndarray]:
    size = 2 * max(int(LATENCY * rate), 1)
    while data := pipe.read(size):
        samples = np.frombuffer(data[: len(data) & ~1], dtype="<i2")
        yield (samples / np.float32(32768)).astype(np.float32)[:, None]


class _Again(io.RawIOBase):
    """A pipe whose beginning has been read already."""

    def __init__(self, head: bytes, rest: io.BufferedIOBase) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        wanted = memoryview(buffer).cast("B")
        if not self._head:
            return self._rest.readinto1(wanted)
        given = self._head[: len(wanted)]
        wanted[: len(given)] = given
        self._head = self._head[len(given) :]
        return len(given)


@contextmanager
def _kept(pipe: io.BufferedIOBase) -> Iterator[Path]:
    """The pipe as a file: a decoder of FLAC, Ogg or MP3 needs to go back and forth in it."""
    with tempfile.NamedTemporaryFile(prefix="sew-stdin-") as file:
        with explained(file.name):
            while data := pipe.read(KEPT):
                file.write(data)
            file.flush()
        yield Path(file.name)
