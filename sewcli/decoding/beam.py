"""Beam search with an n-gram model: flashlight's decoder and its own KenLM, behind guards; here over a lexicon.

score = acoustic + lm_weight * log10 p(words) + word_score * number of words. Emissions are float32 natural-log
probabilities (T, V). Beam and weights are the papers' (SEW section 4.1: 50, 2 and -1); how little of the beam's surroundings
is searched is chosen for speed at equal word error rate (benchmarks/lm_decoding.py).
flashlight reads a raw pointer and says nothing of bad input; what it must not be given is refused here.
"""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from sewcli.base import log
from sewcli.base.config import Config
from sewcli.base.errors import DataError
from sewcli.decoding.bias import new_entries, word_patterns
from sewcli.decoding.nbest import LN10, Hypothesis
from sewcli.decoding.phrase_graph import PhraseGraph
from sewcli.decoding.weights import Weights
from sewcli.lm.bias import NO_BIAS, Bias
from sewcli.lm.files import LanguageModelFiles
from sewcli.lm.kenlm import load_lm
from sewcli.lm.lexicon import Entry, read_lexicon
from sewcli.lm.ngram import UNKNOWN
from sewcli.text.tokens import Vocabulary

IMPOSSIBLE = -1e4  # log-probability of what the added end frame must not emit; infinities would spoil sums
BYTES_PER_STATE = 112  # measured: 0.56 GB for 2000 s at beam 50
PIECE = 32 << 20  # bytes that the beams of a piece may take: more frames than fit are searched piece by piece,
LEAST = 1800  # but this many frames, 36 s, always in one: longer than any utterance of LibriSpeech
ROOM, ROOM_BY_WEIGHT = 10.0, 2.5  # nats; the second for each unit of the language model's weight
LIST_ROOM, LIST_TOKENS = 10.0, 2  # a list of hypotheses needs more room, and more symbols by this factor
UNSURE = 0.99  # a frame is unsure whose best symbol has less
MISSED = 0.02  # of the probability of such frames, which the symbols that are not tried may have
LOOKED_AT = 256  # unsure frames of an utterance, at most, that tell how many symbols to try


class BeamOptions(Config):
    """Settings of the search."""

    beam: int = 50
    beam_tokens: int | None = 5  # symbols tried a frame, more where the model is unsure; None is all of them
    threshold: float | None = None  # hypotheses this far below the best are dropped; None is enough for the weights
    lm_weight: float = 2.0  # on log10 probabilities
    word_score: float = -1.0  # added for every word
    log_add: bool = False  # sum the paths of a hypothesis instead of keeping the best
    nbest: int | None = None  # hypotheses of an utterance to keep; None is the best one alone
    lexicon_free: bool = False  # any letters, without a lexicon; words are then not counted, and have no score
    search: Literal["sew", "wav2letter"] = "sew"  # wav2letter: exactly the papers' decoder, with `WAV2LETTER`

    @model_validator(mode="after")
    def _is_the_papers(self) -> BeamOptions:
        if self.search == "wav2letter" and (self.lexicon_free or self.log_add or not self.exhaustive):
            raise ValueError("search = wav2letter goes with a lexicon, all symbols, a threshold of 25, and best paths")
        return self

    @property
    def exhaustive(self) -> bool:
        """Whether it searches as widely as flashlight does where nobody tells it not to."""
        return (self.beam_tokens, self.threshold) == (EXHAUSTIVE["beam_tokens"], EXHAUSTIVE["threshold"])

    @property
    def weights(self) -> Weights:
        """What `sew tune` tunes."""
        return Weights(self.lm_weight, self.word_score)

    def reach(self, weights: Weights) -> float:
        """How far below the best a hypothesis may be under these weights, in nats.

        What a model of words adds to a hypothesis differs the more between hypotheses the more it weighs.
        """
        room = ROOM + ROOM_BY_WEIGHT * max(weights.lm_weight, 0.0) + (LIST_ROOM if self.lists else 0.0)
        return room if self.threshold is None else self.threshold

    @property
    def lists(self) -> bool:
        """Whether more than the best hypothesis is wanted: of the others, many a good one is far behind."""
        return (self.nbest or 1) > 1

    def settings(self) -> dict[str, Any]:
        """All of them, with the threshold that is used."""
        return {**self.model_dump(), "threshold": self.reach(self.weights)}


