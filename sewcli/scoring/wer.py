"""Word and character error rates by minimum edit distance (jiwer). Rates are fractions of the reference's words or characters.

The total of errors is the number to report; its split into substitutions, deletions and insertions depends on how ties of
the alignment are broken, so other tools may split the same total otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import jiwer

from sewcli.base.errors import DataError
from sewcli.text.form import one_form


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


LARGEST = 5e10  # pairs of units that are compared: measured 0.5e9 a second
LONGEST = 2_000_000  # words or characters of a text: three weeks of speech, or two days

Pair = tuple[str | None, str | None]
"""A word of the reference and of the hypothesis; None where one has none."""


@dataclass(frozen=True)
class WordErrors:
    """Errors of a corpus, and of each of its utterances in their order."""

    total: Counts
    utterances: tuple[Counts, ...]
    alignments: tuple[tuple[Pair, ...], ...]

    @property
    def wer(self) -> float:
        """Of the corpus."""
        return self.total.wer

    @property
    def sentence_error_rate(self) -> float:
        """The share of utterances with any error."""
        return sum(c.errors > 0 for c in self.utterances) / len(self.utterances)


def word_errors(references: Sequence[str], hypotheses: Sequence[str], names: Sequence[str] | None = None) -> WordErrors:
    """Align pairs of texts, word by word; case and punctuation count, kinds of white space and of Unicode form do not.

    names: of the utterances, for messages.

    Raises:
        DataError: no utterances, another number of hypotheses than of references, or texts too long to be aligned.
    """
    _check(references, hypotheses)
    written, said = (list(map(one_form, texts)) for texts in (references, hypotheses))
    _require_sizes([[text.count(" ") + 1 for text in texts] for texts in (written, said)], "words", names)
    output = jiwer.process_words(written, said)
    texts = zip(output.references, output.hypotheses, output.alignments, strict=True)
    alignments = tuple(tuple(_pairs(*text)) for text in texts)
    utterances = tuple(
        _counts(words, chunks) for words, chunks in zip(output.references, output.alignments, strict=True)
    )
    return WordErrors(sum_counts(utterances), utterances, alignments)


def character_errors(
    references: Sequence[str], hypotheses: Sequence[str], names: Sequence[str] | None = None
) -> tuple[Counts, ...]:
    """Of each utterance, as in `word_errors`: characters, blanks between words included; `words` counts characters.

    Raises:
        DataError: as `word_errors`.
    """
    _check(references, hypotheses)
    written, said = (list(map(one_form, texts)) for texts in (references, hypotheses))
    _require_sizes([list(map(len, texts)) for texts in (written, said)], "characters", names)
    output = jiwer.process_characters(written, said)
    return tuple(_counts(text, chunks) for text, chunks in zip(output.references, output.alignments, strict=True))


def sum_counts(counts: Iterable[Counts]) -> Counts:
    """The errors of all of them."""
    together = list(counts)
    fields = ("words", "hits", "substitutions", "deletions", "insertions")
    return Counts(*(sum(getattr(c, field) for c in together) for field in fields))


def _check(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    if not references or len(references) != len(hypotheses):
        raise DataError(
            "systems-differ", f"{len(references)} references and {len(hypotheses)} hypotheses cannot be compared"
        )


def _require_sizes(sizes: Sequence[Sequence[int]], units: str, names: Sequence[str] | None) -> None:
    """Refuse what would take minutes and gigabytes: one broken line would hold up all others."""
    for number, (written, said) in enumerate(zip(*sizes, strict=True)):
        if written * said > LARGEST or max(written, said) > LONGEST:
            raise DataError(
                "too-long-to-align",
                f"a reference of {written:,} and a hypothesis of {said:,} {units} are too long to be compared",
                where=names[number] if names else f"text {number + 1}",
                hint="is this the text of one utterance? correct it, or cut the recording into segments",
            )


def _pairs(
    reference: Sequence[str], hypothesis: Sequence[str], chunks: Sequence[jiwer.AlignmentChunk]
) -> Iterator[Pair]:
    for chunk in chunks:
        words = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        said = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        yield from zip_longest(words, said)


def _counts(words: Sequence[str], chunks: Sequence[jiwer.AlignmentChunk]) -> Counts:
    sizes = dict.fromkeys(("equal", "substitute", "delete", "insert"), 0)
    for chunk in chunks:
        if chunk.type == "insert":
            sizes["insert"] += chunk.hyp_end_idx - chunk.hyp_start_idx
        else:
            sizes[chunk.type] += chunk.ref_end_idx - chunk.ref_start_idx
    return Counts(len(words), *sizes.values())
