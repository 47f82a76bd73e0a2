"""Four languages that break assumptions, from four kinds of input to a recogniser with its language model.

    OMP_NUM_THREADS=1 nice python benchmarks/languages.py --model exp/mini/sew-micro/model     # goes on where it was stopped

French comes as a table of 48 kHz MP3 files, Georgian as Kaldi folders with segments, Hindi as a release of Common Voice,
Mandarin as long recordings with subtitles (sewcli/corpora/miniatures/languages.py); about half an hour each, by synthetic
speakers; test has speakers of its own. The model's pre-training was on English. Nothing is called but `sew`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine import short_circumstances

from sewcli.artifacts.data_folder import read_splits
from sewcli.base.files import read_json, write_json
from sewcli.corpora.miniatures.languages import LANGUAGES, Plan, write_recordings

PREP = {  # what is typed after `sew prep`, in the folder of the recordings
    "fr": ("table", "recordings.tsv", "--audio", "clips"),
    "ka": ("kaldi", "train", "dev", "test"),
    "hi": ("commonvoice", "."),
    "zh": ("subtitles", "train", "dev", "test"),
}
WORDS = ("--lm", "4gram"), ("--order", "4")  # how to decode with it, and how to make it
LETTERS = ("--lm", "6gram-letter", "--lexicon-free"), ("--order", "6", "--unit", "letter")  # where blanks part no words
LMS = {"fr": WORDS, "ka": WORDS, "hi": WORDS, "zh": LETTERS}
SETTINGS = (  # of a micro model on one core; the recipe is meant for published models on a GPU
    *("batch.seconds=24", "batch.micro_seconds=24", "optim.lr=1e-3", "extractor_gradient=1", "freeze_updates=0"),
    *("valid_from=0", "valid_every=300", "time_mask.probability=0.1", "channel_mask.probability=0"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("exp/mini/sew-micro/model"), help="pre-trained")
    parser.add_argument("--work", type=Path, default=Path("exp/languages"), help="recordings, data and experiments")
    parser.add_argument("--languages", nargs="+", choices=list(LANGUAGES), default=list(LANGUAGES))
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/languages.json"))
    given = parser.parse_args()
    rows = [journey(name, given.model.absolute(), given.work, given.updates) for name in given.languages]
    write_json(
        given.out, {**short_circumstances(" ".join(["python", *sys.argv])), "updates": given.updates, "languages": rows}
    )
    print(table(rows))


def journey(name: str, model: Path, work: Path, updates: int) -> dict[str, Any]:
    """From recordings to error rates, and the wall minutes of each step."""
    recordings, data, exp = (
        work.absolute() / "recordings" / name,
        work.absolute() / "data" / name,
        work.absolute() / name,
    )
    write_recordings(recordings, Plan(name))
    minutes: dict[str, float] = {}

    def sew(step: str, *arguments: object, folder: Path = work) -> None:
        started = time.monotonic()
        command = [sys.executable, "-m", "sewcli", *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, check=False, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
        if done.returncode not in (0, 4):
            sys.exit(f"{' '.join(map(str, arguments))} ended with {done.returncode}")
        minutes[step] = minutes.get(step, 0) + (time.monotonic() - started) / 60

    sew("prep", "prep", *PREP[name], "--language", name, "--out", data, folder=recordings)
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    options = ("--config", "small-data", "--updates", updates, *sets)
    sew("finetune", "finetune", "--model", model, "--data", data, "--exp", exp, *options)
    search, estimate = LMS[name]
    sew("lm", "lm", "ngram", *estimate, "--data", data)
    for lm in (("--lm", "none"), search):
        sew("decode", "decode", "--model", exp / "model", "--data", data, "--split", "test", *lm)
    splits = read_splits(data)
    vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))
    return {
        "language": name,
        "input": PREP[name][0],
        "symbols": sum(1 for symbol in vocabulary if not symbol.startswith("<") and symbol != "|"),
        "hours": round(sum(split["hours"] for split in splits.values()), 2),
        "set_aside": sum(split["rejected"] for split in splits.values()),
        "rates": {"greedy": rates(exp, greedy=True), "lm": rates(exp, greedy=False)},
        "minutes": {step: round(value, 1) for step, value in minutes.items()},
    }


def rates(exp: Path, *, greedy: bool) -> dict[str, float]:
    """WER and CER of the test split, in percent."""
    (folder,) = (path for path in (exp / "decode").glob("*test*") if ("greedy" in path.name) == greedy)
    score = read_json(folder / "score.json")
    return {key: round(100 * score[key], 2) for key in ("wer", "cer") if score.get(key) is not None}


def table(rows: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = ["| language | input | symbols | hours | CER greedy | CER n-gram | WER greedy | WER n-gram | minutes |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        greedy, lm = row["rates"]["greedy"], row["rates"]["lm"]
        cells = [row["language"], row["input"], row["symbols"], row["hours"]]
        cells += [found.get(rate, "-") for rate in ("cer", "wer") for found in (greedy, lm)]
        lines.append("| " + " | ".join(map(str, [*cells, f"{sum(row['minutes'].values()):.0f}"])) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
