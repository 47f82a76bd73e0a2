"""Whose symbols a language model is for: `--vocab`, else those of the prepared corpus, else the 28 of English."""

from __future__ import annotations

from pathlib import Path

from sewcli.artifacts.experiment_folder import MODEL
from sewcli.base.errors import UsageError
from sewcli.text.tokens import FILE, Vocabulary

ENGLISH = "the 28 English letters of the published models"


def symbols_for(data: Path, given: Path | None) -> tuple[Vocabulary, str]:
    """The symbols, and where they come from.

    Args:
        data: folder of the prepared corpus.
        given: vocab.json, a text file with a symbol a line, a model's folder or an experiment; None looks for
            `data/vocab.json`.

    Raises:
        UsageError: what is given is not there.
        DataError: it cannot be read.
    """
    if given is None:
        own = Vocabulary.beside(data)
        return (own, str(data / FILE)) if own else (Vocabulary.letters(), ENGLISH)
    places = (given / MODEL, given) if given.is_dir() else (given,)
    found = next((place for place in places if place.is_file() or (place / FILE).is_file()), None)
    if found is None:
        raise UsageError(
            "vocabulary-not-found",
            f"no {FILE} here" if given.is_dir() else "no such vocabulary",
            where=given,
            hint=f"--vocab takes {FILE}, a text file with a symbol a line, a model's folder or an experiment",
        )
    return Vocabulary.read(found), str(found)
