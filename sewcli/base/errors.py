"""Errors for people, and the exit codes of every `sew` command.

A `SewError` says what is wrong, in which file or utterance, and what to do next. Anything else that leaves a command is a
bug. Codes: 0 done; 1 a bug; 2 usage, config or environment; 3 the data are not valid; 4 finished, but some inputs failed;
75 stopped politely, run me again; 130 Ctrl-C.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable

EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_PARTIAL = 4
EXIT_REQUEUE = 75
EXIT_INTERRUPTED = 130
LONGEST = 4000  # characters of a message; what a message quotes is cut short with `quoted`
QUOTED = 80


class SewError(Exception):
    """A failure explained to the user.

    Attributes:
        code: its kind, as in `no-such-split`: a name to search for and to catch by, which stays when the wording changes.
            docs/errors.md lists them all.
        what: what is wrong.
        where: the file or the utterance.
        hint: what to do next.
    """

    exit_code = EXIT_USAGE

    def __init__(
        self, code: str, what: str, *, where: str | os.PathLike[str] | None = None, hint: str | None = None
    ) -> None:
        what = what if len(what) <= LONGEST else f"{what[:LONGEST]} ... ({len(what):,} characters)"
        self.code, self.what, self.where, self.hint = code, what, where, hint
        super().__init__(code, what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where is not None else self.what
        first, newline, more = text.partition("\n")
        text = f"{first} [{self.code}]{newline}{more}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:  # keep where and hint across process boundaries
        return (_rebuild, (type(self), self.code, self.what, self.where, self.hint))


class UsageError(SewError):
    """The command line, the config or the machine (disk, permissions) does not fit: exit 2."""


class DataError(SewError):
    """The data are not valid: exit 3."""

    exit_code = EXIT_DATA


class PartialError(SewError):
    """The work is finished, but some inputs failed (they are listed in a file): exit 4."""

    exit_code = EXIT_PARTIAL


class PoliteStop(SewError):
    """A stop signal was served and everything is on disk: exit 75, run the same command again."""

    exit_code = EXIT_REQUEUE


def nearest(name: str, known: Iterable[str]) -> str:
    """A ` - did you mean 'x'?` clause for an unknown name, or the empty string when nothing is near."""
    matches = difflib.get_close_matches(name, map(str, known), n=1, cutoff=0.5)
    return f" - did you mean {matches[0]!r}?" if matches else ""


def quoted(value: object, limit: int = QUOTED) -> str:
    """A value of unknown origin for a message: as Python writes it, cut short after `limit` characters."""
    if isinstance(value, str | bytes):
        return repr(value) if len(value) <= limit else f"{value[:limit]!r}..."
    try:
        shown = repr(value)
    except Exception:  # an integer of 5,000 digits, a list within itself 10,000 times
        shown = f"a {type(value).__name__}"
    return shown if len(shown) <= limit else f"{shown[:limit]}..."


def _rebuild(
    cls: type[SewError], code: str, what: str, where: str | os.PathLike[str] | None, hint: str | None
) -> SewError:
    return cls(code, what, where=where, hint=hint)
