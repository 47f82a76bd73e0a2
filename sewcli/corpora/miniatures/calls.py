"""Telephone calls of a miniature: two speakers, a channel each, 8 kHz, 300 to 3400 Hz, turns that overlap a little.

The files are NIST SPHERE in each coding that the discs of Switchboard, Fisher and Hub5 are found in: u-law, 16-bit PCM and
u-law compressed by shorten. Every byte is a function of the calls and the seed. Waves: S samples at 8 kHz.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sewcli.base.rng import numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora.miniatures.casting import Booth, Speaker, in_fresh_processes
from sewcli.corpora.miniatures.shorten import shorten

LINE = 8000  # Hz
BAND = (300.0, 3400.0)  # Hz that a telephone line carries
SIDES = "AB"
OVERLAP, PAUSE = -0.25, 0.6  # seconds between the end of a turn and the next one of the other side: from, to
ROOM = 12  # seconds of a speaker's room, which fill their channel while they listen


@dataclass(frozen=True)
class Turn:
    """What one side says without a pause: what is heard, and what the transcript makes of it."""

    side: int
    speech: str
    written: str


@dataclass(frozen=True)
class Call:
    """A call to be made: its name, who is on side A and on side B, and their turns."""

    id: str
    speakers: tuple[Speaker, Speaker]
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Recording:
    """A call that was made: int16, shape (S, 2), and the seconds in which each turn begins and ends."""

    call: Call
    wave: np.ndarray
    times: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.wave) / LINE

    def turns(self) -> Iterator[tuple[Turn, float, float]]:
        """Each turn with its beginning and end."""
        for turn, (start, end) in zip(self.call.turns, self.times, strict=True):
            yield turn, start, end


def record(calls: Sequence[Call], seed: int, jobs: int) -> list[Recording]:
    """Make `calls`; each speaker is one process, whatever the number of their calls."""
    lines: dict[int, list[str]] = {}
    speakers: dict[int, Speaker] = {}
    for call in calls:
        for turn in call.turns:
            speaker = call.speakers[turn.side]
            speakers[speaker.number] = speaker
            lines.setdefault(speaker.number, []).append(turn.speech)
    parts = [(speakers[number], tuple(said)) for number, said in lines.items()]
    spoken = in_fresh_processes(partial(_speak, seed=seed), parts, jobs, "speaking the calls")
    voices = {speaker.number: _Voice(*heard) for (speaker, _), heard in zip(parts, spoken, strict=True)}
    return [_connect(call, voices, seed) for call in calls]


def write_sphere(path: Path, wave: np.ndarray, coding: str) -> None:
    """Write a SPHERE file.

    Args:
        path: its folders are made.
        wave: int16, shape (S, 2).
        coding: `ulaw`, `pcm` or `shorten`.
    """
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    if coding != "shorten":
        subtype = {"ulaw": "ULAW", "pcm": "PCM_16"}[coding]
        soundfile.write(path, wave, LINE, format="NIST", subtype=subtype)
        return
    raw = io.BytesIO()
    soundfile.write(raw, wave, LINE, format="RAW", subtype="ULAW")
    codes = np.frombuffer(raw.getvalue(), np.uint8).reshape(wave.shape)
    path.write_bytes(_header(path.stem, wave.shape) + shorten(codes))


def write_table(path: Path, lines: Iterable[str]) -> None:
    """Write a text file of the discs; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@dataclass
class _Voice:
    """The turns of one speaker that are not yet used, and the noise of their room; float32 at 8 kHz."""

    turns: list[np.ndarray]
    room: np.ndarray


def _speak(part: tuple[Speaker, tuple[str, ...]], seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """All that one speaker says, in order, as it leaves the line. Call it in a fresh process."""
    speaker, lines = part
    booth = Booth(speaker, seed)
    turns = [_through_the_line(booth.say(line)) for line in lines]
    return turns, _through_the_line(booth.room(ROOM * SAMPLE_RATE))


def _through_the_line(wave: np.ndarray) -> np.ndarray:
    """16 kHz -> 8 kHz and the band of a telephone, with edges of 100 Hz; float32."""
    import soxr

    narrow = soxr.resample(wave, SAMPLE_RATE, LINE, quality="HQ")
    size = -(-len(narrow) // 2048) * 2048
    hertz = np.fft.rfftfreq(size, 1 / LINE)
    inside = np.minimum(hertz - BAND[0], BAND[1] - hertz) / 100
    gain = 0.5 - 0.5 * np.cos(np.pi * np.clip(inside + 0.5, 0, 1))
    return np.fft.irfft(np.fft.rfft(narrow, size) * gain, size)[: len(narrow)].astype(np.float32)


def _connect(call: Call, voices: dict[int, _Voice], seed: int) -> Recording:
    """Put the turns of both sides on one clock, and the noise of their rooms around them."""
    rng = numpy_rng(seed, "call", call.id)
    waves, starts = [], []
    clock, before = int(rng.uniform(0.3, 1.2) * LINE), None
    for turn in call.turns:
        wave = voices[call.speakers[turn.side].number].turns.pop(0)
        least = 0.15 if before == turn.side else OVERLAP
        if before is not None:
            clock += int(rng.uniform(least, PAUSE) * LINE)
        waves.append(wave)
        starts.append(clock)
        clock += len(wave)
        before = turn.side
    ends = [start + len(wave) for start, wave in zip(starts, waves, strict=True)]
    samples = max(ends) + int(rng.uniform(0.3, 1.2) * LINE)
    both = np.stack([np.resize(voices[speaker.number].room, samples) for speaker in call.speakers], axis=1)
    for turn, start, wave in zip(call.turns, starts, waves, strict=True):
        both[start : start + len(wave), turn.side] = wave
    clipped = np.clip(np.rint(both * 32768), -32768, 32767).astype(np.int16)
    times = tuple((start / LINE, end / LINE) for start, end in zip(starts, ends, strict=True))
    return Recording(call, clipped, times)


def _header(name: str, shape: tuple[int, ...]) -> bytes:
    fields = [
        f"conversation_id -s{len(name)} {name}",
        f"channel_count -i {shape[1]}",
        f"sample_count -i {shape[0]}",
        f"sample_rate -i {LINE}",
        "sample_n_bytes -i 1",
        "sample_sig_bits -i 8",
        "channels_interleaved -s4 TRUE",
        "sample_coding -s27 ulaw,embedded-shorten-v2.00",
        "end_head",
    ]
    return ("NIST_1A\n   1024\n" + "\n".join(fields) + "\n").encode().ljust(1024)
