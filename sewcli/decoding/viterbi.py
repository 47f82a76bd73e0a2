"""The best CTC path: through all texts, or through one (Graves et al. 2006, sections 3.2 and 4.1, with max for sum).

Plain NumPy, scores in float64, no other aligner's code: `forced_align` and k2 are held against this one. Through all texts
it searches the states that greedy decoding does not look at, and finds the same path (SEW table 11).
Shapes: B batch, T frames, V vocabulary, L labels, N = 2 L + 1 states (a blank before, between and after the labels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sewcli.base.errors import DataError
from sewcli.text.tokens import frames_needed

STAY, STEP, SKIP = 0, 1, 2  # a frame's state is that of the frame before, the next one, or the next but one


@dataclass(frozen=True)
class BestPath:
    """A label for every frame (T,), and the sum of their log-probabilities."""

    labels: np.ndarray
    score: float


def best_path(emission: np.ndarray, transitions: np.ndarray | None = None) -> BestPath:
    """The best path through every text.

    Args:
        emission: (T, V) log-probabilities.
        transitions: (V, V) score of going from one symbol to another; CTC's topology has none, which is all zeros.

    Returns:
        The path; of equal ones the one of lower ids.
    """
    frames, size = emission.shape
    if not frames:
        return BestPath(np.zeros(0, dtype=np.int64), 0.0)
    arcs = np.zeros((size, size)) if transitions is None else transitions.astype(np.float64)
    scores = emission.astype(np.float64)
    before = np.zeros((frames, size), dtype=np.int64)
    best = scores[0]
    for frame in range(1, frames):
        reached = best[:, None] + arcs
        before[frame] = reached.argmax(axis=0)
        best = reached.max(axis=0) + scores[frame]
    path = np.empty(frames, dtype=np.int64)
    path[-1] = best.argmax()
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = before[frame, path[frame]]
    return BestPath(path, float(best.max()))


def require_fit(name: str, emission: np.ndarray, labels: Sequence[int], blank: int) -> None:
    """Refuse what no path can join.

    Args:
        name: the utterance, for messages.
        emission: (T, V) log-probabilities.
        labels: ids of the transcript, without blanks.
        blank: id of the CTC blank.

    Raises:
        DataError: NaN, a label that is no symbol or the blank, or more labels than the frames can hold.
    """
    if np.isnan(emission).any():
        raise DataError(
            "nan-emissions", "the model gave NaN for this audio", where=name, hint="look at the audio and the model"
        )
    strange = [label for label in labels if not 0 <= label < emission.shape[1] or label == blank]
    if strange:
        raise DataError(
            "label-outside-vocabulary",
            f"label {strange[0]} is the blank, or no symbol of the {emission.shape[1]}",
            where=name,
        )
    if (needed := frames_needed(labels)) > len(emission):
        raise DataError(
            "transcript-too-long",
            f"the transcript is too long: its {len(labels)} letters need {needed} frames, the audio has {len(emission)}",
            where=name,
            hint="look whether transcript and audio belong together; a model of more frames a second holds more letters",
        )


def align(
    names: Sequence[str], emissions: Sequence[np.ndarray], targets: Sequence[Sequence[int]], blank: int
) -> list[BestPath]:
    """The best path of each utterance through its transcript; of equal ones the one that goes on latest.

    Args:
        names: the utterances, for messages.
        emissions: (T, V) log-probabilities of each; T may differ.
        targets: ids of each transcript, without blanks; an empty one takes the path of blanks.
        blank: id of the CTC blank.

    Raises:
        DataError: see `require_fit`; or every path has probability zero.
    """
    for name, emission, labels in zip(names, emissions, targets, strict=True):
        require_fit(name, emission, labels, blank)
    if not names:
        return []
    scores, frames = _padded(emissions)
    states = _states(targets, blank)
    moves, ends = _forward(scores, frames, states, blank)
    lengths = np.array([2 * len(labels) for labels in targets])
    last = _each(ends, lengths)  # ends in the blank after the last label ...
    before = _each(ends, np.maximum(lengths - 1, 0))  # ... or in that label
    state = np.where((before >= last) & (lengths > 0), lengths - 1, lengths)
    totals = np.maximum(last, before)
    paths = _backward(moves, frames, states, state)
    found = []
    for index, name in enumerate(names):
        if not np.isfinite(totals[index]):
            raise DataError(
                "impossible-alignment", "every path through the transcript has probability zero", where=name
            )
        found.append(BestPath(paths[index, : frames[index]].copy(), float(totals[index])))
    return found


def path_score(emission: np.ndarray, path: np.ndarray) -> float:
    """Sum of the log-probabilities (T, V) along a path (T,)."""
    return float(emission[np.arange(len(path)), path].sum(dtype=np.float64))


def _padded(emissions: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(B, T, V) float64 and true frames (B,)."""
    frames = np.array([len(emission) for emission in emissions])
    scores = np.zeros((len(emissions), max(1, int(frames.max())), emissions[0].shape[1]))
    for row, emission in zip(scores, emissions, strict=True):
        row[: len(emission)] = emission
    return scores, frames


def _states(targets: Sequence[Sequence[int]], blank: int) -> np.ndarray:
    """Symbol of each state (B, N); behind a shorter transcript there are blanks."""
    states = np.full((len(targets), 2 * max(map(len, targets)) + 1), blank)
    for row, labels in zip(states, targets, strict=True):
        row[1 : 2 * len(labels) : 2] = labels
    return states


def _forward(scores: np.ndarray, frames: np.ndarray, states: np.ndarray, blank: int) -> tuple[np.ndarray, np.ndarray]:
    """How each state was best reached (T, B, N), and the scores of the states at each last frame (B, N)."""
    batch, count = states.shape
    impossible = np.full((batch, 2), -np.inf)
    may_skip = np.zeros(states.shape, dtype=bool)
    may_skip[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])  # equal neighbours need a blank
    best = np.full((batch, count), -np.inf)
    best[:, :2] = np.take_along_axis(scores[:, 0], states[:, :2], 1)
    best = np.where((frames > 0)[:, None], best, np.where(np.arange(count) == 0, 0.0, -np.inf))
    moves = np.zeros((scores.shape[1], batch, count), dtype=np.uint8)
    for frame in range(1, scores.shape[1]):
        before = np.concatenate([impossible, best], axis=1)  # column n + 2 is state n
        reached = best
        for move, source in ((STEP, before[:, 1:-1]), (SKIP, np.where(may_skip, before[:, :-2], -np.inf))):
            better = source > reached
            reached = np.where(better, source, reached)
            moves[frame][better] = move
        reached = reached + np.take_along_axis(scores[:, frame], states, 1)
        best = np.where((frame < frames)[:, None], reached, best)
    return moves, best


def _backward(moves: np.ndarray, frames: np.ndarray, states: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Symbols (B, T) of the paths that end in the states `last` (B,)."""
    paths = np.zeros((len(states), len(moves)), dtype=np.int64)
    state = last.copy()
    for frame in range(len(moves) - 1, -1, -1):
        inside = frame < frames
        paths[:, frame] = np.where(inside, _each(states, state), states[:, 0])
        state = state - np.where(inside, _each(moves[frame], state), 0)
    return paths


def _each(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """One value of each row, (B,)."""
    found: np.ndarray = rows[np.arange(len(rows)), columns]
    return found
