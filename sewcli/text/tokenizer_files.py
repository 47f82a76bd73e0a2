"""The side files of a Hugging Face folder as what they say of its symbols: `transformers`' tokenizers, without transformers.

Read in its order of precedence: `tokenizer_config.json`; `special_tokens_map.json` and `added_tokens.json` where the first
has no `added_tokens_decoder`; `vocab.json`, of one language (`target_lang`) where it holds several; then the defaults of
`Wav2Vec2CTCTokenizer`. Rows of the head beyond the symbols are its unknown symbol. Source: transformers 5,
tokenization_utils_base.py, tokenization_python.py, tokenization_wav2vec2.py and tokenization_wav2vec2_phoneme.py.
One difference: a `word_delimiter_token` other than `|` is obeyed, as by transformers 4 (5 reads `|` in its place).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewcli.base import log
from sewcli.base.errors import DataError, quoted
from sewcli.base.files import read_json, read_object, write_json
from sewcli.text.token_roles import (
    BLANKS,
    BOUNDARIES,
    ENDS,
    SPECIAL,
    UNKNOWNS,
    Roles,
    are_phones,
    blank_by_name,
    roles_by_names,
)

SYMBOLS = "vocab.json"
TOKENIZER = "tokenizer_config.json"
SPECIAL_MAP = "special_tokens_map.json"
ADDED = "added_tokens.json"
CONFIG = "config.json"
FAST = "tokenizer.json"
FILES = (SYMBOLS, TOKENIZER, SPECIAL_MAP, ADDED)
"""What a Hub id must be fetched with."""
LETTERS, PHONES = "Wav2Vec2CTCTokenizer", "Wav2Vec2PhonemeCTCTokenizer"
CLASSES = {LETTERS: LETTERS, "Wav2Vec2Tokenizer": LETTERS, PHONES: PHONES}
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
DEFAULTS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
MOST_ROWS = 1 << 20  # of a head; a larger id is a damaged file


@dataclass(frozen=True)
class Symbols:
    """The symbol of each row of the head, and what they stand for."""

    tokens: tuple[str, ...]
    roles: Roles


def read_symbols(folder: Path, rows: int | None = None) -> Symbols:
    """What the files of a folder say.

    Args:
        folder: of a model, or of vocab.json alone.
        rows: outputs of the CTC layer; None is what `config.json` says, or as many as there are symbols.

    Raises:
        DataError: a file is missing or broken, no blank, or a tokenizer of another kind.
    """
    config = _mapping(folder / CONFIG) or {}
    settings = _settings(folder)
    known = settings is not None
    settings = settings or {}
    if not (folder / SYMBOLS).exists():
        _kind(settings, config, folder)  # the true cause, where it is another tokenizer's folder
    ids = _vocabulary(folder / SYMBOLS, settings.get("target_lang"))
    if rows is None and isinstance(size := config.get("vocab_size"), int):
        rows = size
    if not known and not config:
        return _by_names(ids, folder / SYMBOLS)
    added, special_added = _added(folder, settings)
    kind = _kind(settings, config, folder)
    named = {role: _content(settings[role] if role in settings else DEFAULTS.get(role)) for role in ROLES}
    extra = _extra(settings)
    by_id = _by_id(ids, added, [*filter(None, named.values()), *extra])
    delimiter = _content(settings.get("word_delimiter_token", "|" if kind == LETTERS else None))
    if delimiter and delimiter not in by_id.values() and kind == LETTERS:
        by_id.setdefault(_next(by_id, ids, added), delimiter)
    size = rows if rows is not None else max([*ids.values(), *added.values()]) + 1
    blank = _blank(named.get("pad_token"), by_id, size, config, folder)
    tokens, unused = _rows(by_id, size, blank)
    _tell_of_what_is_left(ids, size, folder)
    special = {token for token in (*named.values(), *extra, *special_added) if token and token != delimiter}
    silent = {i for i, token in enumerate(tokens) if token in special or token in UNKNOWNS} | unused | {blank}
    stated = {token: i for i, token in enumerate(tokens) if token in ids or token in added}
    boundary = next((stated[name] for name in (delimiter, BOUNDARIES[1]) if name in stated), None)
    written = {}
    if kind == PHONES and boundary is not None:
        silent, boundary = silent | {boundary}, None
    elif delimiter in tokens:
        written = {tokens.index(delimiter): str(settings.get("replace_word_delimiter_char", " "))}
        if written[tokens.index(delimiter)].strip() or not written[tokens.index(delimiter)]:
            boundary = stated.get(BOUNDARIES[1])
    silent -= {boundary} if boundary is not None else set()
    roles = Roles(
        blank=blank,
        boundary=boundary,
        silent=frozenset(silent),
        written=written,
        unused=frozenset(unused),
        lower_case=kind == LETTERS and bool(settings.get("do_lower_case")),
        separated=kind == PHONES,
        tidy=bool(settings.get("clean_up_tokenization_spaces")),
        names={role: token for role, token in named.items() if token and token in tokens},
    )
    return Symbols(tokens, roles)


def read_bare(path: Path) -> Symbols:
    """The symbols of a file like `vocab.json`, by their names.

    Raises:
        DataError: missing, broken, or no blank.
    """
    return _by_names(_vocabulary(path, None), path)


def write_symbols(folder: Path, symbols: Symbols) -> None:
    """Write `vocab.json` and `tokenizer_config.json`, which `transformers` and `read_symbols` read as these symbols."""
    tokens, roles = symbols.tokens, symbols.roles
    write_json(folder / SYMBOLS, {token: i for i, token in enumerate(tokens) if i not in roles.unused})
    named = {"pad_token": tokens[roles.blank], "bos_token": None, "eos_token": None} | dict(roles.names)
    content: dict[str, Any] = {"tokenizer_class": PHONES if roles.separated else LETTERS, **named}
    content["pad_token"] = tokens[roles.blank]
    delimiter = roles.boundary if roles.boundary is not None else next(iter(roles.written), None)
    content["word_delimiter_token"] = None if delimiter is None else tokens[delimiter]
    if roles.separated:
        content |= {"phone_delimiter_token": " ", "do_phonemize": False}
    else:
        replaced = " " if delimiter is None else roles.written.get(delimiter, " ")
        content |= {"do_lower_case": roles.lower_case, "replace_word_delimiter_char": replaced}
    taken = {roles.blank, *(i for i in roles.silent if tokens[i] in named.values())}
    if others := sorted(tokens[i] for i in roles.silent - taken - roles.unused):
        content["extra_special_tokens"] = others
    if roles.tidy:
        content["clean_up_tokenization_spaces"] = True
    write_json(folder / TOKENIZER, content)


def _mapping(path: Path) -> dict[str, Any] | None:
    """A JSON file that may be absent."""
    if not path.exists():
        return None
    return read_object(path)


def _settings(folder: Path) -> dict[str, Any] | None:
    """`tokenizer_config.json` with what an older `special_tokens_map.json` says beside it; None without either."""
    settings, special = _mapping(folder / TOKENIZER), _mapping(folder / SPECIAL_MAP)
    if settings is None and special is None:
        return None
    settings = dict(settings or {})
    return settings if "added_tokens_decoder" in settings else settings | (special or {})


def _kind(settings: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> str:
    name = settings.get("tokenizer_class") or config.get("tokenizer_class") or LETTERS
    if not isinstance(name, str) or name not in CLASSES:
        raise DataError(
            "tokenizer-unsupported",
            f"its tokenizer is a {quoted(name) if not isinstance(name, str) else name[:80]}",
            where=folder / TOKENIZER,
            hint=f"sew reads the symbols of {LETTERS} and {PHONES}",
        )
    return CLASSES[name]


def _vocabulary(path: Path, language: object) -> dict[str, int]:
    """Symbols and their ids, of one language."""
    if not path.exists():
        raise DataError("file-not-found", "no such file", where=path, hint=_where_symbols_are(path))
    ids = read_json(path)
    if isinstance(ids, dict) and ids and all(isinstance(value, dict) for value in ids.values()):
        shown = ", ".join(list(ids)[:8]) + (", ..." if len(ids) > 8 else "")
        if language is None or str(language) not in ids:
            raise DataError(
                "no-such-language",
                f"symbols of {len(ids)} languages ({shown}), and {TOKENIZER} names "
                + ("none of them" if language is None else f"{language!r}, which is not among them"),
                where=path,
                hint=f'write "target_lang": "{next(iter(ids))}" into {TOKENIZER}',
            )
        ids = ids[str(language)]
    whole = isinstance(ids, dict) and all(type(i) is int and 0 <= i < MOST_ROWS for i in ids.values())
    if not whole or not ids or len(set(ids.values())) != len(ids):
        raise DataError("invalid-vocabulary", "not a vocabulary: a mapping of symbols to ids, each once", where=path)
    return dict(ids)


def _where_symbols_are(path: Path) -> str:
    """What to do about a vocab.json that is missing, by what is there."""
    if path.name == SYMBOLS and (path.parent.parent / SYMBOLS).is_file():  # checkpoint-500 of a Trainer
        return f"copy {SYMBOLS}, {TOKENIZER} and preprocessor_config.json (or processor_config.json) of the folder above it"
    if (path.parent / FAST).is_file():
        return f"{FAST} is of a tokenizer that sew does not read: save the symbols again as a {LETTERS}"
    return f"a recogniser needs its symbols: copy {SYMBOLS} and {TOKENIZER} of the same model into the folder"


def _added(folder: Path, settings: Mapping[str, Any]) -> tuple[dict[str, int], set[str]]:
    """Added tokens and their ids, and those of them that are special."""
    stated = settings.get("added_tokens_decoder")
    if stated is None:
        added = _mapping(folder / ADDED) or {}
        if not all(type(i) is int for i in added.values()):
            raise DataError("invalid-vocabulary", "not a mapping of symbols to ids", where=folder / ADDED)
        return added, set()
    try:
        found = {str(token["content"]): (int(i), bool(token.get("special"))) for i, token in stated.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DataError(
            "invalid-vocabulary", "added_tokens_decoder is not what transformers writes", where=folder / TOKENIZER
        ) from None
    return {token: i for token, (i, _) in found.items()}, {token for token, (_, special) in found.items() if special}


def _content(value: Any) -> str | None:
    """A token that is written as itself or as an object with flags."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _extra(settings: Mapping[str, Any]) -> list[str]:
    """Other special tokens: lists of them, and whatever a key `..._token` names."""
    values: list[Any] = []
    for key in ("extra_special_tokens", "additional_special_tokens", "model_specific_special_tokens"):
        value = settings.get(key) or []
        values += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    known = (*ROLES, "word_delimiter_token", "phone_delimiter_token")
    values += [value for key, value in settings.items() if key.endswith("_token") and key not in known]
    return [token for token in map(_content, values) if token]


