"""Emissions as a model would give for a text: a few frames a letter, blanks between, noise over all."""

import numpy as np

from sewcli.text.tokens import Vocabulary

LETTERS = Vocabulary.letters()


def emission(
    text: str, *, noise: float = 0.0, seed: int = 0, final_boundary: bool = False, peak: float = 5.0
) -> np.ndarray:
    """(T, 32) float32 log-probabilities; the true symbol's logit is `peak` above the mean of the others."""
    rng = np.random.default_rng(seed)
    ids = LETTERS.encode(text) + ([LETTERS.boundary] if final_boundary else [])
    path = [LETTERS.blank]
    for i in ids:
        path += [i] * int(rng.integers(1, 3)) + [LETTERS.blank] * int(rng.integers(1, 3))
    logits = rng.normal(0, 1, (len(path), len(LETTERS))) * noise
    logits[np.arange(len(path)), path] += peak
    return log_softmax(logits)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)


def frames(symbols: str, peak: float = 0.9) -> np.ndarray:
    """A frame a symbol; `_` is the blank."""
    ids = [LETTERS.blank if s == "_" else LETTERS.tokens.index(s) for s in symbols]
    values = np.full((len(ids), len(LETTERS)), (1 - peak) / (len(LETTERS) - 1), dtype=np.float32)
    values[np.arange(len(ids)), ids] = peak
    return np.log(values)
