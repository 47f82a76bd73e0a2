"""fairseq's dictionaries of a recogniser's symbols, `dict.ltr.txt`: read, and written from symbols in any order.

The first four outputs are `<s>`, which is the CTC blank (transformers calls the same output `<pad>`), `<pad>`, `</s>` and
`<unk>`; the file lists what follows, a symbol and a count a line. The word boundary is `|`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sewcli.base import log
from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.base.files import write_text
from sewcli.base.regular import require_regular
from sewcli.text.token_roles import SPECIAL, are_phones, roles_by_names
from sewcli.text.tokens import Vocabulary

DICTIONARY = "dict.ltr.txt"
SPECIAL_SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>"]
NEVER = -1e4  # bias of an output that was not there before


def arranged(vocabulary: Vocabulary) -> tuple[list[int | None], list[str]]:
    """Which output becomes each of fairseq's (None: a new one), and its symbols from the fifth on.

    Raises:
        UsageError: symbols that a dictionary cannot hold.
    """
    tokens, roles = vocabulary.tokens, vocabulary.roles
    special: list[int | None] = [vocabulary.blank]
    for role in ("bos_token", "eos_token", "unk_token"):
        index = tokens.index(roles.names[role]) if role in roles.names else None
        special.append(None if index in special or index not in vocabulary.silent else index)
    letters = [i for i in range(len(tokens)) if i not in vocabulary.silent]
    written = {i: tokens[i].lower() if roles.lower_case else tokens[i] for i in letters}
    written |= {vocabulary.boundary: SPECIAL[-1]} if vocabulary.boundary is not None else {}
    symbols = [written[i] for i in letters]
    strange = [s for s in symbols if len(s.split()) != 1 or s in SPECIAL_SYMBOLS or symbols.count(s) > 1]
    strange += [text for i, text in roles.written.items() if i != vocabulary.boundary]
    if strange:
        raise UsageError(
            "no-fairseq-form",
            f"fairseq's dictionaries cannot hold the symbol {strange[0]!r} of this model",
            hint="export to another format",
        )
    return [*special, *letters], symbols


def rearranged(values: Tensor, rows: Sequence[int | None]) -> Tensor:
    """The rows in this order. A new one is zeros, and in a bias so low that its symbol is never the best."""
    new = torch.full_like(values[0], NEVER if values.dim() == 1 else 0.0)
    return torch.stack([new if row is None else values[row] for row in rows])


def write_dictionary(symbols: Sequence[str], folder: Path) -> None:
    """Write `dict.ltr.txt`; the counts say no more than the order."""
    lines = [f"{symbol} {len(symbols) + len(SPECIAL_SYMBOLS) - number}\n" for number, symbol in enumerate(symbols)]
    write_text(folder / DICTIONARY, "".join(lines))


def read_dictionary(content: Mapping[str, Any], size: int, path: Path, given: Path | None) -> Vocabulary:
    """The symbols of a fine-tuned checkpoint.

    Args:
        content: of the checkpoint.
        size: outputs of its CTC layer.
        path: of the checkpoint.
        given: a dictionary to take in place of the checkpoint's own or the one beside it.

    Raises:
        DataError: the dictionary is broken, or of another size.
    """
    state = content.get("task_state")
    held = state.get("target_dictionary") if isinstance(state, dict) else None
    file = given or (path.parent / DICTIONARY)
    if given is None and isinstance(held, dict) and isinstance(held.get("symbols"), list):
        symbols, where = [str(symbol) for symbol in held["symbols"]], path
        if symbols[:4] != SPECIAL_SYMBOLS:
            raise DataError("not-a-dictionary", f"a dictionary that begins with {symbols[:4]}", where=path)
        symbols = symbols[4:]
    elif given is not None or file.is_file():
        try:
            require_regular(file)
            symbols, where = (
                [line.split()[0] for line in file.read_text("utf-8-sig").splitlines() if line.split()],
                file,
            )
        except (OSError, UnicodeDecodeError) as error:
            raise DataError("not-a-dictionary", f"not a dictionary ({error})", where=file) from None
    else:
        log.info(f"{path}: no dictionary in the file or beside it; taking the 32 letters of the published models")
        symbols, where = list(Vocabulary.letters().tokens[4:]), path
    if len(symbols) + 4 != size:
        raise DataError(
            "vocabulary-size",
            f"the CTC layer has {size} outputs, the dictionary {len(symbols) + 4} symbols",
            where=where,
            hint=f"give the {DICTIONARY} of this model with --dictionary",
        )
    try:
        tokens = (*SPECIAL[:4], *symbols)
        return Vocabulary(tokens, roles_by_names(tokens, separated=are_phones(symbols)))
    except SewError as error:
        raise DataError(error.code, error.what, where=where) from None
