"""`sew recipes --check-figures`: every figure of a paper that the project carries is that of the one table.

Recipes state no rates of their own. docs/published.md and docs/recipes.md are what their commands write, the paper's columns of
docs/models.md and of the tables marked `<!-- figures: NAME -->` in docs/ and egs/ are compared cell by cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sewcli
from sewcli.base.config import read_yaml
from sewcli.models.figure_blocks import BLOCKS
from sewcli.models.paper import ROWS
from sewcli.models.published import published
from sewcli.models.published_page import page as published_page
from sewcli.training.recipes_page import page as recipes_page
from sewcli.training.recipes_page import recipes

ROOT = Path(sewcli.__file__).parent.parent
MARK = re.compile(r"<!-- figures: (?P<name>[\w-]+) -->")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
PAGES = {"docs/published.md": published_page, "docs/recipes.md": recipes_page}


@dataclass
class Comparison:
    """What was compared: how many figures, in which places, and each difference in a line."""

    figures: int = 0
    places: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def compare(self, place: str, found: str, wanted: str) -> None:
        """One cell or line."""
        self.figures += len(NUMBER.findall(wanted))
        if found != wanted:
            self.differences.append(f"{place}: {found or 'nothing'}, where the table has {wanted or 'nothing'}")


def check_figures(root: Path = ROOT) -> Comparison:
    """Compare all that is there; a package without docs/ and egs/ has only its recipes."""
    result = Comparison()
    _recipes(result)
    for name, written in PAGES.items():
        if (root / name).is_file():
            _page(result, name, (root / name).read_text(encoding="utf-8"), written())
    if (root / "docs/models.md").is_file():
        _models(result, (root / "docs/models.md").read_text(encoding="utf-8"))
    marked: set[str] = set()
    for file in sorted([*root.glob("docs/*.md"), *root.glob("egs/*/*.md")]):
        marked |= _blocks(result, str(file.relative_to(root)), file.read_text(encoding="utf-8").splitlines())
    if (root / "docs").is_dir():
        result.differences += [f"no table is marked <!-- figures: {name} -->" for name in BLOCKS if name not in marked]
    return result


def _recipes(result: Comparison) -> None:
    result.places.append(f"recipes ({len(published()):,} figures in the table)")
    for verb, name, recipe in recipes():
        own = (read_yaml(recipe.path).get("about") or {}).get("wer")
        if own:
            result.differences.append(f"recipe {verb}/{name}: states {own} itself")
        rates = recipe.about.wer if recipe.about else {}
        result.figures += len(NUMBER.findall(rates if isinstance(rates, str) else " ".join(rates.values())))


def _page(result: Comparison, name: str, found: str, wanted: str) -> None:
    result.places.append(name)
    lines, expected = found.splitlines(), wanted.splitlines()
    for number in range(max(len(lines), len(expected))):
        pair = [text[number] if number < len(text) else "" for text in (lines, expected)]
        result.compare(f"{name}:{number + 1}", *pair)


def _models(result: Comparison, text: str) -> None:
    result.places.append("docs/models.md")
    table, printed = 0, {}
    for line in text.splitlines():
        if title := re.match(r"## Table (\d+)\.", line):
            table = int(title[1])
        elif len(row := _cells(line)) == 7:
            printed[table, row[0], row[1]] = row
    for each in ROWS:
        found = printed.get((each.table, each.row, f"`{each.model}`"), [""] * 7)
        place = f"docs/models.md, table {each.table}, {each.row}"
        result.compare(place, found[2], each.parameters)
        result.compare(place, found[5], each.extractor or "")


def _blocks(result: Comparison, place: str, lines: list[str]) -> set[str]:
    names = set()
    for number, line in enumerate(lines):
        if mark := MARK.fullmatch(line.strip()):
            name = mark["name"]
            names.add(name)
            result.places.append(f"{place} ({name})")
            if name in BLOCKS:
                _block(result, f"{place}, {name}", list(_table(lines[number + 1 :])), BLOCKS[name]())
            else:
                result.differences.append(f"{place}: no figures are called {name}")
    return names


def _block(result: Comparison, place: str, table: list[list[str]], wanted: list[dict[str, str]]) -> None:
    head, rows = (table[0], table[2:]) if len(table) > 2 else ([], [])
    missing = [column for column in wanted[0] if column not in head]
    if missing or len(rows) != len(wanted):
        result.differences.append(
            f"{place}: {len(rows)} rows for {len(wanted)}, without {', '.join(missing) or 'none'}"
        )
        return
    for row, cells in zip(wanted, rows, strict=True):
        for column, text in row.items():
            result.compare(f"{place}, {' '.join(list(row.values())[:2])}, {column}", cells[head.index(column)], text)


def _table(lines: list[str]) -> Iterator[list[str]]:
    for line in lines:
        if row := _cells(line):
            yield row
        elif line.strip():
            return


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip()[1:-1].split("|")] if line.startswith("|") else []
