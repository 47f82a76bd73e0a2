"""Output symbols of a CTC model: letters between the blank and the word boundary.

The order is fairseq's, and so that of every published fine-tuned model: 0 is the CTC blank (fairseq calls it `<s>`, Hugging
Face `<pad>`), 4 the word boundary `|`, letters by frequency from 5. Facts: wav2vec 2.0 letter dictionary, 32 symbols.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from sewcli.base.errors import DataError
from sewcli.base.files import read_json, write_json
from sewcli.base.texts import read_lines
from sewcli.text.form import TextForm, one_form

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")
LETTERS = "ETAONIHSRDLUMWCFGYPBVK'XJQZ"
FILE = "vocab.json"


class Vocabulary:
    """Symbols and their ids; text is words separated by spaces, ids have `|` between words.

    Args:
        tokens: the symbols in the order of their ids; the first is the blank, and `|` must be among them.
    """

    blank = 0

    def __init__(self, tokens: Sequence[str]) -> None:
        if len(set(tokens)) != len(tokens):
            raise DataError("a symbol stands twice in the vocabulary")
        if "|" not in tokens:
            raise DataError("the vocabulary has no word boundary '|'")
        self.tokens = tuple(tokens)
        self._ids = {token: index for index, token in enumerate(self.tokens)}
        self.boundary = self._ids["|"]
        self._silent = {index for index, token in enumerate(self.tokens) if token in SPECIAL and token != "|"} | {0}
        self.text_form = TextForm.of(t for i, t in enumerate(self.tokens) if i not in self._silent and t != "|")
        self._longest = max((len(t) for i, t in enumerate(self.tokens) if i not in self._silent), default=1)

    @classmethod
    def letters(cls) -> Vocabulary:
        """The 32 symbols of the published English models."""
        return cls((*SPECIAL, *LETTERS))

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Read `vocab.json`, or that of a model folder.

        Raises:
            DataError: missing, ids that are not 0..n-1, or no word boundary.
        """
        path = Path(path) / FILE if Path(path).is_dir() else Path(path)
        ids = read_json(path)
        if not isinstance(ids, dict) or sorted(ids.values(), key=str) != sorted(range(len(ids)), key=str):
            raise DataError("not a vocabulary: a mapping of symbols to the ids 0..n-1", where=path)
        try:
            return cls(sorted(ids, key=lambda token: ids[token]))
        except DataError as error:
            raise DataError(error.what, where=path) from None

    @classmethod
    def read(cls, path: str | Path) -> Vocabulary:
        """Read a vocabulary of one's own: `vocab.json`, or a text file with a symbol a line in the order of their ids.

        In a text file what stands behind a symbol (fairseq's counts) is ignored, and the blank, the special symbols and
        the word boundary need not be there. A symbol may have several characters: words are spelled with the longest
        symbols that fit, from the left.

        Raises:
            DataError: missing, empty, a symbol twice.
        """
        if Path(path).is_dir() or Path(path).suffix == ".json":
            return cls.load(path)
        lines = map(one_form, read_lines(path, mend="give vocab.json, or a text file with a symbol a line"))
        symbols = [line.split()[0] for line in lines if line]
        own = [symbol for symbol in symbols if symbol not in SPECIAL]
        if not own:
            raise DataError("no symbol in this vocabulary", where=path, mend="write one a line")
        try:
            return cls((*SPECIAL, *own))
        except DataError as error:
            raise DataError(error.what, where=path) from None

    def save(self, folder: str | Path) -> None:
        """Write `vocab.json`."""
        write_json(Path(folder) / FILE, self._ids)

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(self.tokens)

    def outside(self, text: str) -> list[str]:
        """The characters of `text` in this vocabulary's form that have no symbol, in order of appearance, once each."""
        return list(dict.fromkeys(c for word in self.text_form(text).split() for c in self._spell(word)[1]))

    def encode(self, text: str) -> list[int]:
        """Ids of the symbols of `text` in this vocabulary's form (`TextForm`), `|` between words (none at the ends).

        Raises:
            DataError: a character outside the vocabulary.
        """
        if outside := self.outside(text):
            raise DataError(
                f"symbols outside the vocabulary: {' '.join(map(repr, outside))}",
                mend="normalise the transcripts (spell out digits, remove punctuation), or give the model its own vocabulary "
                "(sew finetune --set vocabulary=FILE)",
            )
        ids: list[int] = []
        for word in self.text_form(text).split():
            if ids:
                ids.append(self.boundary)
            ids.extend(self._spell(word)[0])
        return ids

    def text(self, ids: Iterable[int]) -> str:
        """Words of collapsed ids (no repeats, no blanks needed: blanks and special symbols are ignored)."""
        spelled = "".join(self.tokens[i] for i in ids if i not in self._silent)
        return " ".join(spelled.replace("|", " ").split())

    def _spell(self, word: str) -> tuple[list[int], list[str]]:
        """(ids of the longest symbols that fit, characters where none does)."""
        ids: list[int] = []
        unknown: list[str] = []
        place = 0
        while place < len(word):
            for length in range(min(self._longest, len(word) - place), 0, -1):
                if self._is_symbol(word[place : place + length]):
                    ids.append(self._ids[word[place : place + length]])
                    place += length
                    break
            else:
                unknown.append(word[place])
                place += 1
        return ids, unknown

    def _is_symbol(self, characters: str) -> bool:
        return characters != "|" and self._ids.get(characters, 0) not in self._silent


def frames_needed(labels: Sequence[int]) -> int:
    """Frames without which CTC cannot write these labels: one each, and a blank between equal neighbours."""
    return len(labels) + sum(a == b for a, b in pairwise(labels))
