"""Emissions as a letter recogniser that errs would give for real sentences, for measuring searches without such a recogniser.

    apt-get download anarchism debian-policy debian-reference-en git-doc postgresql-doc-15 python3.11-doc
    for package in *.deb; do dpkg-deb -x $package documents; done
    python benchmarks/made_emissions.py documents --out data/made          # text_train.txt and text_test.txt, in capitals

Sentences come from pages of documentation (.html, .txt, .gz of both). In an emission a symbol has a frame or two and blanks
around it; some are heard as their neighbours in sound, some are missed, some are heard where nothing is said, and words
differ in how hard they are. Symbols may be pieces of words. Shapes: T frames at 50 Hz, V vocabulary.
"""

from __future__ import annotations

import argparse
import gzip
import html
import random
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sewcli.base.files import write_text
from sewcli.text.tokens import SPECIAL, Vocabulary

KINDS = (".html", ".txt", ".html.gz", ".txt.gz")
WORDS = (4, 60)  # in a sentence
HELD_OUT = 0.05  # of the sentences
ALIKE = (
    "AEIOUYH",
    "BPDTGKVE",
    "MN",
    "SZCXFTJ",
    "FVTHP",
    "WLRUO",
    "QKUC",
    "JGCH",
    "'S",
)  # what is heard for one another
PACE = 3.7  # frames a symbol
SURE = 9.5  # logit of a blank where nothing is said: more than 0.99 of the probability
EASE, HARDNESS, SPREAD = (
    7.0,
    8.05,
    1.7,
)  # nats from what is said to what is like it: for the easiest word, less for the hardest
MISSED, LOST = 6.5, 5.6  # nats from what is said to the blank, likewise
HEARD = 0.012  # share of the blank frames where a symbol that nobody said may be heard
SEED = 1
BLANK = Vocabulary.letters().blank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--out", type=Path, default=Path("data/made"))
    given = parser.parse_args()
    found = sorted(set(sentences(given.documents)))
    random.Random(SEED).shuffle(found)
    held = round(len(found) * HELD_OUT)
    given.out.mkdir(parents=True, exist_ok=True)
    for split, part in (("test", found[:held]), ("train", found[held:])):
        write_text(given.out / f"text_{split}.txt", "".join(f"{line}\n" for line in part))
        print(f"{split}: {len(part)} sentences, {sum(len(line.split()) for line in part)} words")


def sentences(documents: Path) -> Iterator[str]:
    """Sentences of all pages below a folder, in capitals, without those that hold numbers or signs."""
    for path in sorted(documents.rglob("*")):
        if path.name.endswith(KINDS) and path.is_file():
            raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            text = raw.decode("utf-8", "replace").replace("’", "'")
            if ".html" in path.name:
                text = re.sub(r"(?s)<(script|style|pre).*?</\1>|</(p|li|h\d|dt|dd|td|div)>", "\n\n", text)
                text = html.unescape(re.sub(r"(?s)<[^>]*>", " ", text))
            for paragraph in re.split(r"\n\s*\n", text):
                for sentence in re.split(r"(?<=[.!?:;])\s+", " ".join(paragraph.split())):
                    plain = re.sub(r"[\"(),;:.!?“”]", " ", sentence).upper().split()
                    if WORDS[0] <= len(plain) <= WORDS[1] and all(re.fullmatch(r"[A-Z]+('[A-Z]+)*", w) for w in plain):
                        yield " ".join(plain)


class Recogniser:
    """Makes emissions over a vocabulary.

    Args:
        vocabulary: letters, or pieces of words as well.
        hardness: of the hardest words; 1 makes a greedy WER of about 24 % with letters.
    """

    def __init__(self, vocabulary: Vocabulary, hardness: float = 1.0) -> None:
        self._vocabulary, self._hardness = vocabulary, hardness
        self._heard = [i for i, token in enumerate(vocabulary.tokens) if token not in SPECIAL]
        self._alike = [self._neighbours(i) for i in range(len(vocabulary))]

    def emission(self, text: str, seed: int) -> np.ndarray:
        """(T, V) float32 log-probabilities of `text`."""
        rng = np.random.default_rng([SEED, seed])
        rows = [self._quiet(rng, int(rng.integers(3, 12)))]
        for number, word in enumerate(text.split()):
            if number:
                rows.append(self._said(rng, self._vocabulary.boundary, 0.3 * rng.random()))
            hard = rng.beta(1.0, 2.2)
            rows += [self._said(rng, index, hard) for index in self._vocabulary.encode(word)]
        rows.append(self._quiet(rng, int(rng.integers(3, 12))))
        logits = np.concatenate(rows)
        shifted = logits - logits.max(axis=1, keepdims=True)
        return (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)

    def _said(self, rng: np.random.Generator, index: int, hard: float) -> np.ndarray:
        """Frames of a symbol and the quiet around it."""
        letters = max(1, len(self._vocabulary.tokens[index]))
        frames = self._quiet(rng, max(2, round(rng.gamma(9.0, PACE * letters / 9.0))))
        begin = int(rng.integers(0, len(frames) - 1))
        spike = frames[begin : begin + int(rng.integers(1, 3))]
        hard *= self._hardness
        top = SURE + 0.5
        spike[:, index] = top
        spike[:, BLANK] = top - rng.normal(MISSED - LOST * hard, SPREAD)
        for other in rng.permutation(self._alike[index])[:3]:
            spike[:, other] = top - rng.normal(EASE - HARDNESS * hard, SPREAD)
        return frames

    def _quiet(self, rng: np.random.Generator, count: int) -> np.ndarray:
        frames = rng.normal(0.0, 1.2, (count, len(self._vocabulary)))
        frames[:, list(range(1, 4))] -= 8.0  # symbols that no text has
        frames[:, BLANK] = SURE + 2.0 * np.log(len(self._vocabulary) / 32) + rng.normal(0.0, 0.5, count)
        for frame in np.flatnonzero(rng.random(count) < HEARD):
            frames[frame, rng.choice(self._heard)] = frames[frame, BLANK] - rng.normal(2.0, SPREAD)
        return frames

    def _neighbours(self, index: int) -> list[int]:
        """Symbols of the same length that differ in one letter, and in it only as letters of one group do."""
        own, tokens = self._vocabulary.tokens[index], self._vocabulary.tokens
        if own in SPECIAL:
            return [BLANK] if own != "|" else []
        found = []
        for other in self._heard:
            if len(tokens[other]) == len(own):
                pairs = [pair for pair in zip(own, tokens[other], strict=True) if pair[0] != pair[1]]
                if len(pairs) == 1 and any(pairs[0][0] in group and pairs[0][1] in group for group in ALIKE):
                    found.append(other)
        return found


if __name__ == "__main__":
    main()
