"""Self-training on the miniature with a tenth of its labels: word error rates round by round, and what each filter is worth.

    sew prep librispeech --mini --out data/mini --subset tenth=0.1219
    OMP_NUM_THREADS=1 python benchmarks/selftrain.py --data data/mini        # goes on where it was stopped
    python benchmarks/selftrain.py --data data/mini --table                  # trains nothing, shows what there is

The language model is of sentences of the same grammar that nobody says in train, dev or test, as a corpus of texts beside
speech has none of its transcripts: so the error rates of the labels are not those of a model that has read the answers.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from machine import short_circumstances

from sewcli.base.files import read_json, write_json, write_text
from sewcli.corpora.miniatures.sentences import sentences
from sewcli.data.utterances import read_split
from sewcli.scoring.wer import word_errors
from sewcli.self_training.filters import RawUtterance, filter_labels
from sewcli.self_training.label_config import FilterConfig
from sewcli.self_training.manifest import WORK
from sewcli.self_training.pseudo_labels import candidates_of
from sewcli.self_training.table import RESULTS, markdown

RECIPES = Path("egs/librispeech/conf")
TRAIN, FEW, ROUNDS = "train-clean-100", "tenth", 2
WRITERS, EACH, FIRST = 400, 100, 1_000_000  # "speakers" of the texts, whose numbers nobody in the corpus has
SHARES = (1.0, 0.9, 0.75, 0.5, 0.25)
MEASURES = ("confidence", "margin", "agreement", "score")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/mini"))
    parser.add_argument("--exp", type=Path, default=Path("exp/mini-selftrain"))
    parser.add_argument("--table", action="store_true", help="train nothing, show what there is")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/selftrain.json"))
    given = parser.parse_args()
    work = given.exp / "rounds"
    if not given.table:
        train(given.data, given.exp, work)
    rounds = read_json(work / RESULTS)["rounds"]
    found = {
        **short_circumstances("python benchmarks/selftrain.py --data data/mini"),
        "labels": FEW,
        "rounds": rounds,
        "filters": filters(given.data, work / "round-1" / "labels" / WORK),
    }
    write_json(given.out, found)
    print(markdown(rounds))
    print(filter_table(found["filters"]))


def train(data: Path, exp: Path, work: Path) -> None:
    """Texts, language model, pre-training, rounds; what is done is passed over."""
    texts, lm = exp / "texts.txt", exp / "lm" / "4gram.arpa"
    if not lm.is_file():
        write_text(texts, "".join(f"{text}\n" for text in other_texts(data)))
        sew("lm", "ngram", texts, "--order", "4", "--data", data, "--out", lm)
    start = exp / "pretrained"
    place = ("--model", "sew-micro", "--data", data, "--exp", start, "--config", RECIPES / "mini-pretrain.yaml")
    sew("pretrain", *place, "--set", "tensorboard=false")
    recipe = ("--config", RECIPES / "mini-selftrain.yaml", "--rounds", ROUNDS, "--lm", lm)
    sew("selftrain", "--model", start / "model", "--data", data, "--exp", work, *recipe)


def other_texts(data: Path) -> Iterator[str]:
    """Sentences for the language model; none of them is said in the part of the corpus that gets labels."""
    spoken = {u.text for u in read_split(data, TRAIN)}
    for writer in range(WRITERS):
        yield from (text for text in islice(sentences("train", 1, FIRST + writer), EACH) if text not in spoken)


def sew(*arguments: object) -> None:
    """The command; its words stay on stderr."""
    subprocess.run([sys.executable, "-m", "sewcli.cli.app", *map(str, arguments)], check=True, stdout=sys.stderr)


def filters(data: Path, work: Path) -> list[dict[str, Any]]:
    """Of the first round's texts: the share that each filter keeps, and the error rate of what it keeps."""
    folder = next(path for path in sorted(work.glob(f"{TRAIN}-*")) if path.is_dir() and path.suffix != ".shards")
    candidates = candidates_of(folder, folder, {u.id: u for u in read_split(data, TRAIN)})
    rows = [kept("defaults but keep=1", candidates, FilterConfig(keep=1.0))]
    for measure in MEASURES:
        for share in SHARES[1:]:
            rows.append(kept(f"best by {measure}", candidates, FilterConfig(keep=share, rank=measure), share))
    for least in (0.5, 0.7, 0.9):
        rows.append(kept(f"agreement of {least} or more", candidates, FilterConfig(keep=1.0, min_agreement=least)))
    for least in (0.2, 0.4, 0.6):
        rows.append(kept(f"confidence of {least} or more", candidates, FilterConfig(keep=1.0, min_confidence=least)))
    return rows


def kept(name: str, candidates: list[RawUtterance], config: FilterConfig, share: float | None = None) -> dict[str, Any]:
    chosen = filter_labels(candidates, config)[0]
    errors = word_errors([c.reference or "" for c in chosen], [c.text for c in chosen])
    right = sum(count.errors == 0 for count in errors.utterances)
    return {
        "filter": name,
        "asked": share,
        "share": len(chosen) / len(candidates),
        "wer": errors.wer,
        "without_error": right / len(chosen),
        "right_kept": right / max(1, sum(c.text == c.reference for c in candidates)),
    }


def filter_table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| filter | share kept | WER of the labels | labels without error | of all such, kept |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        figures = (f"{100 * row[key]:.1f} %" for key in ("share", "wer", "without_error", "right_kept"))
        lines.append(f"| {row['filter']} | {' | '.join(figures)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