EXHAUSTIVE: dict[str, Any] = {"beam_tokens": None, "threshold": 25.0}  # the usual settings of flashlight
WAV2LETTER: dict[str, Any] = {**EXHAUSTIVE, "search": "wav2letter"}
"""wav2letter of 2020 (96f5f9d) as fairseq called it for wav2vec 2.0 and SEW: the silence is the blank, so that words are parted
by what their spellings end with alone; and no frame is added to end the last word."""


class Search(ABC):
    """One of flashlight's decoders, for any number of utterances, by one thread.

    Args:
        vocabulary: symbols of the emissions.
        options: settings of the search.
        scored: whether there is a language model.
    """

    def __init__(self, vocabulary: Vocabulary, options: BeamOptions, *, scored: bool = True) -> None:
        self.vocabulary, self.options = vocabulary, options
        self._scored = scored
        self._silence = vocabulary.blank if options.search == "wav2letter" else silence_of(vocabulary)
        self._weights, self._tokens = options.weights, len(vocabulary)
        self._decoder = self._new_decoder()

    @abstractmethod
    def _new_decoder(self) -> Any:
        """flashlight's decoder with the weights of now."""

    @abstractmethod
    def _labels(self, result: Any) -> list[int]:
        """What the text of a result is made of: a label for each frame of the buffer, and one for the frame before it."""

    @abstractmethod
    def _text(self, labels: list[int]) -> str:
        """The text of the labels of all frames."""

    def decode(self, name: str, emission: np.ndarray, weights: Weights | None = None) -> list[Hypothesis]:
        """The best hypotheses, best first: at least one, at most `options.nbest` (a beam holds few complete texts).

        Args:
            name: the utterance, for messages.
            emission: (T, V) log-probabilities.
            weights: others than those of the options.

        Raises:
            DataError: not emissions of this model.
        """
        frames = self._checked(name, emission)
        if not len(emission):
            return [Hypothesis("", 0.0, 0.0)]
        wanted = (weights or self.options.weights, self.tokens(emission))
        if wanted != (self._weights, self._tokens):
            self._weights, self._tokens = wanted
            self._decoder = self._new_decoder()
        results, begun, offset = self._results(frames)
        if not results:
            raise DataError(
                "search-failed", "the search ended without a hypothesis", where=name, hint="a larger --beam"
            )
        found: dict[str, Hypothesis] = {}
        for result in results:  # best first: of one text the best stays
            text = self._text(begun + self._labels(result))
            lm = result.lmScore * LN10 if self._scored else None
            found.setdefault(text, Hypothesis(text, result.score + offset, result.emittingModelScore, lm))
            if len(found) == (self.options.nbest or 1):
                break
        return list(found.values())

    def tokens(self, emission: np.ndarray) -> int:
        """How many symbols are tried a frame: `options.beam_tokens`, doubled until the others are improbable in unsure frames.

        Most recognisers need no more; one that was trained on minutes of speech and is unsure of most frames would lose words.
        """
        size = len(self.vocabulary)
        count = min((self.options.beam_tokens or size) * (LIST_TOKENS if self.options.lists else 1), size)
        unsure = np.flatnonzero(emission.max(axis=1) < math.log(UNSURE))
        if count == size or not len(unsure):
            return count
        probabilities = np.exp(emission[unsure[:: -(-len(unsure) // LOOKED_AT)]])
        while count < size:
            tried = np.partition(probabilities, size - count, axis=1)[:, size - count :]
            if 1.0 - tried.sum(axis=1).mean() <= MISSED:
                return count
            count = min(2 * count, size)
        return size

    def _results(self, frames: np.ndarray) -> tuple[list[Any], list[int], float]:
        """flashlight's hypotheses, the labels of frames that it has forgotten, and the part of the scores that it has.

        It keeps the beams of all frames. So a long utterance is searched in pieces, and after each older frames are forgotten:
        half a piece later, what was said there is settled.
        """
        decoder, size = self._decoder, len(self.vocabulary)
        whole = self.options.search == "wav2letter"
        if whole or len(frames) <= (piece := max(LEAST, PIECE // (self.options.beam * BYTES_PER_STATE))):
            # flashlight keeps no reference: `frames` must live until it returns
            return decoder.decode(frames.ctypes.data, len(frames), size), [], 0.0
        begun: list[int] = []
        offset = 0.0
        decoder.decode_begin()
        for start in range(0, len(frames), piece):
            if start:
                forgotten, score = self._forget(decoder, piece // 2)
                begun, offset = begun + forgotten, offset + score
            rows = frames[start : start + piece]
            decoder.decode_step(rows.ctypes.data, len(rows), size)
        decoder.decode_end()
        return decoder.get_all_final_hypothesis(), begun, offset

    def _forget(self, decoder: Any, kept: int) -> tuple[list[int], float]:
        """Forget all but the last frames; returns the others' labels in the best hypothesis, and what is taken from all scores.

        Hypotheses that have other labels there go on with their scores.
        """
        best = max(decoder.get_all_final_hypothesis(), key=lambda result: result.score)
        decoder.prune(kept)  # flashlight keeps some more, to the end of a word
        left = decoder.get_all_final_hypothesis()
        labels = self._labels(best)
        return labels[: len(labels) - len(self._labels(left[0]))], best.score - max(result.score for result in left)

    def _checked(self, name: str, emission: np.ndarray) -> np.ndarray:
        """float32, contiguous, finite where it must be, and with an end frame (not in `wav2letter`)."""
        size = len(self.vocabulary)
        if emission.ndim != 2 or emission.shape[1] != size:
            raise DataError(
                "emissions-misfit",
                f"emissions of shape {emission.shape}, the vocabulary has {size} symbols",
                where=name,
            )
        if np.isnan(emission).any() or np.isposinf(emission).any():
            raise DataError(
                "nan-emissions",
                "the model gave NaN or infinity for this audio",
                where=name,
                hint="look at the audio and the model",
            )
        if len(emission) and np.isneginf(emission.max(axis=1)).any():
            raise DataError("nan-emissions", "a frame in which every symbol is impossible", where=name)
        if self.options.search == "wav2letter":
            return np.ascontiguousarray(emission, dtype=np.float32)
        # A word counts only with its boundary, which models emit between words, not at the end: one more frame, in which
        # a boundary and a blank cost nothing, ends the last word at no price.
        end = np.full((1, size), IMPOSSIBLE, dtype=np.float32)
        end[0, [self.vocabulary.blank, self._silence]] = 0.0
        return np.ascontiguousarray(np.concatenate([emission, end]), dtype=np.float32)

    def _shared_options(self) -> dict[str, Any]:
        """Options that all of flashlight's decoders have."""
        from flashlight.lib.text.decoder import CriterionType

        return {
            "beam_size": self.options.beam,
            "beam_size_token": self._tokens,
            "beam_threshold": self.options.reach(self._weights),
            "lm_weight": self._weights.lm_weight,
            "sil_score": 0.0,
            "log_add": self.options.log_add,
            "criterion_type": CriterionType.CTC,
        }


def silence_of(vocabulary: Vocabulary) -> int:
    """What may repeat between words: their boundary, or the blank where there is none (phones)."""
    return vocabulary.blank if vocabulary.boundary is None else vocabulary.boundary


class BeamDecoder(Search):
    """The search over a lexicon.

    Args:
        files: the language model and its lexicon.
        vocabulary: symbols of the emissions.
        options: settings of the search.
        bias: words and phrases beside them.

    Raises:
        DataError: a file cannot be read, the model knows less than half of the lexicon's words, or no phrase can be said.
    """

    def __init__(
        self, files: LanguageModelFiles, vocabulary: Vocabulary, options: BeamOptions, bias: Bias = NO_BIAS
    ) -> None:
        from flashlight.lib.text.decoder import SmearingMode, Trie
        from flashlight.lib.text.dictionary import Dictionary

        listed = read_lexicon(files.lexicon, vocabulary)
        new = new_entries(listed, bias.words, vocabulary)
        entries = [*listed, *new]
        self._texts = _texts(entries, vocabulary)
        self._words = Dictionary()
        for word in dict.fromkeys(entry.word for entry in entries):
            self._words.add_entry(word)
        self._unknown = self._words.index_size()
        self._words.add_entry(UNKNOWN)
        self._lm = load_lm(files.model, self._words)
        scores = self._word_scores(files, listed)
        if bias:
            self._lm = self._biased(new, bias.boost, vocabulary)
            scores = self._first_scores(entries)
        self._trie = Trie(len(vocabulary), silence_of(vocabulary))  # the symbol of the root, which no search looks at
        for entry in entries:
            self._trie.insert(list(entry.spelling), self._words.get_index(entry.word), scores[entry.word])
        self._trie.smear(SmearingMode.MAX)
        super().__init__(vocabulary, options)

    def _labels(self, result: Any) -> list[int]:
        labels: list[int] = result.words
        return labels

    def _text(self, labels: list[int]) -> str:
        return " ".join(self._texts[self._words.get_entry(word)] for word in labels if word >= 0)

    def _word_scores(self, files: LanguageModelFiles, entries: list[Entry]) -> dict[str, float]:
        """Those of `_first_scores`; tells whether lexicon and model know each other."""
        unknown = self._lm.score(self._lm.start(False), self._unknown)[1]
        scores = self._first_scores(entries)
        strangers = [word for word, score in scores.items() if score == unknown]
        if strangers:
            error = _not_one_text(files, strangers, len(scores))
            if len(strangers) > len(scores) / 2:
                raise error
            log.warn(str(error))
        return scores

    def _first_scores(self, entries: list[Entry]) -> dict[str, float]:
        """log10 p(word | <s>) of each word, for the look-ahead."""
        start = self._lm.start(False)
        return {entry.word: self._lm.score(start, self._words.get_index(entry.word))[1] for entry in entries}

    def _biased(self, new: Mapping[Entry, float | None], boost: Path | None, vocabulary: Vocabulary) -> Any:
        """The language model with new words and phrases."""
        from sewcli.decoding.biased_lm import BiasedLM

        alone = self._lm.start(True)  # without a context
        scores = [self._lm.score(alone, index)[1] for index in range(self._words.index_size())]
        unknown = scores[self._unknown]
        typical = statistics.median(score for score in scores if score != unknown)
        moved = {
            index: (typical if log10 is None else log10) - unknown
            for entry, log10 in new.items()
            if scores[index := self._words.get_index(entry.word)] == unknown
        }
        texts = [self._texts[self._words.get_entry(index)] for index in range(self._unknown)]
        graph = PhraseGraph(word_patterns(boost, texts, vocabulary))
        return BiasedLM(self._lm, moved, [*texts, UNKNOWN], graph)

    def _new_decoder(self) -> Any:
        from flashlight.lib.text.decoder import LexiconDecoder, LexiconDecoderOptions

        options = LexiconDecoderOptions(
            **self._shared_options(), word_score=self._weights.word_score, unk_score=float("-inf")
        )
        # The silence is what may repeat between words. With the blank in its place, as in the wav2letter of 2020, a boundary
        # that lasts two frames has no path and costs its acoustic price (measured: 5.6 nats).
        blank = self.vocabulary.blank
        return LexiconDecoder(options, self._trie, self._lm, self._silence, blank, self._unknown, [], False)


def _texts(entries: list[Entry], vocabulary: Vocabulary) -> dict[str, str]:
    """What each word of the language model is in a text: itself, or its spelling where the model is in another case."""
    if vocabulary.separated:  # words of a lexicon over phones
        return {e.word: e.word for e in entries}
    return {e.word: e.word if _is_written(e.word, vocabulary) else vocabulary.text(e.spelling) for e in entries}


def _is_written(word: str, vocabulary: Vocabulary) -> bool:
    return vocabulary.text_form(word) == word and not vocabulary.outside(word)


def _not_one_text(files: LanguageModelFiles, strangers: list[str], count: int) -> DataError:
    shown = ", ".join(map(repr, strangers[:3]))
    return DataError(
        "lm-knows-few-words",
        f"it knows {count - len(strangers) or 'none'} of the {count} words of {files.lexicon} (e.g. not {shown})",
        where=files.model,
        hint="model and lexicon must come from one text, in the same case: sew lm ngram writes both, side by side; "
        "sew transcribe takes another --lexicon",
    )
