"""Words of a segment of speech with their times and confidences, greedily or with a language model.

A word lasts from the first frame of its first letter to the last frame of its last, as in `sew align`. Its confidence is the
geometric mean of its letters' confidences, and a letter's is the geometric mean of the probability that the model gives it in
the frames where it is written: 1 is certain. It is not a calibrated probability that the word is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sewcli.alignment.alignment import FrameTimes, align_utterance, letter_spans, word_span
from sewcli.alignment.writers import Span
from sewcli.base.errors import DataError
from sewcli.decoding.beam import BeamDecoder
from sewcli.decoding.greedy import collapse
from sewcli.text.tokens import Vocabulary
from sewcli.transcription.segments import Segment


@dataclass(frozen=True)
class Line:
    """The words of one segment of speech; at least one."""

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


class SegmentDecoder:
    """Writes down what is said in a segment.

    Args:
        vocabulary: of the emissions.
        times: of the model.
        beam: the search with a language model; None is greedy.
    """

    def __init__(self, vocabulary: Vocabulary, times: FrameTimes, beam: BeamDecoder | None = None) -> None:
        self._vocabulary, self._times, self._beam = vocabulary, times, beam
        self._silent, self._boundaries = sorted(vocabulary.silent), sorted(vocabulary.boundaries)

    def read(self, name: str, segment: Segment) -> Line | None:
        """The words of a segment; None when there are none.

        Args:
            name: of the recording, for messages.
            segment: some of it.

        Raises:
            DataError: the model gave NaN.
        """
        times = FrameTimes(self._times.step, self._times.first + segment.start * self._times.step)
        end = times.start(len(segment.emission))
        if np.isnan(segment.emission).any():
            raise DataError(
                "nan-emissions", "the model gave NaN for this audio", where=name, hint="look at the audio and the model"
            )
        path = segment.emission.argmax(axis=1)
        path[np.isin(path, self._silent)] = self._vocabulary.blank
        words = self._words(
            collapse(path, self._vocabulary.blank), letter_spans(path, segment.emission, self._vocabulary, times, end)
        )
        if self._beam:
            text = self._beam.decode(name, segment.emission)[0].text
            if text.split() != [word.text for word in words]:
                words = align_utterance(name, segment.emission, text, self._vocabulary, times, end).words
        return Line(words) if words else None

    def _words(self, labels: Sequence[int], letters: Sequence[Span]) -> list[Span]:
        """Words of labels and their spans, parted at boundaries, written as the model's texts are."""
        groups: list[list[tuple[int, Span]]] = [[]]
        for label, letter in zip(labels, letters, strict=True):
            if label in self._boundaries or (self._vocabulary.separated and groups[-1]):
                groups.append([])
            if label not in self._boundaries:
                groups[-1].append((label, letter))
        words = [
            word_span(self._vocabulary.text([label for label, _ in group]), [letter for _, letter in group])
            for group in groups
            if group
        ]
        return _as_written(words, self._vocabulary.polished(" ".join(word.text for word in words)).split())


def _as_written(words: Sequence[Span], written: Sequence[str]) -> list[Span]:
    """The words of a text of which blanks were taken away: those that were joined are one."""
    joined: list[Span] = []
    held: list[Span] = []
    for word in words:
        held.append(word)
        text = "".join(span.text for span in held)
        if len(joined) < len(written) and text == written[len(joined)]:
            joined.append(word_span(text, [letter for span in held for letter in span.letters]))
            held = []
    return joined if not held else list(words)
