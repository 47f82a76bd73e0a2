"""Beam search without a lexicon: any letters in any order, under an n-gram model of letters or none (Likhomanenko et al. 2019).

score = acoustic + lm_weight * log10 p(letters), where a letter model's sentence is `T H E | C A T |`. A word score has no
place here: flashlight would add it for every frame of a boundary. Emissions are float32 log-probabilities (T, V).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sewcli.base.errors import DataError
from sewcli.decoding.beam import IMPOSSIBLE, BeamOptions, Search
from sewcli.decoding.bias import letter_patterns
from sewcli.decoding.greedy import collapse
from sewcli.decoding.phrase_graph import START, PhraseGraph
from sewcli.lm.kenlm import load_lm
from sewcli.lm.letters import letter_names
from sewcli.lm.lexicon import BOUNDARY
from sewcli.lm.ngram import UNKNOWN
from sewcli.text.tokens import Vocabulary


class LexiconFreeDecoder(Search):
    """The search over letters.

    Args:
        model: an n-gram model of the vocabulary's symbols; None searches without one.
        vocabulary: symbols of the emissions.
        options: settings of the search.
        boost: a file of phrases that it finds likelier.

    Raises:
        DataError: a file cannot be read, the model does not know the letters, or no phrase can be said.
    """

    def __init__(
        self, model: Path | None, vocabulary: Vocabulary, options: BeamOptions, boost: Path | None = None
    ) -> None:
        from flashlight.lib.text.decoder import ZeroLM
        from flashlight.lib.text.dictionary import Dictionary

        self._silent = sorted(vocabulary.silent - {vocabulary.blank})
        if model is None:
            self._lm = ZeroLM()
        else:
            tokens = Dictionary()
            for token in letter_names(vocabulary):
                tokens.add_entry(token)
            tokens.add_entry(f"no such {UNKNOWN}")
            self._lm = load_lm(model, tokens)
            self._require_letters(model, vocabulary)
        if boost is not None:
            self._lm = _boosted(self._lm, boost, vocabulary)
        super().__init__(vocabulary, options, scored=model is not None or boost is not None)

    def _new_decoder(self) -> Any:
        from flashlight.lib.text.decoder import LexiconFreeDecoder as Decoder
        from flashlight.lib.text.decoder import LexiconFreeDecoderOptions

        options = LexiconFreeDecoderOptions(**self._shared_options())
        return Decoder(options, self._lm, self._silence, self.vocabulary.blank, [])

    def _labels(self, result: Any) -> list[int]:
        labels: list[int] = result.tokens
        return labels

    def _text(self, labels: list[int]) -> str:
        return self.vocabulary.text(
            collapse(np.array(labels[1:-1]), self.vocabulary.blank)
        )  # without those before the first frame and of the end

    def _checked(self, name: str, emission: np.ndarray) -> np.ndarray:
        """Symbols that no text has are closed: a model of letters may find `<s>` certain, and flashlight would write it."""
        frames = super()._checked(name, emission)
        frames[:, self._silent] = IMPOSSIBLE
        return frames

    def _require_letters(self, model: Path, vocabulary: Vocabulary) -> None:
        start = self._lm.start(False)
        unknown = self._lm.score(start, len(vocabulary))[1]
        closed = {vocabulary.blank, *self._silent}
        strangers = [
            token
            for index, token in enumerate(letter_names(vocabulary))
            if index not in closed and self._lm.score(start, index)[1] == unknown
        ]
        if vocabulary.boundary is not None and BOUNDARY in strangers:
            raise DataError(
                "not-a-letter-lm",
                "it is no model of letters: it does not know the word boundary '|'",
                where=model,
                hint="sew lm ngram --unit letter --order 6, or leave out --lexicon-free",
            )
        if len(strangers) > len(vocabulary) / 2:
            raise DataError(
                "not-a-letter-lm",
                f"it knows few of the letters of the recogniser (not {', '.join(map(repr, strangers[:5]))})",
                where=model,
                hint="letters must be in the same case: sew lm ngram --unit letter, from text in the case of the transcripts",
            )


def _boosted(model: Any, boost: Path, vocabulary: Vocabulary) -> Any:
    from sewcli.decoding.biased_lm import BiasedLM

    graph = PhraseGraph(letter_patterns(boost, vocabulary))
    begin = START if vocabulary.boundary is None else graph.step(START, vocabulary.boundary)[0]
    return BiasedLM(model, {}, range(len(vocabulary) + 1), graph, begin)
