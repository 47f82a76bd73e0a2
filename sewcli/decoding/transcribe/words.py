"""Words of a stretch of speech with their times and confidences, greedily or with a language model.

A word lasts from the first frame of its first letter to the last frame of its last, as in `sew align`. Its confidence is the
geometric mean of its letters' confidences, and a letter's is the geometric mean of the probability that the model gives it in
the frames where it is written: 1 is certain. It is not a calibrated probability that the word is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from sewcli.base.errors import DataError
from sewcli.decoding.alignment import FrameTimes, align_utterance, letter_spans, word_span
from sewcli.decoding.beam import BeamDecoder
from sewcli.decoding.transcribe.stretches import Stretch
from sewcli.decoding.writers import Span
from sewcli.text.tokens import Vocabulary

BOUNDARY = "|"


@dataclass(frozen=True)
class Line:
    """The words of one stretch of speech; at least one."""

    words: Sequence[Span]

    @property
    def text(self) -> str:
        """Words with spaces between."""
        return " ".join(word.text for word in self.words)

    @property
    def start(self) -> float:
        """Where the first word begins, in seconds."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """Where the last word ends, in seconds."""
        return self.words[-1].end

    @property
    def confidence(self) -> float:
        """The geometric mean of the words' confidences."""
        return float(np.exp(np.mean([np.log(max(word.confidence, 1e-30)) for word in self.words])))


class Reader:
    """Writes down what is said in a stretch.

    Args:
        vocabulary: of the emissions.
        times: of the model.
        beam: the search with a language model; None is greedy.
    """

    def __init__(self, vocabulary: Vocabulary, times: FrameTimes, beam: BeamDecoder | None = None) -> None:
        self._vocabulary, self._times, self._beam = vocabulary, times, beam
        self._unwritten = [
            i for i in range(len(vocabulary)) if i != vocabulary.boundary and not vocabulary.text([i])
        ]  # blank and special symbols

    def read(self, name: str, stretch: Stretch) -> Line | None:
        """The words of a stretch; None when there are none.

        Args:
            name: of the recording, for messages.
            stretch: some of it.

        Raises:
            DataError: the model gave NaN.
        """
        times = FrameTimes(self._times.step, self._times.first + stretch.start * self._times.step)
        end = times.start(len(stretch.emission))
        if np.isnan(stretch.emission).any():
            raise DataError("the model gave NaN for this audio", where=name, mend="look at the audio and the model")
        path = stretch.emission.argmax(axis=1)
        path[np.isin(path, self._unwritten)] = Vocabulary.blank
        words = _joined(letter_spans(path, stretch.emission, self._vocabulary, times, end))
        if self._beam:
            text = self._beam.decode(name, stretch.emission)[0].text
            if text.split() != [word.text for word in words]:
                words = align_utterance(name, stretch.emission, text, self._vocabulary, times, end).words
        return Line(words) if words else None


def _joined(letters: Sequence[Span]) -> list[Span]:
    """Words of letters with boundaries between them."""
    groups = (list(group) for is_boundary, group in groupby(letters, lambda s: s.text == BOUNDARY) if not is_boundary)
    return [word_span("".join(letter.text for letter in group), group) for group in groups]
