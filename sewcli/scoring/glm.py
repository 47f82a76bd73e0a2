"""NIST's global mapping files (GLM): which spellings of a word scoring takes for the same, applied to both sides.

Format and order of the rules: SCTK's rfilter1 (`A => B / [left] __ [right]`; at each place the first rule that fits, which sees
the text as it was given); what happens around them: SCTK's csrfilt.sh with `-dh`, as its hubscr.pl calls it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sewcli.base.errors import DataError
from sewcli.base.regular import require_regular

_APPLIES = re.compile(r';;\s+INPUT_DEPENDENT_APPLICATION\s*=\s*"([^"]*)"')
_CONTEXT = re.compile(r"/(?=[^/]*_)(?![^\[\]]*\])")  # a slash within brackets belongs to the words
_HEADER = re.compile(r"""\*\s*(\w+).*?["']([^"']*)["']""")


@dataclass(frozen=True, slots=True)
class Rule:
    """`source` becomes `target` where `left` stands before it and `right` after it; all as written, blanks included."""

    source: str
    target: str
    left: str
    right: str


class SpellingMap:
    """The rules of a GLM for one side: references (an STM) or hypotheses (a CTM)."""

    def __init__(self, rules: Sequence[Rule], *, case_sensitive: bool = False) -> None:
        self._case_sensitive = case_sensitive
        self._by_first: dict[str, list[Rule]] = {}
        for rule in rules:
            if rule.source:
                self._by_first.setdefault(self._fold(rule.source[0]), []).append(rule)

    def words(self, text: str) -> str:
        """A transcript as it is aligned: capitals, rules applied, hyphens parted, `(A B)` as `(A) (B)`.

        >>> rules = parse_glm([";;", "OKAY => O. K. / [ ] __ [ ]", "[HE'S] => [{HE IS / HE HAS}]"], side="ref")
        >>> rules.words("okay (well-off men) he's th-")
        'O. K. (WELL) (OFF) (MEN) {HE IS / HE HAS} TH-'
        """
        text = " ".join(text.split()).translate(_CAPITALS)
        text = self._apply(" " + f" {text} ".replace("(", "( ").replace(")", " )") + " ")
        text = re.sub(r"([^( ])-(?=[^) ])", r"\1 ", text)
        text = re.sub(r"\(([^()]*)\)", lambda match: _optional(match[1]), text)
        return " ".join(text.split())

    def _apply(self, text: str) -> str:
        folded = self._fold(text)
        out: list[str] = []
        place = 0
        while place < len(text):
            for rule in self._by_first.get(folded[place], ()):
                if self._fits(rule, folded, place):
                    out.append(rule.target)
                    place += len(rule.source)
                    break
            else:
                out.append(text[place])
                place += 1
        return "".join(out)

    def _fits(self, rule: Rule, text: str, place: int) -> bool:
        end = place + len(rule.source)
        return (
            text.startswith(self._fold(rule.source), place)
            and text.startswith(self._fold(rule.right), end)
            and text.endswith(self._fold(rule.left), 0, place)
        )

    def _fold(self, text: str) -> str:
        return text if self._case_sensitive else text.translate(_CAPITALS)


def read_glm(path: str | Path, *, side: str) -> SpellingMap:
    """The rules of a file for one side, `ref` or `hyp`.

    Raises:
        DataError: it cannot be read, or a line is no rule.
    """
    try:
        require_regular(path)
        lines = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8).decode("latin-1").splitlines()
    except OSError as error:
        raise DataError("cannot-read", f"cannot be read ({error.strerror})", where=path) from None
    try:
        return parse_glm(lines, side=side)
    except DataError as error:
        raise DataError(error.code, error.what, where=path, hint=error.hint) from None


def parse_glm(lines: Sequence[str], *, side: str) -> SpellingMap:
    """As `read_glm`, of lines at hand. The first one opens with what marks a comment.

    Raises:
        DataError: a line is no rule.
    """
    comment = lines[0].split(None, 1)[0] if lines and lines[0].strip() else ";;"
    kinds = {"ref": ("stm", "ref"), "hyp": ("ctm", "hyp")}[side]
    rules: list[Rule] = []
    case_sensitive, applies = True, True  # as rfilter1 has it where the file is silent
    for number, line in enumerate(lines, start=1):
        if match := _APPLIES.match(line):
            applies = any(re.search(match[1].lower(), kind) for kind in kinds)
        content = line.split(comment, 1)[0].strip()
        if number == 1 or not applies or not content:
            continue
        if content.startswith("*"):
            if (header := _HEADER.match(content)) and header[1].lower() == "case_sensitive":
                case_sensitive = header[2].strip().upper().startswith(("T", "Y", "1"))
        elif "=>" in content:
            rules.append(_rule(content))
        else:
            raise DataError(
                "invalid-glm", f"line {number}: a rule without an arrow: {content!r}", hint="write it as A => B"
            )
    return SpellingMap(rules, case_sensitive=case_sensitive)


def with_room(text: str) -> str:
    """A GLM for rfilter1, which aborts where a file states the exact number of its rules as `max_nrules`, or less."""
    room = 16 + sum("=>" in line for line in text.splitlines())
    return re.sub(r"""(?im)^(\*\s*max_nrules\s*=\s*["'])\d+""", rf"\g<1>{room}", text)


def _rule(content: str) -> Rule:
    source, _, rest = content.partition("=>")
    slash = next(_CONTEXT.finditer(rest), None)
    if slash is None:
        return Rule(_bare(source), _bare(rest), "", "")
    left, _, right = rest[slash.end() :].partition("_")
    return Rule(_bare(source), _bare(rest[: slash.start()]), _bare(left), _bare(right.lstrip("_")))


def _optional(words: str) -> str:
    """Each word by itself, so too those of alternatives that a rule made (which sclite cannot read)."""
    tokens = re.findall(r"[{}/]|[^\s{}/]+" if "{" in words else r"\S+", words)
    return " ".join(token if token in "{}/" else f"({token})" for token in tokens)


def _bare(text: str) -> str:
    """Without the blanks around, or with those that brackets or quotes hold."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] + text[-1] in ("[]", '""') else text


_CAPITALS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")  # as perl's tr/a-z/A-Z/
