"""What every verb has in common: positional arguments that are options too, and the other way round; help that fits 80 columns.

`sew align exp/x data/y`, `sew align --model exp/x --data data/y` and `sew align data/y --model exp/x` are one command, and
so are `sew decode exp/x` and `sew decode --model exp/x`. Names that are taken and not shown stand in `NAMES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from textwrap import wrap
from typing import Any

import typer.core

WIDTH = 76  # columns of an example
SHOWN = 12  # options of a verb; with more than these, those of RARE have a panel of their own
NAMES = {  # parameter -> options that it is taken by as well
    "model": ("--model", "--exp"),
    "models": ("--model", "--exp"),
    "name": ("--model",),
    "data": ("--data",),
    "out": ("--out", "-o"),
    "folders": ("--exp", "--folder"),
    "experiments": ("--exp",),
    "folder": ("--folder",),
    "files": ("--audio", "--file"),
    "texts": ("--text",),
    "inputs": ("--input",),
    "source": ("--source",),
}
FREE = ("teacher", "model", "data")  # options that take positional arguments, in a verb that has none of its own
RARE = (
    *("beside", "digits", "dry_run", "init", "jobs", "keep_emissions", "lexicon", "lexicon_free", "nbest", "precision"),
    *("print_config", "rate", "root", "runtime", "search", "shard", "trials"),
)


class Verb(typer.core.TyperCommand):
    """A verb."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.help = reflow(self.help)
        options = [param for param in self.params if param.param_type_name == "option"]
        for option in options:
            if len(options) > SHOWN and option.name in RARE:
                option.rich_help_panel = "More"  # type: ignore[attr-defined]

    def make_parser(self, ctx: Any) -> Any:
        """The parser of the declared parameters, which takes them in either form."""
        parser: Any = super().make_parser(ctx)
        parse, declared = parser.parse_args, [name for param in self.params for name in param.opts]
        for param in self.params:
            taken = [name for name in NAMES.get(param.name or "", ()) if name not in declared]
            if param.param_type_name == "argument":
                parser.add_option(param, taken, _by_name(param), action="append")
            elif taken:
                parser.add_option(param, taken, param.name)
            declared += taken

        def either(args: list[str]) -> tuple[dict[str, Any], list[str], list[Any]]:
            values, surplus, order = parse(args)
            return values, self._distribute(values, surplus), order

        parser.parse_args = either
        return parser

    def _distribute(self, values: dict[str, Any], surplus: list[str]) -> list[str]:
        """Give positional words to the parameters that have none by name; returns what is left."""
        arguments = [param for param in self.params if param.param_type_name == "argument"]
        words = [word for param in arguments for word in _words(values.pop(param.name, None))] + surplus
        for param in arguments:
            named = values.pop(_by_name(param), [])
            if param.nargs != 1:
                values[param.name or ""], words = (*named, *words) or None, []
            elif named or words:
                values[param.name or ""] = named[-1] if named else words.pop(0)
        if not arguments:
            free = {param.name for param in self.params} - values.keys()
            for name in [name for name in FREE if name in free][: len(words)]:
                values[name] = words.pop(0)
        return words


class Group(typer.core.TyperGroup):
    """A group of verbs."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.help = reflow(self.help)


def reflow(text: str | None) -> str | None:
    """A help text with each paragraph in one line, which the terminal wraps; tables and examples keep their lines."""
    if text is None:
        return None
    return "\n\n".join(_paragraph(part.splitlines()) for part in cleandoc(text).split("\n\n"))


def _paragraph(lines: list[str]) -> str:
    if any("  " in line for line in lines):
        return "\n".join(shown for line in lines for shown in _example(line))
    return " ".join(line.strip() for line in lines)


def _example(line: str) -> Iterator[str]:
    """A line; a command that is too long has its comment above it, and goes on in the next line behind a backslash."""
    command, _, comment = line.partition("  # ")
    if len(line) <= WIDTH or not line.startswith("    "):
        yield line.rstrip()
        return
    if comment:
        yield f"    # {comment.strip()}"
    goes_on = command.rstrip().endswith("\\")
    parts = wrap(
        command.strip(" \\"),
        WIDTH - 2,
        initial_indent="    ",
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield " \\\n".join(parts) + " \\" * goes_on


def _by_name(param: Any) -> str:
    return f"{param.name} by name"


def _words(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else [word for word in value if word is not None]
