"""Sizes of the code by room, as a Markdown table: `python .ci/sizes.py [CHECKOUT]`. `make sizes` runs it.

Lines are those of Python files, blank ones and comments included. A function is typed when all its parameters but self and cls,
and what it returns, have annotations; its lines include the docstring; parameters do not count self and cls.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, median

Function = ast.FunctionDef | ast.AsyncFunctionDef
HEAD = (
    "room", "files", "lines", "median file", "largest file", "functions", "median", "largest function", "typed",
    "parameters, mean", "most",
)  # fmt: skip


def main() -> None:
    """Print the table."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    code = root / "sewcli"
    rooms = sorted(folder for folder in code.iterdir() if folder.is_dir() and any(folder.rglob("*.py")))
    groups = [(folder.name, sorted(folder.rglob("*.py"))) for folder in rooms]
    groups += [("(top)", sorted(code.glob("*.py"))), ("**sewcli**", sorted(code.rglob("*.py")))]
    groups += [(name, sorted((root / name).rglob("*.py"))) for name in ("tests", "benchmarks")]
    print("| " + " | ".join(HEAD) + " |\n|---" + "|---:" * (len(HEAD) - 1) + "|")
    for name, files in groups:
        print("| " + " | ".join([name, *_row(files)]) + " |")


def _row(files: Sequence[Path]) -> Iterator[str]:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    full = [count for count in lines.values() if count] or [0]  # without empty __init__.py
    largest = max(lines, key=lambda path: lines[path])
    functions = [found for path in files for found in _functions(ast.parse(path.read_text(encoding="utf-8")))]
    sizes = [_length(function) for function in functions] or [0]
    counts = [len(_parameters(function)) for function in functions] or [0]
    yield f"{len(full)}"
    yield f"{sum(full):,}"
    yield f"{median(full):.0f}"
    yield f"{largest.name} {lines[largest]}"
    yield f"{len(functions):,}"
    yield f"{median(sizes):.0f}"
    biggest = max(functions, key=_length, default=None)
    yield f"{biggest.name} {_length(biggest)}" if biggest else "-"
    yield f"{sum(map(_typed, functions)) / max(len(functions), 1):.1%}"
    yield f"{mean(counts):.1f}"
    yield f"{max(counts)}"


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _parameters(function: Function) -> list[ast.arg]:
    given = function.args
    return [arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs) if arg.arg not in ("self", "cls")]


def _typed(function: Function) -> bool:
    return function.returns is not None and all(arg.annotation for arg in _parameters(function))


if __name__ == "__main__":
    main()
