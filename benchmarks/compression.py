"""Smaller models out of one teacher, side by side: distilled, int8, pruned, and trained without it, on the miniature.

    sew prep librispeech --mini --out data/mini && sew lm ngram --order 4 --data data/mini
    OMP_NUM_THREADS=1 nice python benchmarks/compression.py --data data/mini      # goes on where it was stopped

The teacher is a W2V2-style micro model of 8 layers, 1,500 updates from nothing. Students begin with alternate or last layers of
it and make 400 updates; so do the same layers without the teacher's word (CTC alone). A model from nothing makes 1,500 too.
Pruned models make 200 after the pruning. The int8 one is the teacher by `sew quantize` (which --table makes too, if it is not
there); OpenVINO runs it, on the same noise as the others. Rates are of test-clean, greedy and with the 4-gram of the training
transcripts. More model folders join the table with --beside NAME=FOLDER.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch
from machine import short_circumstances

from sewcli.base.files import write_json
from sewcli.compression.table import Decoding, compare, markdown

RECIPES = Path("egs/librispeech/conf")
MODEL = "w2v2-micro+e128"
SPLIT, LM = "test-clean", "4gram"
LAYERS, UPDATES = 8, 1500  # of the teacher
NO_TEACHER = ("divergence_weight=0", "penalty_weight=0", "ctc_weight=1")
NAMES = {  # folder of an experiment -> what it is
    "teacher": "teacher",
    "alternate-L6": "student, alternate layers",
    "alternate-L4": "student, alternate layers",
    "alternate-L2": "student, alternate layers",
    "last-L4": "student, last layers",
    "last-L2": "student, last layers",
    "no-teacher-L4": "alternate layers, CTC without teacher",
    "no-teacher-L2": "alternate layers, CTC without teacher",
    "scratch-L4": "from nothing",
    "int8": "teacher, int8 products",
    "half": "half of the weights zero, not retrained",
    "half-sensitivity": "the same, shares by sensitivity",
    "half-ft": "half of the weights zero, retrained",
    "slim": "half the heads and units, not retrained",
    "slim-ft": "half the heads and units, retrained",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/mini"))
    parser.add_argument("--exp", type=Path, default=Path("exp/compression"))
    parser.add_argument("--beside", metavar="NAME=FOLDER", nargs="*", default=[], help="more models for the table")
    parser.add_argument("--table", action="store_true", help="train nothing, show what there is")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/compression.json"))
    given = parser.parse_args()
    if not given.table:
        make(given.data, given.exp)
    if not (given.exp / "int8" / "model").is_dir():  # no training
        sew("quantize", given.exp / "teacher", given.exp / "int8" / "model", "--data", given.data)
    folders = {f"{NAMES[name]} ({name})": given.exp / name / "model" for name in NAMES}
    folders = {name: folder for name, folder in folders.items() if folder.is_dir()}
    folders |= {name: Path(folder) for name, _, folder in (each.partition("=") for each in given.beside)}
    torch.set_num_threads(1)
    decoding = Decoding(given.data, [SPLIT], LM, lambda model: model.parent / "decode")
    rows = compare(folders, decoding, torch.device("cpu"))
    write_json(given.out, {**short_circumstances("python benchmarks/compression.py"), "rows": rows})
    print(markdown(rows, LM))


def make(data: Path, exp: Path) -> None:
    """Train and prune; what is done is passed over."""
    teacher = exp / "teacher"
    from_nothing(data, teacher, LAYERS)
    for name, depths, options in (
        ("alternate", "6,4,2", []),
        ("last", "4,2", ["--init", "last"]),
        ("no-teacher", "4,2", [word for each in NO_TEACHER for word in ("--set", each)]),
    ):
        place = ("--teacher", teacher, "--data", data, "--exp", exp / name, "--split", SPLIT, "--lm", LM)
        sew("distill", *place, "--layers", depths, "--config", RECIPES / "mini-distill.yaml", *options, *QUIET)
    for name, options in (
        ("half", ["--magnitude", "0.5"]),
        ("half-sensitivity", ["--magnitude", "0.5", "--scope", "sensitivity"]),
        ("slim", ["--heads", "2", "--feedforward", "256"]),
    ):
        if not (exp / name / "model").is_dir():
            sew("prune", teacher, exp / name / "model", "--data", data, *options, "--device", "cpu")
    for name in ("half", "slim"):
        place = ("--model", exp / name / "model", "--data", data, "--exp", exp / f"{name}-ft")
        sew("finetune", *place, "--config", RECIPES / "mini-prune.yaml", *QUIET)
    from_nothing(data, exp / "scratch-L4", 4)


QUIET = ("--set", "tensorboard=false", "--device", "cpu")


def from_nothing(data: Path, exp: Path, layers: int) -> None:
    sizes = ("--set", f"overrides.layers={layers}", "--set", "overrides.heads=4")
    place = ("--model", MODEL, "--data", data, "--exp", exp, "--config", RECIPES / "mini-finetune.yaml")
    sew("finetune", *place, *sizes, "--updates", UPDATES, *QUIET)


def sew(*arguments: object) -> None:
    """The command, its words only if it fails."""
    command = [sys.executable, "-m", "sewcli.cli.app", *map(str, arguments)]
    print(" ".join(command[3:]), flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


if __name__ == "__main__":
    main()
