"""Phrases that a search finds likelier, as an automaton over its words or symbols (Aho and Corasick 1975).

As in the context graphs of icefall and NeMo, a phrase is paid for while it is being said, so that it is not pruned before its
end; what was paid for a phrase that is then left is taken back. So in the end each occurrence of a phrase in a text counts
once, in full, and nothing else does, whatever overlaps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

START = 0


@dataclass(frozen=True)
class Pattern:
    """The units of a phrase, and what is held for it after each of them; the last is what it counts."""

    units: Sequence[Hashable]
    credits: Sequence[float]


class PhraseGraph:
    """The automaton; a state is a number, and START that of a text without words."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._next: list[dict[Hashable, int]] = [{}]
        self._paid = [0.0]  # for good on arrival: phrases that end here
        self._held = [0.0]  # for phrases that may go on here
        self._fall = [START]  # the longest end of what was said that begins a phrase
        for pattern in patterns:
            self._add(pattern)
        self._link()

    def step(self, state: int, unit: Hashable) -> tuple[int, float]:
        """The state after one more unit, and what that adds to the score."""
        there = self._follow(state, unit)
        return there, self._paid[there] + self._held[there] - self._held[state]

    def end(self, state: int) -> float:
        """What the end of the text adds: the price of a phrase that is not complete is taken back."""
        return -self._held[state]

    def _follow(self, state: int, unit: Hashable) -> int:
        while state != START and unit not in self._next[state]:
            state = self._fall[state]
        return self._next[state].get(unit, START)

    def _add(self, pattern: Pattern) -> None:
        state = START
        for unit, credit in zip(pattern.units, pattern.credits, strict=True):
            there = self._next[state].setdefault(unit, len(self._next))
            if there == len(self._next):
                self._paid.append(0.0)
                self._held.append(0.0)
                self._fall.append(START)
                self._next.append({})
            state = there
            self._held[state] = max(self._held[state], credit)
        self._paid[state] += pattern.credits[-1]

    def _link(self) -> None:
        """Breadth first, so that what a state falls back to is complete before it."""
        waiting = deque(self._next[START].values())
        while waiting:
            state = waiting.popleft()
            below = self._fall[state]
            self._paid[state] += self._paid[below]
            self._held[state] = max(self._held[state] if self._next[state] else 0.0, self._held[below])
            for unit, there in self._next[state].items():
                self._fall[there] = self._follow(below, unit)
                waiting.append(there)
