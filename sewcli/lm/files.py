"""Which files a language model is: `--lm 4gram` or a path becomes a model file and its lexicon, both checked.

Layout: `data/<corpus>/lm/<N>gram.bin`, `.arpa` or `.arpa.gz`, and beside it `<N>gram.lexicon.txt`, or `lexicon.txt` for
all models without one of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sewcli.base import log
from sewcli.base.errors import DataError, UsageError, nearest
from sewcli.base.files import is_there
from sewcli.lm.arpa import read_header, read_words
from sewcli.lm.kenlm import check_file, is_binary
from sewcli.lm.lexicon import words_of
from sewcli.text.form import LOWER, UPPER, case_of, one_form
from sewcli.text.tokens import Vocabulary

FOLDER = "lm"
LEXICON = "lexicon.txt"
ENDINGS = (".bin", ".arpa", ".arpa.gz")  # in the order in which they are preferred
LACKING = 0.1  # share of the words of a language model that its lexicon may lack without a warning


@dataclass(frozen=True)
class LanguageModelFiles:
    """A model file, the lexicon of its words, and the short name for folders and tables."""

    name: str
    model: Path
    lexicon: Path


def resolve(lm: str, data: str | Path, vocabulary: Vocabulary) -> LanguageModelFiles:
    """Find and check the files of `--lm`.

    Args:
        lm: a name in `data/lm/` such as 4gram, or the path of a model file.
        data: folder of the prepared corpus.
        vocabulary: the recogniser's symbols.

    Raises:
        UsageError: there is no such model or lexicon.
        DataError: not a language model, an order that cannot be read, or another case than the recogniser's.
    """
    folder = Path(data) / FOLDER
    model = locate_model(lm, data)
    lexicons = (model.parent / lexicon_name(model_name(model)), model.parent / LEXICON, folder / LEXICON)
    lexicon = next((path for path in lexicons if path.is_file()), None)
    if lexicon is None:
        check_model(model, vocabulary)
        raise UsageError(
            "lexicon-not-found", f"no {LEXICON} beside the language model", where=model, hint="sew lm ngram writes both"
        )
    check_model(model, vocabulary, lexicon)
    return LanguageModelFiles(model_name(model), model, lexicon)


def find_model(lm: str, data: str | Path, vocabulary: Vocabulary) -> Path:
    """Find and check the model of `--lm` alone, as `resolve` does; a search without a lexicon needs no more."""
    model = locate_model(lm, data)
    check_model(model, vocabulary)
    return model


def locate_model(lm: str, data: str | Path) -> Path:
    """The file of `--lm`, whatever is in it.

    Raises:
        UsageError: there is no such model.
    """
    folder, given = Path(data) / FOLDER, Path(lm)
    named = [folder / f"{lm}{ending}" for ending in ENDINGS]
    model = next((path for path in (*named, given) if is_there(path, folder=False)), None)
    if model is None:
        raise _missing(lm, given, folder)
    return model


def model_name(path: Path) -> str:
    """`lm/4gram.arpa.gz` -> `4gram`."""
    return next(
        (path.name.removesuffix(ending) for ending in reversed(ENDINGS) if path.name.endswith(ending)), path.stem
    )


def lexicon_name(name: str) -> str:
    """`4gram` -> `4gram.lexicon.txt`, the lexicon of this model alone."""
    return f"{name}.{LEXICON}"


def check_model(path: Path, vocabulary: Vocabulary, lexicon: Path | None = None) -> None:
    """Refuse, before anything slow, a file that KenLM could not read or whose case is not the recogniser's.

    A lexicon may join the two: its words are the language model's, their spelling is the recogniser's. How many of the
    words of an ARPA file it lacks is said.

    Raises:
        DataError: not a language model, an order that cannot be read, or another case than the recogniser's or the lexicon's.
    """
    check_file(path)
    if is_binary(path):
        return  # its words are held against the lexicon when it is loaded
    header = read_header(path)
    own = vocabulary.text_form.case
    listed = set(words_of(lexicon)) if lexicon else set()
    joined = case_of(listed) if listed else own
    if {joined, header.case} == {UPPER, LOWER}:
        whose = "the model writes" if joined == own else "its lexicon lists"
        raise DataError(
            "case-differs",
            f"its words are in {header.case} case, {whose} {joined} case",
            where=path,
            hint=f"estimate it again: sew lm ngram --order {header.order} --vocab MODEL TEXT; or join the two by a lexicon "
            "of lines like: word<TAB>W O R D |",
        )
    if listed:
        _report_coverage(path, listed, lexicon)


def _report_coverage(model: Path, listed: set[str], lexicon: Path | None) -> None:
    """Words of an ARPA file that its lexicon lacks can never be recognised."""
    words = read_words(model)
    missing = [word for word in words if word not in listed]
    if len(missing) > LACKING * len(words):
        shown = ", ".join(map(repr, missing[:5]))
        forms = set(map(one_form, listed))
        twins = sum(one_form(word) in forms for word in missing)
        cause = (
            f"; {twins:,} of them are there in another Unicode form (NFC, NFD): bring both into one" if twins else ""
        )
        log.warn(
            f"{lexicon} has {len(words) - len(missing):,} of the {len(words):,} words of {model}; the others cannot be "
            f"recognised: {shown}{', ...' if len(missing) > 5 else ''}{cause}"
        )


def _missing(lm: str, given: Path, folder: Path) -> UsageError:
    known = sorted({model_name(p) for ending in ENDINGS for p in folder.glob(f"*{ending}")})
    if any(is_there(place / "config.json") for place in (given, given / "model")):
        return UsageError(
            "folder-for-file",
            "a folder, of a neural language model perhaps: it does not search, it rescores n-best lists",
            where=lm,
            hint=f"sew decode --lm 4gram --nbest 100, and then: sew rescore FOLDER --lm {lm}",
        )
    if given.suffix or len(given.parts) > 1:
        return UsageError(
            "lm-not-found", "no such language model", where=lm, hint="give a .bin, .arpa or .arpa.gz file, or a name"
        )
    if elsewhere := sorted(path for ending in ENDINGS for path in folder.parent.glob(f"data/*/{FOLDER}/{lm}{ending}")):
        return UsageError("lm-not-found", f"no language model {lm!r} here", where=folder, hint=f"--lm {elsewhere[0]}")
    number = re.fullmatch(r"(\d+)-?gram", lm)
    command = f"sew lm ngram --order {number[1]}" if number else "sew lm ngram --order 4"
    there = f" (there are: {', '.join(known)})" if known else ""
    return UsageError(
        "lm-not-found",
        f"no language model {lm!r}{nearest(lm, known)}{there}",
        where=folder,
        hint=f"first run: {command} (or sew lm official, for published ones)",
    )
