"""docs/errors.md, made of the places where errors are raised: `python tests/support/error_page.py > docs/errors.md`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
KINDS = {"UsageError": 2, "DataError": 3, "PartialError": 4, "PoliteStop": 75, "SewError": 2}
HEAD = """# Error codes

Each message of `sew` ends its first line with a code: `error: data/mini: no split 'dev' [no-such-split]`. It is also
`error.code` in Python. Codes stay when the wording changes. Below: each code, the exit codes it comes with, and its messages.

| code | exit | messages |
|---|---|---|
"""


def raised() -> Iterator[tuple[str, str, ast.Call]]:
    """Each error that is made: its file, its kind and the call."""
    for path in sorted((ROOT / "sewcli").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                yield str(path.relative_to(ROOT)), node.func.id, node


def page() -> str:
    """The text of docs/errors.md."""
    messages: dict[str, set[str]] = {}
    exits: dict[str, set[int]] = {}
    for _, kind, call in raised():
        if isinstance(call.args[0], ast.Constant):
            code = str(call.args[0].value)
            messages.setdefault(code, set()).add(_shown(call.args[1]))
            exits.setdefault(code, set()).add(KINDS[kind])
    rows = (
        f"| `{code}` | {', '.join(map(str, sorted(exits[code])))} | {'; '.join(sorted(messages[code] - {''}))} |\n"
        for code in sorted(messages)
    )
    return HEAD + "".join(rows)


def _shown(message: ast.expr) -> str:
    """A message with `...` where a value stands; nothing of one that is made elsewhere."""
    if isinstance(message, ast.Constant):
        text = str(message.value)
    elif isinstance(message, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in message.values)
    else:
        return ""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "\\<").strip()


if __name__ == "__main__":
    print(page(), end="")
