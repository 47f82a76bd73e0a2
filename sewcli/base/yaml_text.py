"""YAML of unknown origin: plain data, or one error that names the fault.

PyYAML lets pass, or answers with any exception: the same key twice, 10,000 brackets, values that their type does not
have, and aliases that unfold to more than the memory holds. All of these are a `ParseError` here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import yaml

from sewcli.base.errors import quoted
from sewcli.base.parsing import LONGEST_NUMBER, SURROGATE, ParseError, check_strings

DEEPEST = 200  # levels of nesting
LARGEST_YAML = 1_000_000  # values of a YAML file, an alias counted as what it stands for


def parse_yaml(text: str) -> Any:
    """The value of a YAML text: safe tags only, no key twice.

    Raises:
        ParseError: not YAML, or YAML that cannot be taken at its word.
    """
    try:
        value = yaml.load(text, Loader=_Loader)
        _check_size(value)
        if SURROGATE.search(text):
            check_strings(value)
    except ParseError:
        raise
    except RecursionError:
        raise ParseError("nested too deeply") from None
    except yaml.YAMLError as error:
        raise ParseError(" ".join(str(error).split())[:300]) from None
    except Exception as error:  # PyYAML's constructors raise what they like on `!!int x`, `!!bool x`, 2001-99-99
        raise ParseError(f"a value that its type does not have ({' '.join(str(error).split())[:80]})") from None
    return value


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
