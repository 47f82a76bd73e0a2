"""JSON of unknown origin (and what YAML shares with it): plain data, or one error that names the fault, in bounded time.

Python's own parser lets pass, or answers with any exception: the same key twice (the last one wins in silence), NaN, numbers
beyond float64, half of a UTF-16 pair (which no file can be written with), 10,000 brackets: here a `ParseError`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from sewcli.base.errors import quoted

LONGEST_NUMBER = 300  # digits: within float64; transformers writes model_max_length with 31
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
OF_FILES = frozenset({"source", "path", "file", "files", "older", "recording", "audio", "audio_filepath"})
"""Keys whose values may be names of files, and these may be bytes that are not UTF-8 (Python's surrogateescape)."""


class ParseError(ValueError):
    """What is wrong with a text."""


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ParseError: not JSON, or JSON that cannot be taken at its word.
    """
    try:
        value = _JSON.decode(text)
    except RecursionError:
        raise ParseError("nested too deeply") from None
    if SURROGATE.search(text):
        check_strings(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ParseError(f"the key {quoted(key)} stands twice in one object")
            seen.add(key)
    return found


def _constant(name: str) -> Any:
    raise ParseError(f"{name} is not JSON")


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ParseError(f"a number of {len(text):,} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ParseError(f"{quoted(text)} is beyond any number")
    return value


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_number)


def check_strings(value: Any, key: str = "") -> None:
    """Refuse half of a UTF-16 pair; the parser has bounded the depth."""
    if isinstance(value, str):
        try:
            value.encode("utf-8", "surrogateescape" if key in OF_FILES else "strict")
        except UnicodeEncodeError:
            raise ParseError(f"{quoted(value)} holds half of a surrogate pair, which is no text") from None
    elif isinstance(value, dict):
        for name, each in value.items():
            check_strings(name)
            check_strings(each, name)
    elif isinstance(value, list):
        for each in value:
            check_strings(each, key)
