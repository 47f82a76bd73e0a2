"""A language model of flashlight's with words that it does not know and phrases that shall be likelier.

A new word has the score of `<unk>` in its context, moved so that its unigram probability is the one given: what an ARPA file
with one more unigram would say, back-offs and all, but for any binary too. Phrases are paid for by a `PhraseGraph`, in log10.
flashlight asks a model some 30 times a second of speech, so this one may be in Python: a search takes 1.2 to 1.3 times as long.
States are the wrapped model's: one for each history, which flashlight keeps apart by their identity.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from flashlight.lib.text.decoder import LM

from sewcli.decoding.phrase_graph import START, PhraseGraph


class BiasedLM(LM):  # type: ignore[misc]
    """`model` with a bias.

    Args:
        model: of flashlight.
        moved: log10 that is added to the score of an index: of new words.
        units: what each index is in the graph.
        graph: of the phrases.
        begin: its state before an utterance.
    """

    def __init__(
        self,
        model: Any,
        moved: Mapping[int, float],
        units: Sequence[Hashable],
        graph: PhraseGraph,
        begin: int = START,
    ) -> None:
        super().__init__()
        self._model, self._moved, self._units, self._graph, self._begin = model, moved, units, graph, begin
        self._places: dict[Any, int] = {}  # of the histories of an utterance in the graph

    def start(self, start_with_nothing: bool) -> Any:
        """The state before an utterance; those of the one before are forgotten."""
        state = self._model.start(start_with_nothing)
        self._places = {state: self._begin}
        return state

    def score(self, state: Any, index: int) -> tuple[Any, float]:
        """The state after one more word, and log10 of its probability with all bonuses."""
        there, score = self._model.score(state, index)
        self._places[there], bonus = self._graph.step(self._places[state], self._units[index])
        return there, score + self._moved.get(index, 0.0) + bonus

    def finish(self, state: Any) -> tuple[Any, float]:
        """The state after the end of the text."""
        there, score = self._model.finish(state)
        return there, score + self._graph.end(self._places[state])
