"""Utterances that are stretches of a recording, joined: all of them cut out while it is decoded once, in order.

A session of VoxPopuli lasts hours and holds hundreds of utterances. Opening it and seeking for each stretch takes three times
as long, and holding it whole takes gigabytes; here only what is being said is in memory. S samples of one channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sewcli.audio.io import read_blocks
from sewcli.audio.opening import AudioInfo
from sewcli.base.errors import DataError

OVERSHOOT = 0.5  # seconds that a segment may reach beyond its file, as Kaldi's extract-segments has it
Spans = tuple[tuple[float, float], ...]  # seconds


@dataclass(slots=True)
class _Utterance:
    """What has been read of an utterance: `wave` is filled as its stretches (first and last sample) pass by."""

    identity: str
    stretches: list[tuple[int, int]]
    wave: np.ndarray

    @property
    def begins(self) -> int:
        return min(first for first, _ in self.stretches)

    @property
    def ends(self) -> int:
        return max(last for _, last in self.stretches)

    def accept(self, position: int, block: np.ndarray) -> None:
        """Take from a block of the file, which begins at sample `position`, what belongs here."""
        offset = 0
        for first, last in self.stretches:
            low, high = max(first, position), min(last, position + len(block))
            if low < high:
                self.wave[offset + low - first : offset + high - first] = block[low - position : high - position]
            offset += last - first


def cut_out(path: Path, info: AudioInfo, joins: Sequence[tuple[str, Spans]]) -> Iterator[tuple[str, np.ndarray | str]]:
    """Decode a mono file to its end, and yield each utterance once its last segment has been read.

    Args:
        path: the file.
        info: what its header says.
        joins: utterances by id, with their stretches in the order in which they are joined; they may overlap.

    Yields:
        The id, and float32 of shape (S,) at the file's rate, or what is wrong with the stretches.

    Raises:
        DataError: the file cannot be read to its end, is damaged, or holds NaN; what was yielded before is not to be used.
    """
    waiting: list[_Utterance] = []
    for identity, spans in joins:
        stretches = _samples(spans, info)
        if isinstance(stretches, str):
            yield identity, stretches
        else:
            waiting.append(_Utterance(identity, stretches, np.empty(0, np.float32)))
    waiting.sort(key=lambda utterance: utterance.begins, reverse=True)  # the next is the last
    hearing: list[_Utterance] = []
    position = 0
    for block in read_blocks(path):
        if not np.isfinite(block).all():
            raise DataError(
                "nan-samples", "holds samples that are NaN or infinite", where=path, hint="export the recording again"
            )
        while waiting and waiting[-1].begins < position + len(block):
            hearing.append(waiting.pop())
            hearing[-1].wave = np.empty(sum(last - first for first, last in hearing[-1].stretches), np.float32)
        for utterance in hearing:
            utterance.accept(position, block)
        position += len(block)
        yield from ((utterance.identity, utterance.wave) for utterance in hearing if utterance.ends <= position)
        hearing = [utterance for utterance in hearing if utterance.ends > position]


def _samples(spans: Spans, info: AudioInfo) -> list[tuple[int, int]] | str:
    """Stretches in samples, what little reaches beyond the file cut off; or what is wrong with one."""
    stretches = []
    for start, end in spans:
        first, last = round(start * info.rate), round(end * info.rate)
        if first < 0 or last <= first or first >= info.samples or last > info.samples + OVERSHOOT * info.rate:
            return f"a stretch from {start} to {end} s of {info.seconds:.2f} s"
        stretches.append((first, min(last, info.samples)))
    return stretches
