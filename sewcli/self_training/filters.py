"""Which hypotheses are good enough to be labels: measures of each, and filters by them (see `config.FilterConfig`).

A CTC model has no end of sentence to miss, so of Kahn et al.'s filters for common errors the one of repeated n-grams stays;
rates of letters and words take the place of the other. Measures are by the letters of the text, word boundaries included.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sewcli.scoring.wer import character_errors
from sewcli.self_training.label_config import FilterConfig


@dataclass(frozen=True)
class Candidate:
    """A hypothesis that may become a label.

    am, score, greedy_score: natural log-probability of its path in the emissions, the total of search or rescoring, and the
    log-probability of the best path, which is what greedy decoding hears and writes as `greedy`.
    """

    id: str
    text: str
    seconds: float
    am: float
    score: float
    greedy: str
    greedy_score: float
    reference: str | None = None

    @property
    def confidence(self) -> float:
        """Geometric mean over the letters of the probability of the path; not calibrated."""
        return self._by_letter(self.am)

    @property
    def margin(self) -> float:
        """How likely the text's path is against the best path, by letter; 1 where they are one."""
        return self._by_letter(self.am - self.greedy_score)

    @property
    def agreement(self) -> float:
        """1 - the letter error rate of greedy decoding, held against the text; below 0 where greedy writes far more."""
        return 1.0 - character_errors([self.text], [self.greedy])[0].wer if self.text else 0.0

    def measure(self, name: str) -> float:
        """By its name in `config.Measure`; the higher, the better."""
        if name == "score":
            return self.score / max(1, len(self.text))
        return float(getattr(self, name))

    def _by_letter(self, log_probability: float) -> float:
        return math.exp(min(0.0, log_probability) / max(1, len(self.text)))


def filter_labels(candidates: Sequence[Candidate], config: FilterConfig) -> tuple[list[Candidate], dict[str, str]]:
    """Those to keep, in their order, and of each other one by its id the reason, with its figures behind a colon."""
    reasons = {candidate.id: reason for candidate in candidates if (reason := fault(candidate, config))}
    measures = {c.id: c.measure(config.rank) for c in candidates if c.id not in reasons}
    ranked = sorted(measures, key=lambda name: (-measures[name], name))
    for name in ranked[math.ceil(round(config.keep * len(ranked), 6)) :]:
        reasons[name] = f"{config.rank} below that of the share kept: {measures[name]:.4f}"
    return [candidate for candidate in candidates if candidate.id not in reasons], reasons


def fault(candidate: Candidate, config: FilterConfig) -> str | None:
    """Why a text is no label by itself; None if it may be one."""
    return next(_faults(candidate, config), None)


def repeats(text: str, length: int) -> int:
    """How often the most frequent n-gram of `length` words stands in a text."""
    words = text.split()
    counts = Counter(tuple(words[n : n + length]) for n in range(len(words) - length + 1))
    return max(counts.values(), default=0)


def _faults(candidate: Candidate, config: FilterConfig) -> Iterator[str]:
    text = candidate.text
    if not text.strip():
        yield "no text"
        return
    if (times := repeats(text, config.repeat_length)) > config.max_repeats:
        yield f"repeated n-gram: {times} times"
    for name, count, (least, most) in (
        ("letters", len(text.replace(" ", "")), config.letters_per_second),
        ("words", len(text.split()), config.words_per_second),
    ):
        rate = count / candidate.seconds
        if not least <= rate <= most:
            yield f"{'few' if rate < least else 'many'} {name} a second: {rate:.2f}"
    if candidate.confidence < config.min_confidence:
        yield f"confidence below the least: {candidate.confidence:.4f}"
    if config.min_agreement is not None and candidate.agreement < config.min_agreement:
        yield f"greedy decoding disagrees: {candidate.agreement:.4f}"
