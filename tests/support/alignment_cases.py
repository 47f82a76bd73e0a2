"""Random alignment cases of the kinds that go wrong, and what every aligner must find in them by exhaustive search."""

import itertools
from dataclasses import dataclass

import numpy as np

from sewcli.decoding.greedy import collapse
from sewcli.text.tokens import frames_needed


@dataclass(frozen=True)
class Case:
    name: str
    emission: np.ndarray
    labels: list[int]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)


def random_case(seed: int) -> Case:
    """Few symbols, so that many labels repeat; every fifth as short as it can be; every ninth without labels."""
    rng = np.random.default_rng(seed)
    symbols = int(rng.integers(5, 33))
    count = 0 if seed % 9 == 0 else int(rng.integers(1, 25))
    labels = [int(label) for label in rng.integers(1, int(rng.integers(2, min(6, symbols))), count)]
    if seed % 4 == 1:  # words of one frame: boundaries with one letter between, in just as many frames
        labels = [4 if place % 2 else label for place, label in enumerate(labels)]
    frames = frames_needed(labels) + (0 if seed % 5 == 0 else int(rng.integers(1, 40)))
    logits = rng.normal(0, float(rng.uniform(0.5, 5)), (max(frames, 1), symbols))
    return Case(f"case-{seed}", log_softmax(logits), labels)


def exhaustive(emission: np.ndarray, labels: list[int]) -> tuple[float, list[tuple[int, ...]]]:
    """The best score of all V^T paths that say `labels`, and the paths that reach it."""
    frames, symbols = emission.shape
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(symbols), repeat=frames):
        if collapse(np.array(path), blank=0) == labels:
            found[path] = sum(float(emission[frame, label]) for frame, label in enumerate(path))
    best = max(found.values())
    return best, [path for path, score in found.items() if score > best - 1e-9]
