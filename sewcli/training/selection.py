"""Which error rate chooses the best model: of words, of characters where blanks separate no words, of phones."""

from __future__ import annotations

from collections.abc import Sequence

from sewcli.base import log
from sewcli.scoring.wer import character_errors, sum_counts, word_errors
from sewcli.text.spacing import has_words
from sewcli.text.tokens import Vocabulary

WER, CER, PER, AUTO = "wer", "cer", "per", "auto"
NAMES = {WER: "Word error rate", CER: "Character error rate", PER: "Phone error rate"}


def chosen_rate(select: str, vocabulary: Vocabulary, references: Sequence[str]) -> str:
    """`wer`, `cer` or `per`, by the config's `select` and the validation transcripts.

    Args:
        select: "auto", "wer" or "cer"; of phones it is always their own rate.
        vocabulary: of the model.
        references: of the validation cuts.
    """
    if vocabulary.separated:
        return PER
    if select != AUTO:
        return select
    if has_words(map(vocabulary.text_form, references)):
        return WER
    log.info(
        "blanks separate no words in the validation transcripts: the character error rate chooses the best model "
        "(--set select=wer for the other)"
    )
    return CER


def error_rates(references: Sequence[str], hypotheses: Sequence[str], vocabulary: Vocabulary) -> dict[str, float]:
    """`wer` and `cer`, or of phones `per`; references are read in the form of the vocabulary's texts."""
    written = list(map(vocabulary.text_form, references))
    wer = word_errors(written, hypotheses).wer
    if vocabulary.separated:
        return {PER: wer}
    return {WER: wer, CER: sum_counts(character_errors(written, hypotheses)).wer}
