"""Searches that end with one hypothesis, and the one reading of "no language model" (`--lm none`, which is greedy)."""

from __future__ import annotations

NONE = "none"
GREEDY, VITERBI = "greedy", "viterbi"  # names of the searches
BEST_PATHS = (NONE, VITERBI)  # what `--lm` calls them


def language_model(given: str | None) -> str | None:
    """What `--lm` names; None is no language model."""
    return None if given in (None, NONE) else given
