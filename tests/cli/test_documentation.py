"""The pages: every link leads somewhere, and every `sew` command in them has the verbs and options that it names."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from sewcli.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for pattern in ("*.md", "docs/*.md", "egs/*/*.md", "benchmarks/*.md") for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"(?<![\w./-])sew ((?:(?:lm|prep) )?[a-z][a-z0-9_-]*)((?: [^\n`|&;#<>]*)?)")
ROOT_COMMAND = typer.main.get_command(app)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path):
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_exists_with_its_options(page: Path):
    wrong = []
    for verb, words in _commands(page.read_text()):
        command = ROOT_COMMAND
        for part in verb.split():
            command = getattr(command, "commands", {}).get(part.replace("-", "_") if verb.startswith("prep ") else part)
        if command is None:
            wrong.append(f"sew {verb}: no such command")
            continue
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
            "--help"
        }
        wrong += [f"sew {verb} {word}: no such option" for word in words if word not in known]
    assert not wrong


def _commands(text: str) -> list[tuple[str, list[str]]]:
    """Verb and options of what stands as code: in blocks of `sh`, and between backticks."""
    text = re.sub(r"\\\n\s*", " ", text)
    code = re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(
        r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    )
    found = []
    for piece in code:
        for verb, rest in COMMAND.findall(piece):
            try:
                words = shlex.split(re.sub(r"[][,]", " ", rest.partition(" -- ")[0]))
            except ValueError:
                words = rest.split()
            found.append((verb, [word.split("=")[0] for word in words if word.startswith("--") and len(word) > 2]))
    return found


def test_the_check_finds_what_is_wrong():
    assert _commands("`sew decode --nonsense 3`\n```sh\nsew lm ngram --order 4 \\\n  --memory 2 # x\n```\n") == [
        ("lm ngram", ["--order", "--memory"]),
        ("decode", ["--nonsense"]),
    ]
