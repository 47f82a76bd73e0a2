"""Word error rate by minimum edit distance (jiwer). Rates are fractions of the reference words.

The total of errors is the number to report; its split into substitutions, deletions and insertions depends on how ties of
the alignment are broken, so other tools may split the same total otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

from sewcli.base.errors import DataError


@dataclass(frozen=True)
class Counts:
    """Errors in one utterance or a whole corpus. `words` is the number of reference words."""

    words: int
    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def errors(self) -> int:
        """All of them."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Errors a reference word; an empty reference has rate 0 if nothing was said, else 1, as in jiwer."""
        return self.errors / self.words if self.words else float(self.errors > 0)


@dataclass(frozen=True)
class WordErrors:
    """Errors of a corpus, and of each of its utterances in their order."""

    total: Counts
    utterances: tuple[Counts, ...]

    @property
    def wer(self) -> float:
        """Of the corpus."""
        return self.total.wer

    @property
    def sentence_error_rate(self) -> float:
        """The share of utterances with any error."""
        return sum(c.errors > 0 for c in self.utterances) / len(self.utterances)


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Align pairs of texts, word by word; case and punctuation count.

    Raises:
        DataError: no utterances, or another number of hypotheses than of references.
    """
    if not references or len(references) != len(hypotheses):
        raise DataError(f"{len(references)} references and {len(hypotheses)} hypotheses cannot be compared")
    output = jiwer.process_words(list(references), list(hypotheses))
    utterances = tuple(
        _counts(words, chunks) for words, chunks in zip(output.references, output.alignments, strict=True)
    )
    fields = ("words", "hits", "substitutions", "deletions", "insertions")
    return WordErrors(Counts(*(sum(getattr(c, field) for c in utterances) for field in fields)), utterances)


def _counts(words: Sequence[str], chunks: Sequence[jiwer.AlignmentChunk]) -> Counts:
    sizes = dict.fromkeys(("equal", "substitute", "delete", "insert"), 0)
    for chunk in chunks:
        if chunk.type == "insert":
            sizes["insert"] += chunk.hyp_end_idx - chunk.hyp_start_idx
        else:
            sizes[chunk.type] += chunk.ref_end_idx - chunk.ref_start_idx
    return Counts(len(words), *sizes.values())