def _by_id(ids: Mapping[str, int], added: Mapping[str, int], special: list[str]) -> dict[int, str]:
    """Symbols by id: the vocabulary's before added ones, and special tokens without an id after all of them."""
    taken = set(ids.values())
    by_id = {i: token for token, i in ids.items()}
    by_id |= {i: token for token, i in added.items() if i not in taken and token not in ids}
    for token in dict.fromkeys(special):
        if token not in ids and token not in added and token not in by_id.values():
            by_id.setdefault(_next(by_id, ids, added), token)
    return by_id


def _next(by_id: Mapping[int, str], ids: Mapping[str, int], added: Mapping[str, int]) -> int:
    """The id that transformers gives a token without one: as many as there are tokens."""
    return len({*ids, *added, *by_id.values()})


def _blank(pad: str | None, by_id: Mapping[int, str], size: int, config: Mapping[str, Any], folder: Path) -> int:
    """The row that the tokenizer calls padding, else the one that the config does."""
    place = next((i for i, token in by_id.items() if token == pad and i < size), None)
    stated = config.get("pad_token_id")
    stated = stated if type(stated) is int and 0 <= stated < size else None
    if place is None:
        place = stated
    if place is None:
        place = blank_by_name([by_id.get(i, "") for i in range(size)])
    if place is None:
        raise DataError(
            "no-blank",
            f"no output of the model is the CTC blank: the padding symbol {pad!r} has no id below {size}",
            where=folder / (TOKENIZER if (folder / TOKENIZER).is_file() else SYMBOLS),
            hint=f"name it in {TOKENIZER} (pad_token) or in {CONFIG} (pad_token_id)",
        )
    if stated is not None and stated != place:
        log.warn(
            f"{folder}: the tokenizer's padding symbol is output {place} ({by_id.get(place)!r}), {CONFIG} has pad_token_id "
            f"{stated} ({by_id.get(stated)!r}); taking {place} for the CTC blank, as transformers does when it writes text"
        )
    return place


