"""NIST's tools for the tests that hold ours against them, and random pairs of texts."""

import random
import subprocess
from pathlib import Path

import pytest

from sewcli.scoring.nist import sctk

TOOLS = sctk()
needs_sctk = pytest.mark.skipif(TOOLS is None, reason="NIST's scoring tools (Debian's sctk) are not installed")
WORDS = [f"w{n}" for n in range(30)]


def run(name: str, *arguments: str, cwd: Path, given: str | None = None) -> str:
    """What one of NIST's tools prints."""
    assert TOOLS is not None
    done = subprocess.run(
        [TOOLS / name, *arguments], cwd=cwd, input=given, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def corrupted(words: list[str], rate: float, rng: random.Random) -> list[str]:
    """Words with about so many substitutions, deletions and insertions."""
    out: list[str] = []
    for word in words:
        draw = rng.random()
        if draw < rate / 3:
            continue
        if draw < 2 * rate / 3:
            out.append(rng.choice(WORDS))
            continue
        if draw < rate:
            out.append(rng.choice(WORDS))
        out.append(word)
    return out


def random_pairs(count: int, *rates: float, seed: int = 0) -> list[list[list[str]]]:
    """References, and the hypotheses of a system a rate."""
    rng = random.Random(seed)
    references = [[rng.choice(WORDS) for _ in range(rng.randint(1, 25))] for _ in range(count)]
    return [references, *([corrupted(words, rate, rng) for words in references] for rate in rates)]


def write_trn(path: Path, texts: list[list[str]]) -> None:
    """A file of NIST's plainest format, twenty speakers."""
    path.write_text("".join(f"{' '.join(text)} (s{n % 20:02d}-{n:04d})\n" for n, text in enumerate(texts)))
