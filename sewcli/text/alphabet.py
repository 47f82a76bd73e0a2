"""The alphabet of one's own data: symbols of the training transcripts, how often each stands there, examples of rare ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sewcli.base.errors import DataError
from sewcli.text.token_roles import SPECIAL, roles_by_names
from sewcli.text.tokens import Vocabulary

RARE = 10  # occurrences below which a symbol is learned from too few examples, if it is not a typing error
SPELLED = (
    500  # symbols from which on a letter model is one of characters (Chinese), and rare ones are not worth a warning
)


@dataclass(frozen=True)
class Alphabet:
    """The symbols of some texts.

    Args:
        counts: how often each stands in them.
        examples: of each rare symbol, an utterance that has it.
        phones: whether symbols stand between blanks.
    """

    counts: Counter[str]
    examples: dict[str, str]
    phones: bool = False

    @property
    def rare(self) -> dict[str, str]:
        """Rare symbols with an example each, the rarest first; none of a script of thousands of characters."""
        if len(self.counts) > SPELLED:
            return {}
        ordered = sorted(self.counts, key=lambda symbol: (self.counts[symbol], symbol))
        return {symbol: self.examples[symbol] for symbol in ordered if self.counts[symbol] < RARE}

    @property
    def vocabulary(self) -> Vocabulary:
        """A vocabulary of them, the most frequent first; a function of the counts alone."""
        ordered = sorted(self.counts, key=lambda symbol: (-self.counts[symbol], symbol))
        if self.phones:
            tokens = (*SPECIAL[:-1], *ordered)
            return Vocabulary(tokens, roles_by_names(tokens, separated=True))
        return Vocabulary((*SPECIAL, *ordered))


def alphabet(texts: Iterable[tuple[str, str]], *, phones: bool = False) -> Alphabet:
    """The alphabet of texts.

    Args:
        texts: pairs of an utterance's name and its text.
        phones: whether symbols stand between blanks.

    Raises:
        DataError: there is no text, or a symbol looks like a special one (`<pad>`).

    >>> alphabet([("u1", "ab ba"), ("u2", "a")]).counts
    Counter({'a': 3, 'b': 2})
    """
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for name, text in texts:
        words = text.split()
        symbols = words if phones else [character for word in words for character in word]
        counts.update(symbols)
        for symbol in symbols:
            examples.setdefault(symbol, name)
    if not counts:
        raise DataError("no-text", "no transcript, and so no alphabet", hint="the first split needs transcripts")
    if taken := next((symbol for symbol in counts if symbol in SPECIAL), None):
        raise DataError(
            "special-symbol",
            f"{taken!r} in a transcript means something else to a vocabulary",
            where=examples[taken],
            hint="take it out of the text",
        )
    return Alphabet(counts, examples, phones)
