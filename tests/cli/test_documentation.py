"""The pages: every link and anchor leads somewhere, every command in them is one that the real app takes, and some are run.

Blocks of `sh` are parsed whole, as the shell and the app would; what stands between backticks may be a part of a command, so
there verbs and options are looked up. A block behind `<!-- runnable -->` is run, line by line, on a small corpus.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import typer.main
from support.shell_blocks import BLOCK, commands

from sewcli.base.errors import SewError
from sewcli.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for pattern in ("*.md", "docs/*.md", "egs/*/*.md", "benchmarks/*.md") for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
RUNNABLE = re.compile(r"<!-- runnable -->\n```sh\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"(?<![\w./-])sew ((?:(?:lm|prep) )?[a-z][a-z0-9_-]*)((?: [^\n`|&;#<>]*)?)")
ROOT_COMMAND = typer.main.get_command(app)
REFUSED = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
of_pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@of_pages
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path):
    assert _dead_links(page.read_text(), page) == []


@of_pages
def test_every_command_of_a_page_exists_with_its_options(page: Path):
    wrong = []
    for verb, options in _mentioned(page.read_text()):
        command = ROOT_COMMAND
        for part in verb.split():
            command = getattr(command, "commands", {}).get(part.replace("-", "_") if verb.startswith("prep ") else part)
        if command is None:
            wrong.append(f"sew {verb}: no such command")
            continue
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        wrong += [f"sew {verb} {option}: no such option" for option in options if option not in {*known, "--help"}]
    assert wrong == []


@of_pages
def test_every_line_of_shell_in_a_page_can_be_run(page: Path):
    assert [fault for block in BLOCK.findall(page.read_text()) for fault in _faults(block)] == []


def test_runnable_blocks_run(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sew_here):
    shutil.copytree(prepared, tmp_path / "data" / "librispeech")
    monkeypatch.chdir(tmp_path)
    lines = [words for page in PAGES for block in RUNNABLE.findall(page.read_text()) for words in commands(block)]
    assert len(lines) >= 5
    for words in lines:
        done = sew_here(*words[1:])
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}"


def test_the_checks_find_what_is_wrong(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# A heading: `code` here\n")
    text = "[a](page.md#a-heading-code-here) [b](page.md#nowhere) [c](none.md) [d](#nor-here)"
    assert _dead_links(text, page) == ["page.md#nowhere", "none.md", "#nor-here"]
    assert list(_mentioned("`sew decode --nonsense 3`\n```sh\nsew lm ngram --order 4 \\\n  --memory 2 # x\n```\n")) == [
        ("lm ngram", ["--order", "--memory"]),
        ("decode", ["--nonsense"]),
    ]
    for line in ("sew nonsense", "sew decode --nonsense", "sew decode --beam many", "sew lm ngram --order", "make nothing",
                 "bash egs/none/run.sh", "bash egs/librispeech/run.sh --nonsense", "python benchmarks/none.py"):  # fmt: skip
        assert _faults(line), line
    for line in (
        "sew decode --beam 5 # x",
        "FOO=1 sew models | head -1 && make lint",
        "bash egs/tedlium3/run.sh --mini",
    ):
        assert _faults(line) == [], line


def _dead_links(text: str, page: Path) -> list[str]:
    dead = []
    for target, anchor in LINK.findall(text):
        if "://" in target:
            continue
        path = page.parent / target if target else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in _anchors(path.read_text())):
            dead.append(f"{target}#{anchor}" if anchor else target)
    return dead


def _anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _mentioned(text: str) -> Iterator[tuple[str, list[str]]]:
    """Verb and options of what stands as code: in blocks of `sh`, and between backticks."""
    text = re.sub(r"\\\n\s*", " ", text)
    code = BLOCK.findall(text) + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for piece in code:
        for verb, rest in COMMAND.findall(piece):
            try:
                words = shlex.split(re.sub(r"[][,]", " ", rest.partition(" -- ")[0]))
            except ValueError:
                words = rest.split()
            yield verb, [word.split("=")[0] for word in words if word.startswith("--") and len(word) > 2]


def _faults(block: str) -> list[str]:
    faults = []
    for words in commands(block):
        name, *rest = words
        if name == "sew":
            faults += [f"{shlex.join(words)}: {fault}" for fault in _refused(rest)]
        elif name == "make":
            missing = {word for word in rest if "=" not in word} - TARGETS
            faults += [f"make {target}: no such target" for target in missing]
        elif name in ("bash", "python") and rest and rest[0].startswith(("egs/", "benchmarks/", "tests/")):
            script = ROOT / rest[0]
            if not script.is_file():
                faults.append(f"{rest[0]}: no such file")
            elif name == "bash":
                known = script.read_text()
                options = [word[2:].split("=")[0].replace("-", "_") for word in rest if re.match(r"--\S+$", word)]
                faults += [
                    f"{rest[0]} --{option}: no such option"
                    for option in options
                    if not re.search(rf"\b{option}\b", known)
                ]
    return faults


def _refused(words: list[str]) -> list[str]:
    """What the app says to a command line, which it reads and does not run."""
    command, context = ROOT_COMMAND, ROOT_COMMAND.context_class(ROOT_COMMAND, info_name="sew")
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    if hasattr(command, "commands"):
        return [] if words and words[0] in ("--help", "--version") else ["no such command"]
    try:
        command.make_context(command.name, list(words), parent=context)
    except typer.Exit:
        return []
    except (REFUSED, SewError) as error:
        return [str(getattr(error, "message", "") or error) or type(error).__name__]
    return []
