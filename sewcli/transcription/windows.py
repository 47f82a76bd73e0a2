"""Recordings of any length as overlapping windows, and the emissions of the windows as one.

Every window begins on the frame grid of the whole, so that frame t of it is frame start + t of the recording. Neighbours see
the middle of their overlap with sound on both sides; there one emission takes over from the other, at a frame where both
are between words: then no word is lost, doubled or cut. Shapes: S samples at 16 kHz, T frames, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sewcli.base.errors import UsageError
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.models.config import ModelConfig
from sewcli.text.tokens import Vocabulary

MARGIN = 15  # frames from a letter beyond which more distance is no better: neighbours differ by one or two


@dataclass(frozen=True)
class Layout:
    """Samples of windows and their overlap, and how samples become frames.

    Args:
        grid: samples to which the starts of windows are aligned.
        frames_per_grid: frames that come out of so many.
        length, overlap: of windows, in samples; whole multiples of the grid.
    """

    grid: int
    frames_per_grid: int
    length: int
    overlap: int

    @classmethod
    def of(cls, config: ModelConfig, seconds: float, overlap: float) -> Layout:
        """Windows of about `seconds` that share about `overlap` seconds with their neighbours.

        Raises:
            UsageError: windows too short to hold two overlaps.
        """
        grid = config.samples_per_frame * config.squeeze
        frames = config.squeeze * config.output_upsample
        length, shared = (max(round(value * SAMPLE_RATE / grid), 1) * grid for value in (seconds, overlap))
        if 2 * shared > length:
            raise UsageError(
                "windows-too-short",
                f"windows of {seconds} s cannot hold two overlaps of {overlap} s",
                hint="longer ones",
            )
        return cls(grid, frames, length, shared)

    @property
    def step(self) -> int:
        """Samples from the start of one window to the next."""
        return self.length - self.overlap

    def frame(self, sample: int) -> int:
        """The frame that begins at a sample of the grid."""
        return sample // self.grid * self.frames_per_grid


class Windows:
    """Cuts a stream of samples into windows; holds no more than two of them."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._held = np.zeros(0, dtype=np.float32)
        self._start = 0  # sample at which `_held` begins
        self._next = 0  # sample at which the next window begins
        self._done = 0  # sample at which the last window ended

    def push(self, samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Take samples (S,), and yield (first sample, wave) of each window that is full."""
        self._held = np.concatenate([self._held, samples])
        while self._next + self.layout.length <= self._start + len(self._held):
            yield self._window(self._next)
            self._next += self.layout.step
            # so much is kept that the last window of the recording can be a whole one
            kept = max(self._done - self.layout.length, self._start)
            self._held, self._start = self._held[kept - self._start :].copy(), kept

    def close(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the last window, unless the one before went to the end: a whole one, as long as the recording is."""
        end = self._start + len(self._held)
        if end > self._done:
            start = max(end - self.layout.length, self._start)
            yield self._window(-(-start // self.layout.grid) * self.layout.grid)

    def _window(self, start: int) -> tuple[int, np.ndarray]:
        held = self._held[start - self._start : start - self._start + self.layout.length]
        self._done = start + len(held)
        return start, np.ascontiguousarray(held)


class Stitcher:
    """Joins the emissions of windows into that of the whole.

    Args:
        layout: of the windows.
        vocabulary: of the emissions.
    """

    def __init__(self, layout: Layout, vocabulary: Vocabulary) -> None:
        self._layout, self._vocabulary = layout, vocabulary
        self._held: np.ndarray | None = None  # the frames of the last window that are not final
        self._start = 0  # of them

    def add(self, sample: int, emission: np.ndarray) -> np.ndarray:
        """Take the emission (T, V) of the window that begins at `sample`; returns the frames that are final now."""
        layout, start = self._layout, self._layout.frame(sample)
        context = layout.frame(layout.overlap) // 3  # frames that each of two windows sees beyond a cut at least
        ready = emission[:0]
        if self._held is None:
            self._held, self._start = emission, start
        else:
            low = max(self._start, start + context)
            high = max(self._start + len(self._held) - context, low)
            mine, theirs = self._held[low - self._start : high - self._start], emission[low - start : high - start]
            cut = low + take_over(mine, theirs, self._vocabulary)
            ready = self._held[: cut - self._start]
            self._held, self._start = emission[cut - start :], cut
        # what no later window can reach is final as well
        reach = layout.frame(sample + layout.step) + context
        free = max(min(reach - self._start, len(self._held)), 0)
        ready = np.concatenate([ready, self._held[:free]])
        self._held, self._start = self._held[free:], self._start + free
        return ready

    def close(self) -> np.ndarray | None:
        """The frames that are left; None when there never was a window."""
        held, self._held = self._held, None
        return held


def take_over(first: np.ndarray, second: np.ndarray, vocabulary: Vocabulary) -> int:
    """Where, in frames that two windows share, the second shall take over from the first.

    Best is a frame far from every letter of both, where a word ends for both, near the middle; the boundary between
    the words must come from one of the two. Without a frame between letters it is one on which both agree, or else the middle.

    Args:
        first, second: (T, V) log-probabilities of the same T frames.
        vocabulary: of the emissions.

    Returns:
        The number of frames, 0 to T, that come from the first.
    """
    frames = len(first)
    if frames < 2:
        return frames // 2
    labels = np.stack([first.argmax(axis=1), second.argmax(axis=1)])
    ends = np.isin(labels, sorted(vocabulary.boundaries))
    silent = (np.isin(labels, sorted(vocabulary.silent)) | ends).all(axis=0)
    off_middle = np.abs(np.arange(frames + 1) - frames / 2) / frames  # 0 to 0.5
    best, cost = frames // 2, np.inf
    edges = np.flatnonzero(np.diff(silent.astype(np.int8), prepend=0, append=0))
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        ends_word = ends[:, begin:end].any(axis=1)
        for cut in range(begin, end + 1):
            kept = ends[0, begin:cut].any() or ends[1, cut:end].any()
            if ends_word.any() and not kept:
                continue
            margin = min(cut - begin if begin else MARGIN, end - cut if end < frames else MARGIN, MARGIN)
            price = -margin / MARGIN - float(ends_word.all()) + off_middle[cut]
            if price < cost:
                best, cost = cut, price
    if np.isinf(cost):
        same = np.flatnonzero(labels[0] == labels[1])
        if len(same):
            best = int(same[np.abs(same - frames / 2).argmin()])
    return best
