"""Text files for language models: a sentence a line, gzipped or not, in the form of the vocabulary that they are for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from sewcli.artifacts.data_folder import text_name
from sewcli.base import log
from sewcli.base.texts import open_text
from sewcli.corpora.lm_text import TEXT
from sewcli.lm.counts import refuse_marks
from sewcli.lm.not_sentences import LINES, refuse_tables
from sewcli.text.form import TextForm, one_form

FOLDER = "lm"
REPORT_EVERY = 100_000  # sentences between two notes on the progress


def default_texts(data: Path) -> list[Path]:
    """The training transcripts of a prepared corpus, and the text that it brings for language models."""
    return [*sorted(data.glob(text_name("train*"))), *filter(Path.is_file, [data / FOLDER / TEXT])]


def sentences(path: Path, *, piped: bool = False) -> Iterator[list[str]]:
    """The words of each line that has any, in one form (`text.form.one_form`); of a pipe, if `piped`, once.

    Raises:
        DataError: missing, not UTF-8 text, a broken gzip file, or no plain sentences (`not_sentences`).
    """
    head: list[str] = []
    with open_text(path, piped=piped) as lines:
        for line in lines:
            if line.strip():
                head.append(line)
            if len(head) == LINES:
                break
        refuse_tables(head, path)
        for line in itertools.chain(head, lines):
            if words := one_form(line).split():
                yield words


def lines_of(paths: Iterable[Path], size: int = 4096) -> Iterator[list[str]]:
    """The lines of texts that have words, `size` at a time, with one blank between words.

    Raises:
        DataError: as `sentences`.
    """
    lines: list[str] = []
    for path in paths:
        for words in sentences(path):
            lines.append(" ".join(words))
            if len(lines) == size:
                yield lines
                lines = []
    if lines:
        yield lines


def all_sentences(paths: Sequence[Path]) -> Iterator[list[str]]:
    """The sentences of several files or pipes, with the bytes read so far as progress."""
    total = sum(path.stat().st_size for path in paths if path.is_file())
    with log.progress("reading (MB)", total // 10**6) as meter:
        for path in paths:
            for number, words in enumerate(sentences(path, piped=True), start=1):
                yield words
                if number % REPORT_EVERY == 0:
                    meter.advance(0, note=f"{path.name}: {number:,} sentences")
            meter.advance(path.stat().st_size // 10**6)


def in_form(texts: Iterable[list[str]], form: TextForm) -> Iterator[list[str]]:
    """Sentences as the recogniser's texts are written: its case, its apostrophe.

    Raises:
        DataError: one of <s>, </s>, <unk> in a sentence.
    """
    written = lru_cache(maxsize=1 << 18)(form)  # words come again
    for number, words in enumerate(texts, start=1):
        refuse_marks(number, words)
        yield list(map(written, words))
