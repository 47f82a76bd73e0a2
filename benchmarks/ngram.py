"""How fast and in how much memory is an n-gram model estimated? `sew lm ngram` beside KenLM's `lmplz`, on one made text.

    PATH=.../kenlm/build/bin:$PATH python benchmarks/ngram.py --words 20000000

The text has a vocabulary by Zipf's law and words that follow one another, so that counts fall off as in real text. Each way
runs as its users run it, as a process of its own on one core, one after another: ours in memory, ours with a small budget
(sorted in files), and lmplz with that budget, the last two pruned as well. Told are wall and CPU seconds, the most memory of
its own (RssAnon) and with mapped file pages (VmHWM), n-grams written, and whether the models agree: as many n-grams of each
order, and the same score of a text that was held out (by the `kenlm` module). lmplz is left out where it is not on PATH.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import circumstances

from sewcli.base.files import write_json
from sewcli.lm.arpa import read_header

LETTERS = np.array(["", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
TYPES = 2_000_000  # many are seen once
LONGEST = 10  # letters a word
LENGTH = 20  # words a sentence
AT_ONCE = 100_000  # sentences
HELD_OUT = 2000  # sentences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=20_000_000)
    parser.add_argument("--order", type=int, default=4)
    parser.add_argument("--budget", type=float, default=1.0, help="GB, of those that sort in files")
    parser.add_argument("--folder", type=Path, help="for text and models; a temporary one when not given")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ngram.json"))
    given = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        work = Path(place)
        make_text(work / "text.txt", given.words, seed=0)
        make_text(work / "held_out.txt", HELD_OUT * LENGTH, seed=1)
        rows = [measure(work, name, command) for name, command in ways(work, given.order, given.budget).items()]
        tokens = given.words
    write_json(
        given.out,
        {
            **circumstances(("sew", "numpy", "kenlm")),
            "words": tokens,
            "order": given.order,
            "results": rows,
        },
    )
    for row in rows:
        print(json.dumps(row))


def ways(work: Path, order: int, budget: float) -> dict[str, list[str]]:
    """Commands that each write `work/model.arpa`."""
    text, arpa = str(work / "text.txt"), str(work / "model.arpa")
    sew = [sys.executable, "-m", "sewcli.cli.app", "lm", "ngram", text, "--order", str(order), "--out", arpa]
    sew += ["--data", str(work)]
    found = {}
    for name, ours, theirs in (("", [], []), (" --prune 0,0,1", ["--prune", "0,0,1"], ["--prune", "0", "0", "1"])):
        if not ours:
            found["sew lm ngram"] = [*sew, "--memory", "16"]
        found[f"sew lm ngram --memory {budget:g}{name}"] = [*sew, *ours, "--memory", str(budget)]
        if lmplz := shutil.which("lmplz"):
            place = ["-T", str(work), "--text", text, "--arpa", arpa, "--discount_fallback"]
            options = ["-o", str(order), "-S", f"{int(budget * 1000)}M", *place, *theirs]
            found[f"lmplz -S {int(budget * 1000)}M{name}"] = [lmplz, *options]
    return found


def measure(work: Path, name: str, command: list[str]) -> dict[str, Any]:
    """Run a command to its end, look at its memory now and then, and at its model."""
    began, before = time.monotonic(), os.times()
    own, mapped = 0, 0
    environment = {**os.environ, "PATH": os.defpath}  # no build_binary: ours would go on to make a binary
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        while process.poll() is None:
            own, mapped = max(own, kilobytes(process.pid, "RssAnon")), max(mapped, kilobytes(process.pid, "VmHWM"))
            time.sleep(0.05)
        assert process.stderr is not None
        message = process.stderr.read().decode()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{message}")
    wall, after = time.monotonic() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    arpa = work / "model.arpa"
    row = {
        "way": name,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "own_memory_gb": round(own / 1e6, 2),
        "with_mapped_files_gb": round(mapped / 1e6, 2),
        "ngrams": list(read_header(arpa).counts),
        "log10_of_held_out": held_out_score(arpa, work / "held_out.txt"),
    }
    arpa.unlink()
    return row


def kilobytes(process: int, kind: str) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")), 0)


def held_out_score(arpa: Path, text: Path) -> float:
    import kenlm

    config = kenlm.Config()
    config.show_progress = False
    model = kenlm.Model(str(arpa), config)
    return round(sum(model.score(line) for line in text.read_text().splitlines()), 2)


def make_text(path: Path, words: int, seed: int) -> None:
    """Sentences of LENGTH words: a word by Zipf's law, or (six times of ten) one of those that like to follow the last."""
    rng = np.random.default_rng(seed)
    letters = np.random.default_rng(99).integers(1, 27, (TYPES, LONGEST))  # the same words in every text
    letters[np.arange(LONGEST) >= 3 + np.arange(TYPES)[:, None] % (LONGEST - 2)] = 0
    types = np.ascontiguousarray(LETTERS[letters]).view(f"<U{LONGEST}")[:, 0]
    with open(path, "w", encoding="utf-8") as file:
        for begin in range(0, words // LENGTH, AT_ONCE):
            count = min(AT_ONCE, words // LENGTH - begin)
            sentence = np.empty((count, LENGTH), dtype=np.int64)
            for place in range(LENGTH):
                sentence[:, place] = rng.zipf(1.2, count) % TYPES
                if place:
                    follows = (sentence[:, place - 1] * 7919 + rng.zipf(1.6, count)) % TYPES
                    sentence[:, place] = np.where(rng.random(count) < 0.6, follows, sentence[:, place])
            file.writelines(" ".join(line) + "\n" for line in types[sentence].tolist())


if __name__ == "__main__":
    main()
