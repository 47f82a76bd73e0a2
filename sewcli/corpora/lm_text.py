"""Text for language models that a corpus brings beside its transcripts: normalised once, where `sew lm ngram` finds it."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path

from sewcli.base.files import TEMPORARY, atomic_path, write_text
from sewcli.base.log import info, track

FOLDER, TEXT, VOCABULARY = "lm", "text.txt.gz", "vocabulary.txt"


def write_lm_text(
    out: Path, sentences: Iterable[str] | None, vocabulary: Sequence[str] | None, *, force: bool = False
) -> None:
    """Write `lm/text.txt.gz`, a sentence a line, and `lm/vocabulary.txt`, a word a line, below `out`.

    A text that is there is kept: it is written last and whole.

    Args:
        out: the prepared corpus.
        sentences: normalised; None where the corpus brings no text.
        vocabulary: the only words a language model of it is to know; None sets no limit.
        force: write them again.

    Raises:
        DataError: a source cannot be read.
        UsageError: the folder cannot be written, or the disk is full.
    """
    text, words = out / FOLDER / TEXT, out / FOLDER / VOCABULARY
    for path in (text, words):  # not all: an n-gram model may be written beside them right now
        for leftover in path.parent.glob(f"{TEMPORARY}*-{path.name}"):
            leftover.unlink(missing_ok=True)
    if text.is_file() and not force:
        info(f"{text}: written already")
        return
    if vocabulary is not None:
        write_text(words, "".join(f"{word}\n" for word in vocabulary))
    if sentences is not None:
        with (
            atomic_path(text) as temporary,
            open(temporary, "wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        ):
            packed.writelines(f"{line}\n".encode() for line in track(sentences, "language-model text") if line)
