"""The shell in the pages: blocks of `sh`, and the commands in them."""

import re
import shlex
from collections.abc import Iterator

BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def commands(block: str) -> Iterator[list[str]]:
    """The simple commands of a piece of shell, in words; assignments, redirections and comments are left out."""
    for line in re.sub(r"\\\n\s*", " ", block).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        skip = False
        for word in [*lexer, ";"]:
            if word in ("<", ">", ">>", "2>"):
                skip = True
            elif set(word) <= set("|&;"):
                if words:
                    yield words
                words = []
            elif skip:
                skip = False
            elif words or not re.fullmatch(r"\w+=.*", word):
                words.append(word)
