"""The emission of a whole recording, cut at pauses into segments of speech that are decoded one at a time.

A pause is as long as this without a letter, and always ends a word: models that were trained on utterances write no word
boundary between them. Talk without pauses is cut between words before it grows too long for a beam search's memory or a
reader's patience. Silence belongs to nobody and is dropped. Shapes: T frames, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sewcli.text.tokens import Vocabulary

PAUSE = 0.5  # seconds
LONGEST = 30.0  # seconds of a segment
AROUND = 0.2  # seconds of silence left on both sides of a segment


@dataclass(frozen=True)
class Segment:
    """Speech between two pauses: the emission (T, V) from frame `start` of the recording on."""

    start: int
    emission: np.ndarray


class Segmenter:
    """Cuts a stream of frames into segments.

    Args:
        vocabulary: of the emission.
        frame_seconds: from one frame to the next.
        longest: seconds that a segment may last.
    """

    def __init__(self, vocabulary: Vocabulary, frame_seconds: float, longest: float = LONGEST) -> None:
        self._boundaries = sorted(vocabulary.boundaries)
        self._silent = sorted(vocabulary.silent | vocabulary.boundaries)
        self._pause, self._around, self._longest = (max(round(s / frame_seconds), 2) for s in (PAUSE, AROUND, longest))
        self._held = np.zeros((0, len(vocabulary)), dtype=np.float32)
        self._start = 0  # of what is held

    def push(self, emission: np.ndarray) -> Iterator[Segment]:
        """Take frames (T, V), and yield the segments that end in them."""
        self._held = np.concatenate([self._held, emission])
        while (end := self._end()) is not None:
            yield from self._take(end)
        letters = self._letters()
        if not len(letters):  # silence: the next word may begin with its last frames
            self._drop(max(len(self._held) - self._around, 0))

    def close(self) -> Iterator[Segment]:
        """Yield the last segment."""
        yield from self._take(len(self._held))

    def _letters(self) -> np.ndarray:
        """Frames that hold a letter."""
        return (
            np.flatnonzero(~np.isin(self._held.argmax(axis=1), self._silent)) if len(self._held) else np.zeros(0, int)
        )

    def _end(self) -> int | None:
        """Where the first segment ends, once that is known."""
        letters = self._letters()
        if not len(letters):
            return None
        gaps = np.flatnonzero(np.diff(letters, append=len(self._held)) > self._pause)
        if len(gaps):
            return int(letters[gaps[0]]) + 1 + self._around
        return self._between_words(letters) if len(self._held) > self._longest else None

    def _between_words(self, letters: np.ndarray) -> int:
        """In the second half of a segment: the middle of the longest silence with a word boundary, or without one."""
        before, after = letters[:-1] + 1, letters[1:]
        labels = self._held.argmax(axis=1)
        found, longest = self._longest, (False, 0)
        for begin, end in zip(before.tolist(), after.tolist(), strict=True):
            if self._longest // 2 <= begin < end <= self._longest:
                boundaries = np.flatnonzero(np.isin(labels[begin:end], self._boundaries))
                if (size := (bool(len(boundaries)), end - begin)) > longest:
                    found, longest = (begin + end + 1) // 2, size
        return found

    def _take(self, end: int) -> Iterator[Segment]:
        letters = self._letters()
        letters = letters[letters < end]
        if len(letters):
            first = max(int(letters[0]) - self._around, 0)
            yield Segment(self._start + first, self._held[first:end])
        self._drop(end)

    def _drop(self, frames: int) -> None:
        self._held, self._start = self._held[frames:].copy(), self._start + frames
