"""Every error has a code, and docs/errors.md lists them all."""

import ast
import re

from support.error_page import ROOT, page, raised

CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+){1,4}")
PASSED_ON = {
    "error.code",
    "code",
    "known[0]",
}  # of an error that is raised again elsewhere; of base/refusals.py's table


def test_every_error_has_a_code_that_can_be_searched_for():
    wrong = []
    for path, _, call in raised():
        code = call.args[0]
        literal = isinstance(code, ast.Constant) and CODE.fullmatch(str(code.value))
        if len(call.args) != 2 or not (literal or ast.unparse(code) in PASSED_ON):
            wrong.append(f"{path}:{call.lineno}")
    assert not wrong


def test_the_same_message_has_the_same_code():
    codes: dict[str, set[str]] = {}
    for _, _, call in raised():
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[1], ast.Constant):
            codes.setdefault(str(call.args[1].value), set()).add(str(call.args[0].value))
    assert not {message: found for message, found in codes.items() if len(found) > 1}


def test_the_page_lists_them():
    made = "python tests/support/error_page.py > docs/errors.md"
    assert (ROOT / "docs/errors.md").read_text() == page(), made
