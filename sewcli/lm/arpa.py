"""ARPA files: the text form of a back-off n-gram model, read by KenLM, SRILM, Kaldi and us.

Sorted n-grams, no time stamps, fixed formats: the same text gives the same bytes, gzipped or not.
"""

from __future__ import annotations

import codecs
import gzip
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sewcli.base.errors import DataError, quoted
from sewcli.base.files import atomic_path
from sewcli.base.texts import open_text
from sewcli.lm.counts import SPECIAL, blocks
from sewcli.lm.ngram import NgramModel
from sewcli.text.form import case_of

COUNT = re.compile(r"[0-9]{1,15}")
SAMPLE = 2000  # unigrams looked at to know the case
LINES = 20_000  # written at once


@dataclass(frozen=True)
class ArpaHeader:
    """Its n-gram counts by order, and the case of its words: "upper", "lower", "mixed" or "none"."""

    counts: tuple[int, ...]
    case: str

    @property
    def order(self) -> int:
        """The highest order."""
        return len(self.counts)


def write_arpa(model: NgramModel, path: str | Path) -> None:
    """Write a model atomically; gzipped when the name ends in `.gz`."""
    with atomic_path(path) as temporary, open(temporary, "wb") as raw:
        if str(path).endswith(".gz"):
            with gzip.GzipFile("", "wb", fileobj=raw, mtime=0, compresslevel=6) as packed:
                packed.writelines(_blocks(model))
        else:
            raw.writelines(_blocks(model))


def read_header(path: str | Path) -> ArpaHeader:
    """Read the counts and a sample of the unigrams; takes milliseconds at any size.

    Raises:
        DataError: not an ARPA file, or cut off within its head.
    """
    counts: list[int] = []
    with _lines(path) as lines:
        first = next(lines, None)
        _refuse_mark(path)
        if first != "\\data\\":
            raise DataError("not-arpa", "not an ARPA file: it does not begin with \\data\\", where=path)
        for line in lines:
            if line == "\\1-grams:":
                break
            name, _, number = line.partition("=")
            if name.split() != ["ngram", str(len(counts) + 1)] or not COUNT.fullmatch(number.strip()):
                raise DataError("not-arpa", f"not an ARPA header line: {quoted(line)}", where=path)
            counts.append(int(number))
        else:
            raise DataError(
                "arpa-cut-off", "the ARPA file ends within its header", where=path, hint="make or copy it again"
            )
        unigrams = itertools.takewhile(lambda line: not line.startswith("\\"), itertools.islice(lines, SAMPLE))
        entries = (line.split("\t") for line in unigrams if "\t" in line)
        words = [fields[1] for fields in entries if fields[1] not in SPECIAL]
    return ArpaHeader(tuple(counts), case_of(words))


def read_words(path: str | Path) -> list[str]:
    """The words of the unigrams, in the order of the file, without <unk>, <s> and </s> (in any case).

    Raises:
        DataError: not an ARPA file, or cut off within its unigrams.
    """
    with _lines(path) as lines:
        if "\\1-grams:" not in lines:
            raise DataError("not-arpa", "not an ARPA file: it has no \\1-grams:", where=path)
        words: list[str] = []
        for line in lines:
            if line.startswith("\\"):
                return [word for word in words if word.lower() not in SPECIAL]
            _, *word = line.split()[:2]
            if not word:
                raise DataError("not-arpa", f"not a unigram: {quoted(line)}", where=path, hint="make or copy it again")
            words += word
    raise DataError("arpa-cut-off", "the ARPA file ends within its unigrams", where=path, hint="make or copy it again")


def _blocks(model: NgramModel) -> Iterator[bytes]:
    counts = "".join(f"ngram {k}={count}\n" for k, count in enumerate(model.counts, start=1))
    yield f"\\data\\\n{counts}\n".encode()
    for k, table in enumerate(model.tables, start=1):
        yield f"\\{k}-grams:\n".encode()
        for block in blocks(len(table), LINES):
            columns = [_formatted(table.probability[block]), _texts(model, k, block)]
            if k < model.order:
                columns.append(_formatted(table.backoff[block]))
            yield "".join(f"{line}\n" for line in map("\t".join, zip(*columns, strict=True))).encode()
        yield b"\n"
    yield b"\\end\\\n"


def _formatted(values: np.ndarray) -> list[str]:
    return [f"{value + 0.0:.7f}" for value in values.tolist()]  # + 0.0 turns -0.0, the log of exactly 1, into 0


def _texts(model: NgramModel, k: int, block: slice) -> list[str]:
    """The n-grams of some rows of table k, each as words with blanks between."""
    keys, size, columns = model.tables[k - 1].key[block], len(model.words), []
    for table in reversed((None, *model.tables[: k - 1])):
        columns.append([model.words[word] for word in (keys % size).tolist()])
        if table is not None:
            keys = table.key[keys // size]
    return [" ".join(words) for words in zip(*reversed(columns), strict=True)]


@contextmanager
def _lines(path: str | Path) -> Iterator[Iterator[str]]:
    """Lines without their ends and without blank ones, faults of the file as `DataError`."""
    with open_text(path) as stream:
        yield (line.rstrip("\r\n") for line in stream if line.strip())


def _refuse_mark(path: str | Path) -> None:
    """KenLM reads the file itself, and knows no byte order mark."""
    with gzip.open(path) if _is_gzip(path) else open(path, "rb") as file:
        if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            raise DataError(
                "byte-order-mark",
                "the ARPA file begins with a byte order mark, which KenLM cannot read",
                where=path,
                hint="remove these three bytes: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE",
            )


def _is_gzip(path: str | Path) -> bool:
    with open(path, "rb") as f:
        return f.read(2) == b"\x1f\x8b"
