"""What all verbs have in common: one name for one thing, positional or not, and help that fits 80 columns."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from sewcli.cli.app import app
from sewcli.cli.command import NAMES, SHOWN, WIDTH, reflow

ROOT = typer.main.get_command(app)


def verbs(group: Any = ROOT, before: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        words = (*before, name)
        if hasattr(command, "commands"):
            yield from verbs(command, words)
        else:
            yield " ".join(words), command


VERBS = dict(verbs())
WITH_POSITIONALS = [
    v for v, c in VERBS.items() if v != "submit" and any(p.param_type_name == "argument" for p in c.params)
]


def parsed(verb: str, *words: str) -> dict[str, Any]:
    return VERBS[verb].make_context(verb, list(words)).params


@pytest.mark.parametrize("verb", WITH_POSITIONALS)
def test_positional_arguments_are_options_too(verb: str) -> None:
    arguments = [p for p in VERBS[verb].params if p.param_type_name == "argument"]
    words = [f"given-{n}" for n in range(len(arguments))]
    own = ["--split=a"] if any(p.name == "split" and p.required for p in VERBS[verb].params) else []
    names = [next(name for name in NAMES[p.name] if not taken(verb, name)) for p in arguments]
    by_name = [part for name, word in zip(names, words, strict=True) for part in (name, word)]
    wanted = parsed(verb, *words, *own)
    assert parsed(verb, *by_name, *own) == wanted
    assert parsed(verb, *by_name[2:], words[0], *own) == wanted, "the first one alone by position"
    assert parsed(verb, *words[1:], *by_name[:2], *own) == wanted, "the first one alone by name"


def taken(verb: str, name: str) -> bool:
    return any(name in p.opts for p in VERBS[verb].params)


@pytest.mark.parametrize("verb", ["pretrain", "finetune", "decode", "tune", "selftrain", "pseudo-label"])
def test_options_take_positional_arguments(verb: str) -> None:
    own = ["--split=a"] if verb == "pseudo-label" else []
    wanted = parsed(verb, "--model", "exp/x", "--data", "data/y", *own)
    assert parsed(verb, "exp/x", "data/y", *own) == wanted
    assert parsed(verb, "data/y", "--model", "exp/x", *own) == wanted


def test_the_teacher_is_the_positional_argument_of_distill() -> None:
    assert parsed("distill", "exp/x", "--layers", "4") == parsed("distill", "--teacher", "exp/x", "--layers", "4")


def test_more_words_than_places_are_refused() -> None:
    for verb, words in {"decode": ("a", "b", "c"), "check": ("a", "b"), "export": ("a", "b", "c")}.items():
        with pytest.raises(Exception, match="unexpected extra argument"):
            parsed(verb, *words)


@pytest.mark.parametrize("verb", VERBS)
def test_what_many_verbs_have_is_called_alike(verb: str) -> None:
    """Every parameter of these names is the option of this name, or positional and taken by it."""
    for param in VERBS[verb].params:
        if param.name in (
            "model",
            "data",
            "out",
            "exp",
            "split",
            "lm",
            "device",
            "precision",
            "jobs",
            "seed",
            "json",
            "force",
        ):
            assert f"--{param.name}" in (*param.opts, *NAMES.get(param.name, ())), param.name


@pytest.mark.parametrize("verb", VERBS)
def test_at_most_twelve_options_stand_in_the_first_panel(verb: str) -> None:
    first = [p for p in VERBS[verb].params if p.param_type_name == "option" and not p.rich_help_panel]
    assert len(first) <= SHOWN


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_80_columns(verb: str) -> None:
    shown = CliRunner().invoke(app, [*verb.split(), "--help"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    assert max(map(len, shown.output.splitlines())) <= 80
    examples = [line for line in VERBS[verb].help.splitlines() if line.startswith("    ")]
    assert examples and max(map(len, examples)) <= WIDTH + 2, "an example that a terminal breaks"


def test_paragraphs_are_one_line_and_examples_can_be_copied() -> None:
    long = "sew decode " + " ".join(f"--name-{n} value" for n in range(8))
    shown = reflow(f"First\nline.\n\nSecond\nparagraph.\n\n    sew x  # why\n    {long}  # because")
    assert shown is not None
    first, second, examples = shown.split("\n\n")
    assert (first, second) == ("First line.", "Second paragraph.")
    lines = examples.splitlines()
    assert lines[:2] == ["    sew x  # why", "    # because"]
    assert " ".join(examples.split("# because\n")[1].replace("\\\n", " ").split()) == long
