"""Text as the symbols of a recogniser, for language models of letters: `THE CAT` is `T H E | C A T |`.

Every word ends with its boundary, the last too: a search without a lexicon ends its words in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from sewcli.base import log
from sewcli.text.tokens import Vocabulary

BOUNDARY = "|"


def spelled(sentences: Iterable[list[str]], vocabulary: Vocabulary) -> Iterator[list[str]]:
    """The symbols of each sentence; words with others are left out, and counted in a warning."""
    missing: dict[str, int] = {}

    @lru_cache(maxsize=1 << 17)
    def symbols(word: str) -> tuple[str, ...]:
        return () if vocabulary.outside(word) else (*(vocabulary.tokens[i] for i in vocabulary.encode(word)), BOUNDARY)

    for words in sentences:
        found: list[str] = []
        for word in words:
            own = symbols(word)
            found += own
            if not own:
                missing[word] = missing.get(word, 0) + 1
        if found:
            yield found
    if missing:
        shown = ", ".join(map(repr, list(missing)[:5]))
        log.warn(f"{sum(missing.values()):,} words cannot be spelled in letters and are left out: {shown}")
