"""Europarl v7, the proceedings of the European Parliament: sentences for the language model of VoxPopuli.

Paper: Koehn 2005; statmt.org/europarl. Two forms: `txt/en/ep-*.txt` of europarl.tgz, a paragraph a line between lines of
markup, and `europarl-v7.*.en` of the sentence-aligned archives. get_lm_data.py of facebookresearch/voxpopuli takes the
first, splits it with the archive's split-sentences.perl, and keeps one of several equal sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sewcli.base.errors import DataError
from sewcli.text.rules import normalise
from sewcli.text.voxpopuli import SENTENCE

_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])")
_SHORTENED = re.compile(r"(?:^|[\s(])(?:Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Art|Cf|cf|e\.g|i\.e|vs|pp|[A-Z])\.$")


def read_sentences(files: Iterable[Path]) -> Iterator[str]:
    """The sentences of some files, in the letter vocabulary as far as the rules bring them there; no two are equal.

    Raises:
        DataError: a file is missing or not UTF-8 text.
    """
    seen: set[int] = set()
    for path in files:
        try:
            with open(path, encoding="utf-8") as lines:
                for line in lines:
                    if line.startswith("<"):  # <CHAPTER ID="1">, <SPEAKER ...>, <P>
                        continue
                    for sentence in split_sentences(line.strip()):
                        text, _ = normalise(sentence, SENTENCE)
                        if text and hash(text) not in seen:
                            seen.add(hash(text))
                            yield text
        except FileNotFoundError:
            raise DataError("file-not-found", "no such text file", where=path) from None
        except UnicodeDecodeError as error:
            raise DataError(
                "not-utf8", f"not UTF-8 text ({error})", where=path, hint="Europarl v7 is UTF-8: unpack it again"
            ) from None


def split_sentences(paragraph: str) -> Iterator[str]:
    """Parts a paragraph where a sentence ends and a capital or a figure follows, but not after `Mr.`, `e.g.` or an initial."""
    begun = 0
    for end in _END.finditer(paragraph):
        if not _SHORTENED.search(paragraph[begun : end.start()]):
            yield paragraph[begun : end.end()].strip()
            begun = end.end()
    if begun < len(paragraph):
        yield paragraph[begun:].strip()
