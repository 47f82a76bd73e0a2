"""When each word and letter of a transcript is spoken: torchaudio's forced alignment of emissions, and checks of it.

A frame stands for the samples around the middle of its receptive field, one stride of them: neighbours meet, and none
reaches outside what the frame heard. Shapes: T frames, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sewcli.alignment.writers import Span
from sewcli.base.errors import DataError
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.decoding.greedy import collapse
from sewcli.decoding.viterbi import BestPath, align, path_score, require_fit
from sewcli.models.config import ModelConfig
from sewcli.text.form import one_form
from sewcli.text.tokens import Vocabulary

if TYPE_CHECKING:
    from sewcli.alignment.k2.worker import K2

TOLERANCE = 1e-4  # of a score, a sum of natural logarithms


@dataclass(frozen=True)
class FrameTimes:
    """Samples from the start of one output frame to the next, and before the first."""

    step: float
    first: float

    @classmethod
    def of(cls, config: ModelConfig) -> FrameTimes:
        """Those of a model: R samples under a frame, every S samples; frames made of one share its stride."""
        stride = config.samples_per_frame
        return cls(stride / config.output_upsample, (config.samples_under_frame - stride) / 2)

    def start(self, frame: int) -> float:
        """Where a frame begins, and the one before it ends, in seconds."""
        return (self.first + frame * self.step) / SAMPLE_RATE


@dataclass(frozen=True)
class Alignment:
    """Words and letters of an utterance with their times, and the path that they come from."""

    words: list[Span]
    letters: list[Span]
    path: BestPath


@dataclass(frozen=True)
class Difference:
    """An aligner that does not agree on the best path of an utterance."""

    aligner: str
    what: str
    score: float | None  # None: it found no path
    expected: float
    frame: int | None  # the first with another label


def align_utterance(
    name: str, emission: np.ndarray, text: str, vocabulary: Vocabulary, times: FrameTimes, seconds: float
) -> Alignment:
    """Align one utterance.

    Args:
        name: the utterance, for messages.
        emission: (T, V) log-probabilities.
        text: its transcript; an empty one has no words.
        vocabulary: of the emission.
        times: of the model.
        seconds: its length, beyond which no span goes.

    Raises:
        DataError: the transcript has letters that the model has not, or more than the frames can hold.
    """
    try:
        labels = vocabulary.encode(text)
    except DataError as error:
        raise DataError(error.code, error.what, where=name, hint=error.hint) from None
    path = forced_path(name, emission, labels, vocabulary.blank)
    letters = letter_spans(path.labels, emission, vocabulary, times, seconds)
    return Alignment(_words(labels, text, letters, vocabulary), _spoken(labels, letters, vocabulary), path)


def forced_path(name: str, emission: np.ndarray, labels: Sequence[int], blank: int) -> BestPath:
    """torchaudio's best path of an emission (T, V) through the transcript `labels`.

    Raises:
        DataError: see `require_fit`; or every path has probability zero.
    """
    require_fit(name, emission, labels, blank)
    if not labels:  # torchaudio fails without labels
        path = np.full(len(emission), blank, dtype=np.int64)
        found = BestPath(path, path_score(emission, path))
    else:
        import torch  # seconds that other commands need not wait
        from torchaudio.functional import forced_align

        scores = torch.from_numpy(np.ascontiguousarray(emission, dtype=np.float64))[None]
        paths, each = forced_align(scores, torch.tensor([list(labels)], dtype=torch.int32), blank=blank)
        found = BestPath(paths[0].long().numpy(), each.sum().item())
    if not np.isfinite(found.score):
        raise DataError("impossible-alignment", "every path through the transcript has probability zero", where=name)
    return found


def differences(
    name: str, emission: np.ndarray, labels: Sequence[int], path: BestPath, k2: K2, blank: int
) -> list[Difference]:
    """Who does not agree with our own search: torchaudio, whose `path` it is, or k2.

    Scores are equal to 1e-4, and so are paths, unless another path is as good: then each may take its own.
    """
    ours = align([name], [emission], [labels], blank)[0]
    found = [("torchaudio", path)]
    try:
        found.append(("k2", k2.align(name, emission, labels, blank=blank).best))
    except DataError as error:
        return [Difference("k2", error.what, None, ours.score, None)]
    return [d for aligner, other in found if (d := compare(aligner, emission, labels, ours, other, blank))]


def compare(
    aligner: str, emission: np.ndarray, labels: Sequence[int], ours: BestPath, other: BestPath, blank: int
) -> Difference | None:
    """What is wrong with another aligner's path and score, if anything."""
    what = None
    if len(other.labels) != len(ours.labels) or collapse(other.labels, blank) != list(labels):
        what = "its path is not one of the transcript"
    elif abs(other.score - ours.score) > TOLERANCE:
        what = "its score is another"
    elif abs(path_score(emission, other.labels) - ours.score) > TOLERANCE:
        what = "its path is another, and not as good"
    if what is None:
        return None
    shared = min(len(other.labels), len(ours.labels))
    apart = np.flatnonzero(other.labels[:shared] != ours.labels[:shared])
    return Difference(aligner, what, other.score, ours.score, int(apart[0]) if len(apart) else None)


def letter_spans(
    path: np.ndarray, emission: np.ndarray, vocabulary: Vocabulary, times: FrameTimes, seconds: float
) -> list[Span]:
    """A span for each label of the path; its confidence is the geometric mean of the label's probability."""
    edges = [0, *(np.flatnonzero(path[1:] != path[:-1]) + 1).tolist(), len(path)]
    spans = []
    for begin, end in pairwise(edges):
        label = int(path[begin]) if begin < len(path) else vocabulary.blank
        if label != vocabulary.blank:
            sure = float(np.exp(emission[begin:end, label].mean(dtype=np.float64)))
            start, stop = (min(times.start(frame), seconds) for frame in (begin, end))
            spans.append(Span(vocabulary.tokens[label], start, stop, sure))
    return spans


def _words(labels: Sequence[int], text: str, letters: Sequence[Span], vocabulary: Vocabulary) -> list[Span]:
    """A span for each word of the text, from its first letter to its last; `letters` are those of `labels`."""
    if vocabulary.separated:
        return [word_span(word, [letter]) for word, letter in zip(one_form(text).split(), letters, strict=True)]
    groups: list[list[Span]] = [[]]
    for label, letter in zip(labels, letters, strict=True):
        if label == vocabulary.boundary:
            groups.append([])
        else:
            groups[-1].append(letter)
    words = one_form(text).split()
    if not words:
        return []
    if vocabulary.boundary is None:  # words without anything between them: as many letters as each is spelled with
        spans = iter(letters)
        groups = [[next(spans) for _ in vocabulary.encode(word)] for word in words]
    return [word_span(word, group) for word, group in zip(words, groups, strict=True)]


def _spoken(labels: Sequence[int], letters: Sequence[Span], vocabulary: Vocabulary) -> list[Span]:
    """The letters without the boundaries between words."""
    return [letter for label, letter in zip(labels, letters, strict=True) if label != vocabulary.boundary]


def word_span(word: str, letters: Sequence[Span]) -> Span:
    """A word from its first letter to its last; its confidence is the geometric mean of theirs."""
    sure = float(np.prod([letter.confidence for letter in letters])) ** (1 / len(letters))
    return Span(word, letters[0].start, letters[-1].end, sure, tuple(letters))
