"""Greedy decoding: the best symbol of each frame, repeats collapsed, blanks dropped (Graves et al. 2006, section 3.2)."""

from __future__ import annotations

import numpy as np


def greedy(emission: np.ndarray, blank: int) -> list[int]:
    """Collapsed ids of log-probabilities (T, V); a tie goes to the lower id."""
    return collapse(emission.argmax(axis=1), blank) if len(emission) else []


def greedy_score(emission: np.ndarray) -> float:
    """Log-probability of the best path."""
    return float(emission.max(axis=1).sum(dtype=np.float64)) if len(emission) else 0.0


def collapse(path: np.ndarray, blank: int) -> list[int]:
    """A path of frame labels (T,) as labels: neighbours that are equal become one, then blanks go."""
    changes = np.append(True, path[1:] != path[:-1])[: len(path)]
    kept = path[changes]
    labels: list[int] = kept[kept != blank].tolist()
    return labels
