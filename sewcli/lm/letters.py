"""Text as the symbols of a recogniser, for language models of letters: `THE CAT` is `T H E | C A T |`.

Every word ends with its boundary, the last too: a search without a lexicon ends its words in the same way. A vocabulary
without a boundary (phones, `sh iy`) has its symbols alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from sewcli.lm.lexicon import BOUNDARY, report_unspelled
from sewcli.text.tokens import Vocabulary


def letter_names(vocabulary: Vocabulary) -> list[str]:
    """The symbols as a language model of letters knows them: themselves, and `|` for the boundary whatever its name."""
    return [BOUNDARY if i == vocabulary.boundary else token for i, token in enumerate(vocabulary.tokens)]


def spelled(sentences: Iterable[list[str]], vocabulary: Vocabulary) -> Iterator[list[str]]:
    """The symbols of each sentence; words with others are left out, and listed in a warning.

    Raises:
        DataError: more than a few words cannot be spelled. Raised after the last sentence.
    """
    missing: Counter[str] = Counter()
    total = 0

    @lru_cache(maxsize=1 << 17)
    def symbols(word: str) -> tuple[str, ...]:
        if vocabulary.outside(word):
            return ()
        end = () if vocabulary.boundary is None else (BOUNDARY,)
        return (*(names[i] for i in vocabulary.encode(word)), *end)

    names = letter_names(vocabulary)

    for words in sentences:
        found: list[str] = []
        total += len(words)
        for word in words:
            own = symbols(word)
            found += own
            if not own:
                missing[word] += 1
        if found:
            yield found
    report_unspelled([word for word, _ in missing.most_common()], missing.total(), total, vocabulary)