def _rows(by_id: Mapping[int, str], size: int, blank: int) -> tuple[tuple[str, ...], set[int]]:
    """A name for every row, and the rows that have no symbol."""
    taken, unused = set(by_id.values()), {i for i in range(size) if i not in by_id}
    made = {i: ("<blank {}>" if i == blank else "<unused {}>").format(i) for i in unused}
    while clash := [i for i, name in made.items() if name in taken]:
        made |= {i: f"<{made[i]}>" for i in clash}
    return tuple(by_id[i] if i in by_id else made[i] for i in range(size)), unused - {blank}


def _tell_of_what_is_left(ids: Mapping[str, int], size: int, folder: Path) -> None:
    if beyond := sorted(token for token, i in ids.items() if i >= size):
        shown = ", ".join(map(repr, beyond[:5]))
        log.warn(f"{folder / SYMBOLS}: {len(beyond)} symbols have no output of the model, which has {size}: {shown}")


def _by_names(ids: Mapping[str, int], path: Path) -> Symbols:
    """Of a vocab.json that nothing lies beside."""
    if sorted(ids.values()) != list(range(len(ids))):
        raise DataError("invalid-vocabulary", "not a vocabulary: a mapping of symbols to the ids 0..n-1", where=path)
    tokens = tuple(sorted(ids, key=lambda token: ids[token]))
    try:
        phones = are_phones([token for token in tokens if token not in (*SPECIAL, *BLANKS, *UNKNOWNS, *ENDS)])
        return Symbols(tokens, roles_by_names(tokens, separated=phones and not set(BOUNDARIES) & set(tokens)))
    except DataError as error:
        raise DataError(error.code, error.what, where=path, hint=error.hint) from None
