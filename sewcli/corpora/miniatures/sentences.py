"""Sentences of the miniature: commands to a house, a telephone and a navigator, every number spelled out.

A small grammar over 89 words that uses all 26 letters and the apostrophe. A sentence belongs to one part of the corpus
by the hash of its words, so that no sentence of dev or test is ever in train, whatever the seed or the size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from sewcli.base.rng import key

ROOMS = ("KITCHEN", "BEDROOM", "GARAGE", "OFFICE", "GARDEN", "HALL", "BATHROOM")
LAMPS = ("LIGHT", "LAMP")
MACHINES = ("HEATER", "FAN", "RADIO", "OVEN")
OPENINGS = ("DOOR", "WINDOW", "GATE")
DIRECTIONS = ("NORTH", "SOUTH", "EAST", "WEST")
SIDES = ("LEFT", "RIGHT")
MUSIC = ("JAZZ", "MUSIC", "SONGS")
MOODS = ("QUIET", "LOUD", "HAPPY", "NEW")
PLACES = ("AIRPORT", "BRIDGE", "PARK", "HOTEL", "ZOO")
DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
TEENS = ("TEN", "ELEVEN", "TWELVE", "FIFTEEN")
TENS = ("TWENTY", "THIRTY", "FORTY", "FIFTY", "SIXTY", "SEVENTY", "EIGHTY", "NINETY")

PARTS = {"dev": 10, "test": 20}  # percent of all sentences; the rest is train


def sentences(part: str, seed: int, speaker: int) -> Iterator[str]:
    """Distinct sentences of `part` (train, dev or test) for one speaker, without end."""
    rng = np.random.Generator(np.random.PCG64(key(seed, "sentences", part, speaker)))
    spoken: set[str] = set()
    templates = list(TEMPLATES)
    weights = np.array(list(TEMPLATES.values())) / sum(TEMPLATES.values())
    while True:
        sentence = templates[int(rng.choice(len(templates), p=weights))](_Words(rng))
        if part_of(sentence) == part and sentence not in spoken:
            spoken.add(sentence)
            yield sentence


def part_of(sentence: str) -> str:
    """The part of the corpus that a sentence belongs to: train, dev or test."""
    place = key(0, "part of a sentence", sentence) % 100
    if place < PARTS["dev"]:
        return "dev"
    return "test" if place < PARTS["dev"] + PARTS["test"] else "train"


class _Words:
    """Random words and numbers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def one(self, *groups: tuple[str, ...]) -> str:
        words = sum(groups, ())
        return words[int(self._rng.integers(len(words)))]

    def number(self) -> str:
        """Up to 99: `SEVEN`, `TWELVE`, `FORTY` or `FORTY TWO`."""
        kind = self._rng.random()
        if kind < 0.2:
            return self.one(DIGITS[1:])
        if kind < 0.3:
            return self.one(TEENS)
        return self.one(TENS) if kind < 0.6 else f"{self.one(TENS)} {self.one(DIGITS[1:])}"

    def hour(self) -> str:
        return self.one(DIGITS[1:], TEENS[:3])

    def digits(self) -> str:
        return " ".join(self.one(DIGITS) for _ in range(int(self._rng.integers(3, 6))))


Template = Callable[[_Words], str]

TEMPLATES: dict[Template, float] = {  # and how often each is drawn
    lambda w: f"SET THE {w.one(ROOMS)} {w.one(LAMPS)} TO {w.number()} PERCENT": 3,
    lambda w: f"SET THE {w.one(ROOMS)} {w.one(MACHINES[:2])} TO {w.number()} DEGREES": 2,
    lambda w: f"TURN {w.one(('ON', 'OFF'))} THE {w.one(ROOMS)} {w.one(LAMPS, MACHINES)}": 3,
    lambda w: f"{w.one(('OPEN', 'CLOSE', 'LOCK'))} THE {w.one(ROOMS)} {w.one(OPENINGS)}": 2,
    lambda w: f"CALL {w.digits()}": 4,
    lambda w: f"PLAY {w.one(MOODS)} {w.one(MUSIC)} IN THE {w.one(ROOMS)}": 2,
    lambda w: f"WAKE ME AT {w.hour()} {w.one(TENS[:4])}": 1,
    lambda w: f"IT'S {w.hour()} O'CLOCK IN THE {w.one(PLACES)}": 1,
    lambda w: f"TURN {w.one(SIDES)} IN {w.number()} {w.one(('MILES', 'MINUTES'))}": 2,
    lambda w: f"TAKE EXIT {w.number()} {w.one(DIRECTIONS)}": 2,
    lambda w: f"DRIVE {w.one(DIRECTIONS)} FOR {w.number()} MILES": 2,
    lambda w: f"GO {w.one(SIDES)} AT THE {w.one(PLACES)} AND THEN {w.one(DIRECTIONS)}": 2,
    lambda w: f"SET A TIMER FOR {w.number()} MINUTES": 1,
    lambda w: f"TURN THE VOLUME {w.one(('UP', 'DOWN'))} TO {w.number()}": 1,
    # Short ones: a model learns from them where letters begin and end.
    lambda w: w.one(DIGITS, TEENS, TENS): 2,
    lambda w: w.one(ROOMS, LAMPS, MACHINES, OPENINGS, DIRECTIONS, SIDES, MUSIC, PLACES): 2,
    lambda w: f"{w.one(DIGITS)} {w.one(DIGITS)}": 2,
    lambda w: f"{w.one(ROOMS)} {w.one(LAMPS, MACHINES)}": 2,
    lambda w: f"TURN {w.one(SIDES)}": 1,
    lambda w: f"GO {w.one(DIRECTIONS)}": 1,
    lambda w: f"PLAY {w.one(MUSIC)}": 1,
    lambda w: f"{w.one(('OPEN', 'CLOSE', 'LOCK'))} THE {w.one(OPENINGS)}": 1,
}
