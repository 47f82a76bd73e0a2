"""JSON and YAML of unknown origin: plain data, or one error that names the fault; whatever the text, in bounded time.

Python's own parsers let pass, or answer with any exception: the same key twice (the last one wins in silence), NaN, numbers
beyond float64, half of a UTF-16 pair (which no file can be written with), 10,000 brackets, and YAML aliases that unfold to
more than the memory holds. All of these are a `ParseError` here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from typing import Any

import yaml

from sewcli.base.errors import quoted

DEEPEST = 200  # levels of nesting
LONGEST_NUMBER = 300  # digits: within float64; transformers writes model_max_length with 31
LARGEST_YAML = 1_000_000  # values of a YAML file, an alias counted as what it stands for
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
        _check_strings(value)
    return value


def parse_yaml(text: str) -> Any:
    """The value of a YAML text: safe tags only, no key twice.

    Raises:
        ParseError: not YAML, or YAML that cannot be taken at its word.
    """
    try:
        value = yaml.load(text, Loader=_Loader)
        _check_size(value)
        if SURROGATE.search(text):
            _check_strings(value)
    except ParseError:
        raise
    except RecursionError:
        raise ParseError("nested too deeply") from None
    except yaml.YAMLError as error:
        raise ParseError(" ".join(str(error).split())[:300]) from None
    except Exception as error:  # PyYAML's constructors raise what they like on `!!int x`, `!!bool x`, 2001-99-99
        raise ParseError(f"a value that its type does not have ({' '.join(str(error).split())[:80]})") from None
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


def _check_strings(value: Any, key: str = "") -> None:
    """Refuse half of a UTF-16 pair; the parser has bounded the depth."""
    if isinstance(value, str):
        try:
            value.encode("utf-8", "surrogateescape" if key in OF_FILES else "strict")
        except UnicodeEncodeError:
            raise ParseError(f"{quoted(value)} holds half of a surrogate pair, which is no text") from None
    elif isinstance(value, dict):
        for name, each in value.items():
            _check_strings(name)
            _check_strings(each, name)
    elif isinstance(value, list):
        for each in value:
            _check_strings(each, key)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses a key that stands twice."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ParseError("nested too deeply")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for name, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = (name.tag, name.value) if isinstance(name, yaml.ScalarNode) else None
            if key in seen:
                raise ParseError(f"line {name.start_mark.line + 1}: the key {quoted(name.value)} stands twice")
            seen |= {key} - {None}
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: Any) -> int:
        if len(node.value) > LONGEST_NUMBER:
            raise ParseError(f"a number of {len(node.value):,} digits")
        return int(super().construct_yaml_int(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _check_size(value: Any) -> None:
    """Refuse aliases that stand for themselves, or unfold to too much: each is counted wherever it stands."""
    sizes: dict[int, int] = {}
    open_now: set[int] = set()
    waiting: list[tuple[Any, Iterator[Any]]] = [(value, _children(value))]
    while waiting:
        at, rest = waiting[-1]
        open_now.add(id(at))
        child = next((each for each in rest if isinstance(each, dict | list) and id(each) not in sizes), None)
        if child is not None:
            if id(child) in open_now:
                raise ParseError("an alias that stands for itself")
            waiting.append((child, _children(child)))
            continue
        sizes[id(at)] = 1 + sum(sizes.get(id(each), 1) for each in _children(at))
        open_now.discard(id(at))
        waiting.pop()
        if sizes[id(at)] > LARGEST_YAML:
            raise ParseError(f"its aliases unfold to more than {LARGEST_YAML:,} values")


def _children(value: Any) -> Iterator[Any]:
    return iter(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
