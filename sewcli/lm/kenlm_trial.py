"""`python -m sewcli.lm.kenlm_trial FILE`: load a KenLM binary and score with it, in a process whose death costs nothing.

Each word is scored by itself, then pairs (all of a small model's) and longer sequences, for a second or two: what is damaged
where the search goes often shows here.
"""

from __future__ import annotations

import itertools
import mmap
import os
import random
import sys

SCORES = 1_000_000
HALF = SCORES // 2


def words_of(path: str) -> list[str]:
    """Those at the end of a binary; none where it was built without."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        begin = content.rfind(b"<unk>\0")
        return [word.decode("utf-8", "replace") for word in content[begin:].split(b"\0") if word] if begin >= 0 else []


def use(path: str) -> None:
    """Load a model and score with it."""
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    numbers = Dictionary()
    for word in dict.fromkeys(words_of(path)) or ["<unk>"]:
        numbers.add_entry(word)
    count = numbers.index_size()
    model = KenLM(path, numbers)
    draw = random.Random(0)
    for empty in (False, True):
        start = model.start(empty)
        for number in range(min(count, SCORES // 10)):
            model.score(start, number)
    state = model.start(False)
    pairs = itertools.product(range(count), repeat=2) if count * count <= HALF else ()
    for first, second in pairs:
        model.score(model.score(state, first)[0], second)
    for _ in range(HALF):
        state, _ = model.score(state, draw.randrange(count))
    model.finish(state)


if __name__ == "__main__":
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        use(sys.argv[1])
    except (RuntimeError, MemoryError) as error:
        print((str(error).strip().splitlines() or ["not a language model"])[-1], file=sys.stderr)
        sys.exit(3)
