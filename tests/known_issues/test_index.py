"""Every known fault has a row in docs/compatibility.md and a test that carries its number."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ((?:report|input)-\d+|[WF]\d+) \|.*\| (right|refused|partly) \|", re.MULTILINE)
UNUSED = {"report": {40, 41, 44, 57, 58}, "input": {35}}  # numbers that stand for nothing
EXPECTED = (
    {f"report-{n}" for n in range(1, 67) if n not in UNUSED["report"]}
    | {f"input-{n}" for n in range(1, 38) if n not in UNUSED["input"]}
    | {f"W{n}" for n in range(1, 15)}
    | {f"F{n}" for n in range(1, 13)}
)


def marked() -> dict[str, set[str]]:
    """Numbers of `@pytest.mark.fault(...)` and of `pytest.param(..., marks=...)`, and the files that they are in."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fault":
                for argument in node.args:
                    if isinstance(argument, ast.Constant):
                        found.setdefault(str(argument.value), set()).add(path.name)
    return found


def test_every_fault_has_a_row():
    rows = [number for number, _ in ROW.findall((ROOT / "docs/compatibility.md").read_text())]
    assert sorted(rows) == sorted(EXPECTED)


def test_every_row_has_a_test():
    assert sorted(EXPECTED - set(marked())) == []


def test_every_part_that_is_missing_is_explained():
    text = (ROOT / "docs/compatibility.md").read_text()
    partly = re.findall(r"^\| (\S+) \|[^|]*(?:\\\|[^|]*)*\| partly \| ([^|]*) \|$", text, re.MULTILINE)
    assert len(partly) == sum(verdict == "partly" for _, verdict in ROW.findall(text))
    assert all(len(reason.split()) > 5 for _, reason in partly)
