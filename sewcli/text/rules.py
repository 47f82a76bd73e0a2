"""Normalisation as a list of named rules, so that a report can say which rule changed how many texts.

A corpus's normaliser is a tuple of rules in `text/<corpus>.py`, each with the script it comes from beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sewcli.text.form import one_form


@dataclass(frozen=True, slots=True)
class Rule:
    """One step of a normaliser: its name, in the words of the report, and a pure function of the text."""

    name: str
    apply: Callable[[str], str]


def substitution(name: str, pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> Rule:
    """The rule that replaces every match of a regular expression."""
    compiled = re.compile(pattern)
    return Rule(name, lambda text: compiled.sub(replacement, text))


def normalise(text: str, rules: Sequence[Rule]) -> tuple[str, tuple[str, ...]]:
    """Apply `rules` in order, and squeeze white space at the end.

    Returns:
        The text, and the names of the rules that changed it.

    >>> normalise("uh [noise]  yes", [substitution("noises removed", r"\\[\\w+\\]", "")])
    ('uh yes', ('noises removed',))
    """
    changed = []
    for rule in rules:
        after = rule.apply(text)
        if after != text:
            changed.append(rule.name)
        text = after
    return one_form(text), tuple(changed)
