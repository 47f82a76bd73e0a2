"""Output symbols of a CTC model: letters, phones or pieces of words, a blank and, where there are words, their boundary.

Which symbol is what is read from the files that come with a model (`tokenizer_files`), or found by the symbols' names.
Our own order is fairseq's, and so that of the published models: 0 is the CTC blank (fairseq calls it `<s>`, Hugging Face
`<pad>`), 4 the word boundary `|`, letters by frequency from 5. Facts: wav2vec 2.0 letter dictionary, 32 symbols.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from sewcli.base.errors import DataError
from sewcli.base.texts import read_lines
from sewcli.text.form import TextForm, one_form
from sewcli.text.token_roles import SPECIAL, Roles, are_phones, listed_symbols, roles_by_names, tidied
from sewcli.text.tokenizer_files import SYMBOLS, Symbols, read_bare, read_symbols, write_symbols

LETTERS = "ETAONIHSRDLUMWCFGYPBVK'XJQZ"
FILE = SYMBOLS


class Vocabulary:
    """Symbols and their ids; text is words separated by spaces.

    Args:
        tokens: the symbols in the order of their ids, one for each output of the model.
        roles: what they stand for; without it their names say so.

    Attributes:
        blank: id of the CTC blank.
        boundary: id of what stands between words; None where every symbol is a word or a phone, or words are not parted.
        silent: ids that no text has: the blank, special symbols, outputs without a symbol.

    Raises:
        DataError: a symbol twice, or none of them is the blank.
    """

    def __init__(self, tokens: Sequence[str], roles: Roles | None = None) -> None:
        if len(set(tokens)) != len(tokens):
            raise DataError("duplicate-symbol", "a symbol stands twice in the vocabulary")
        self.tokens = tuple(tokens)
        self.roles = roles or roles_by_names(self.tokens)
        self.blank, self.boundary, self.silent = self.roles.blank, self.roles.boundary, self.roles.silent
        self._written = [
            "" if i in self.silent else " " if i == self.boundary else self.roles.written.get(i, token)
            for i, token in enumerate(self.tokens)
        ]
        self._letters = {t: i for i, t in enumerate(self.tokens) if self._written[i].strip()}
        self._phones = {one_form(t): i for t, i in self._letters.items()} if self.roles.separated else {}
        self._longest = max(map(len, self._letters), default=1)
        self.text_form = TextForm.of(self.symbols)

    @classmethod
    def letters(cls) -> Vocabulary:
        """The 32 symbols of the published English models."""
        return cls((*SPECIAL, *LETTERS))

    @classmethod
    def load(cls, path: str | Path, rows: int | None = None) -> Vocabulary:
        """Read the symbols of a folder: its `vocab.json` and what lies beside it; or a `vocab.json` of another name.

        Args:
            path: the folder or the file.
            rows: outputs of the model, when they are known.

        Raises:
            DataError: missing, broken, or no blank.
        """
        path = Path(path)
        folder = path if path.is_dir() else path.parent if path.name == FILE else None
        symbols = read_symbols(folder, rows) if folder else read_bare(path)
        try:
            return cls(symbols.tokens, symbols.roles)
        except DataError as error:
            raise DataError(error.code, error.what, where=path, hint=error.hint) from None

    @classmethod
    def read(cls, path: str | Path) -> Vocabulary:
        """Read a vocabulary of one's own: that of a folder, `vocab.json`, or a text file with a symbol a line.

        In a text file symbols stand in the order of their ids, what stands behind one (fairseq's counts, ids) is ignored, and
        the blank, the special symbols and the word boundary need not be there. A symbol may have several characters: words
        are spelled with the longest symbols that fit, from the left. A list without the boundary `|` of which many symbols
        have several characters is one of phones: its texts are symbols with blanks between.

        Raises:
            DataError: missing, empty, a symbol twice.
        """
        path = Path(path)
        if path.is_dir() or path.suffix == ".json":
            return cls.load(path)
        lines = map(one_form, read_lines(path, hint="give vocab.json, or a text file with a symbol a line"))
        try:
            symbols = listed_symbols(list(lines))
        except DataError as error:
            raise DataError(error.code, error.what, where=path, hint=error.hint) from None
        own = [symbol for symbol in symbols if symbol not in SPECIAL]
        if not own:
            raise DataError("vocabulary-empty", "no symbol in this vocabulary", where=path, hint="write one a line")
        try:
            if SPECIAL[-1] not in symbols and are_phones(own):
                tokens = (*SPECIAL[:-1], *own)
                return cls(tokens, roles_by_names(tokens, separated=True))
            return cls((*SPECIAL, *own))
        except DataError as error:
            raise DataError(error.code, error.what, where=path) from None

    @classmethod
    def beside(cls, data: str | Path) -> Vocabulary | None:
        """The alphabet that `sew prep` wrote beside the cuts of one's own data; None where there is none."""
        file = Path(data) / FILE
        return cls.read(file) if file.is_file() else None

    def save(self, folder: str | Path) -> None:
        """Write `vocab.json` and `tokenizer_config.json`."""
        write_symbols(Path(folder), Symbols(self.tokens, self.roles))

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self.tokens)

    @property
    def symbols(self) -> list[str]:
        """What texts are made of, as it is written: letters or phones, without the boundary and the special symbols."""
        written = [text.strip() for text in self._written if text.strip()]
        return [text.lower() for text in written] if self.roles.lower_case else written

    @property
    def separated(self) -> bool:
        """Whether every symbol is a word of its own, as phones are."""
        return self.roles.separated

    @property
    def boundaries(self) -> frozenset[int]:
        """Ids that part words when they are written."""
        return frozenset(i for i, text in enumerate(self._written) if text and not text.strip())

    def id_of(self, symbol: str) -> int | None:
        """The id of a letter or phone, in any case where texts are written in lower case; None if there is none."""
        return self._letters.get(symbol.upper() if self.roles.lower_case else symbol)

    def outside(self, text: str) -> list[str]:
        """The characters (of phones: the symbols) of `text` in this vocabulary's form that have no symbol, once each."""
        return list(dict.fromkeys(c for word in self.text_form(text).split() for c in self._spell(word)[1]))

    def encode(self, text: str) -> list[int]:
        """Ids of the symbols of `text` in this vocabulary's form (`TextForm`), the boundary between words.

        Raises:
            DataError: a character outside the vocabulary.
        """
        if outside := self.outside(text):
            raise DataError(
                "outside-vocabulary",
                f"symbols outside the vocabulary: {' '.join(map(repr, outside))}",
                hint="normalise the transcripts (spell out digits, remove punctuation), or give the model its own vocabulary "
                "(sew finetune --set vocabulary=FILE)",
            )
        ids: list[int] = []
        for word in self.text_form(text).split():
            if ids and self.boundary is not None:
                ids.append(self.boundary)
            ids.extend(self._spell(word)[0])
        return ids

    def text(self, ids: Iterable[int]) -> str:
        """Words of collapsed ids (no repeats, no blanks needed: blanks and special symbols are ignored)."""
        written = (" " if self.separated else "").join(self._written[i] for i in ids)
        return self.polished(" ".join(written.split()))

    def polished(self, text: str) -> str:
        """Words as the model's texts are written: in its case, without blanks before punctuation where it has none."""
        text = text.lower() if self.roles.lower_case else text
        return " ".join(tidied(text).split()) if self.roles.tidy else text

    def _identity(self) -> tuple[object, ...]:
        roles = self.roles
        traits = (roles.lower_case, roles.separated, roles.tidy)
        return (self.tokens, self.blank, self.boundary, self.silent, roles.unused, *self._written, *traits)

    def _spell(self, word: str) -> tuple[list[int], list[str]]:
        """(ids of the longest symbols that fit, characters where none does)."""
        word = word.upper() if self.roles.lower_case else word
        if self.separated:
            found = self._letters.get(word, self._phones.get(word))
            return ([], [word]) if found is None else ([found], [])
        ids: list[int] = []
        unknown: list[str] = []
        place = 0
        while place < len(word):
            for length in range(min(self._longest, len(word) - place), 0, -1):
                if (symbol := self._letters.get(word[place : place + length])) is not None:
                    ids.append(symbol)
                    place += length
                    break
            else:
                unknown.append(word[place])
                place += 1
        return ids, unknown


def frames_needed(labels: Sequence[int]) -> int:
    """Frames without which CTC cannot write these labels: one each, and a blank between equal neighbours."""
    return len(labels) + sum(a == b for a, b in pairwise(labels))
