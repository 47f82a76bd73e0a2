"""Text files for language models: a sentence a line, gzipped or not, in the form of the vocabulary that they are for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from sewcli.base import log
from sewcli.base.errors import DataError
from sewcli.base.texts import open_text
from sewcli.corpora.lm_text import TEXT
from sewcli.lm.counts import refuse_marks
from sewcli.text.form import TextForm, one_form

FOLDER = "lm"
REPORT_EVERY = 100_000  # sentences between two notes on the progress

_LOOKED_AT = 100  # lines of a file that tell whether ids stand before its sentences
_ID = re.compile(
    r"(?=.*\d)(?=.*[-_./])\S{4,}|(?=.*\d)(?=.*[^\W\d_])\S{6,}"
)  # 84-121123-0000, spk1_utt2, common_voice_17
_SURE = 0.95  # share of lines with an id


def default_texts(data: Path) -> list[Path]:
    """The training transcripts of a prepared corpus, and the text that it brings for language models."""
    return [*sorted(data.glob("text_train*.txt")), *filter(Path.is_file, [data / FOLDER / TEXT])]


def sentences(path: Path) -> Iterator[list[str]]:
    """The words of each line that has any, in one form (`text.form.one_form`).

    Raises:
        DataError: missing, not UTF-8 text, a broken gzip file, or lines that begin with the ids of utterances.
    """
    head: list[list[str]] = []
    with open_text(path) as lines:
        for line in lines:
            if words := one_form(line).split():
                if len(head) < _LOOKED_AT:
                    head.append(words)
                    if len(head) == _LOOKED_AT:
                        refuse_ids(head, path)
                        yield from head
                else:
                    yield words
    if len(head) < _LOOKED_AT:
        refuse_ids(head, path)
        yield from head


def refuse_ids(lines: Sequence[Sequence[str]], path: Path) -> None:
    """Refuse a table of transcripts (LibriSpeech's .trans.txt, Kaldi's text) where plain sentences are expected.

    Raises:
        DataError: nearly all lines begin with an id, all of them different.
    """
    first = [words[0] for words in lines if len(words) > 1]
    if len(first) < max(2, _SURE * len(lines)) or len(set(first)) < len(first):
        return
    if sum(bool(_ID.fullmatch(word)) for word in first) >= _SURE * len(lines):
        raise DataError(
            f"its lines begin with the ids of utterances ({', '.join(first[:2])}, ...), which would become words",
            where=path,
            mend=f"give the sentences alone, for example: cut -d' ' -f2- {path.name} > sentences.txt",
        )


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
    """The sentences of several files, with the bytes read so far as progress."""
    total = sum(path.stat().st_size for path in paths if path.is_file())
    with log.progress("reading (MB)", total // 10**6) as meter:
        for path in paths:
            for number, words in enumerate(sentences(path), start=1):
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
