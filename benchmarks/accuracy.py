"""Which of the paper's claims hold on the miniature: SEW-style and W2V2-style micro models, three seeds each.

    sew prep librispeech --mini --out data/mini --subset 10min-of-all=0.1667
    OMP_NUM_THREADS=1 nice python benchmarks/accuracy.py --data data/mini          # hours; goes on where it was stopped

Main part: w2v2-micro and sew-micro need the same time on a CPU; each is pre-trained and not, fine-tuned on ten minutes of
labels and on all. Ladder: from a wav2vec 2.0 of SEW's width to SEW and SEW-D in one change at a time, each pre-trained and
fine-tuned on the ten minutes. Rates are of test-clean, greedy; with the 4-gram LM of all training transcripts beside it.
Time: the recogniser alone, one thread, 32 s of audio in one batch of two-second utterances, models in turn.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from machine import short_circumstances

from sewcli.base.files import read_json, write_json
from sewcli.models.ctc import CTCModel
from sewcli.models.zoo import lookup
from sewcli.runtimes.inference import for_inference

RECIPES = Path("egs/librispeech/conf")
FEW, SPLIT = "10min-of-all", "test-clean"
SEEDS = (1, 2, 3)
PAIR = ("sew-micro", "w2v2-micro")
WIDE = "w2v2-micro+e128"
LADDER = {
    WIDE: "wav2vec 2.0 of sew-micro's width",
    "sew-micro+wfe-o-c28+heads-linear": "+ squeezed context",
    "sew-micro+heads-linear": "+ compact extractor",
    "sew-micro": "+ MLP predictor heads (SEW)",
    "sew-d-micro": "+ disentangled attention (SEW-D)",
}
UPDATES = {"pretrain": 500, "few": 1000, "all": 1500}
LMS = {"none": "greedy", "4gram": "4gram*"}  # what --lm is given, and the folders of its results


@dataclass(frozen=True)
class Run:
    """One fine-tuned model of the study."""

    model: str
    pretrained: bool
    labels: str
    """few, all"""
    seed: int

    @property
    def folder(self) -> str:
        """Its experiment's name."""
        return f"{self.model}-{'ft' if self.pretrained else 'scratch'}-{self.labels}-{self.seed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/mini"))
    parser.add_argument("--exp", type=Path, default=Path("exp/accuracy"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--part", choices=("pair", "ladder", "all"), default="all")
    parser.add_argument("--table", action="store_true", help="train nothing, show what there is")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/accuracy.json"))
    given = parser.parse_args()
    wanted = list(runs(given.part, given.seeds))
    if not given.table:
        sew("lm", "ngram", "--order", "4", "--data", given.data)
        for number, run in enumerate(wanted, start=1):
            print(f"{number}/{len(wanted)} {run.folder}", flush=True)
            make(run, given.data, given.exp)
    found = [row for run in wanted if (row := outcome(run, given.exp))]
    times = seconds_of(list(dict.fromkeys(run.model for run in wanted)))
    write_json(
        given.out,
        {
            **short_circumstances("python benchmarks/accuracy.py"),
            "updates": UPDATES,
            "seconds_for_32_s_of_audio": times,
            "runs": found,
        },
    )
    print(table(found, times))


def runs(part: str, seeds: list[int]) -> Iterator[Run]:
    """What is trained, the most telling first."""
    seen = set()
    for seed in seeds:
        pair = [Run(m, p, labels, seed) for labels in ("few", "all") for p in (True, False) for m in PAIR]
        ladder = [Run(model, True, "few", seed) for model in LADDER]
        for run in {"pair": pair, "ladder": ladder, "all": pair + ladder}[part]:
            if run not in seen:
                seen.add(run)
                yield run


def make(run: Run, data: Path, exp: Path) -> None:
    """Pre-train, fine-tune, decode; what is done is passed over."""
    folder = exp / run.folder
    if outcome(run, exp):
        return
    start: str | Path = run.model
    if run.pretrained:
        pretraining = exp / f"{run.model}-{run.seed}"
        train("pretrain", run.model, data, pretraining, run.seed, UPDATES["pretrain"])
        start = pretraining / "model"
    labels = [f"data.train={FEW}"] if run.labels == "few" else ["data.train=train-clean-100"]
    train("finetune", start, data, folder, run.seed, UPDATES[run.labels], labels)
    for lm in LMS:
        sew("decode", "--model", folder / "model", "--data", data, "--lm", lm, "--split", SPLIT)


def train(
    verb: str, model: str | Path, data: Path, exp: Path, seed: int, updates: int, sets: list[str] | None = None
) -> None:
    config = RECIPES / f"mini-{verb}.yaml"
    options = [word for each in [*(sets or []), "tensorboard=false"] for word in ("--set", each)]
    place = ("--model", model, "--data", data, "--exp", exp, "--config", config)
    sew(verb, *place, "--seed", str(seed), "--updates", str(updates), *options)


def sew(*arguments: object) -> None:
    """The command, its words in the run's log only if it fails."""
    command = [sys.executable, "-m", "sewcli.cli.app", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")


def outcome(run: Run, exp: Path) -> dict[str, Any] | None:
    """The rates of a run that is done."""
    rates: dict[str, dict[str, float]] = {"wer": {}, "cer": {}}
    for lm, decoder in LMS.items():
        path = next((exp / run.folder / "decode").glob(f"{SPLIT}-{decoder}/score.json"), None)
        if path is None:
            return None
        score = read_json(path)
        for kind, found in rates.items():
            found[lm] = score[kind]
    return {"model": run.model, "pretrained": run.pretrained, "labels": run.labels, "seed": run.seed, **rates}


def seconds_of(models: list[str], trials: int = 41) -> dict[str, dict[str, float]]:
    """Median and smallest process time of a forward pass, models in turn."""
    torch.set_num_threads(1)
    networks = {name: for_inference(CTCModel(lookup(name), 32), torch.device("cpu")) for name in models}
    waves = 0.1 * torch.randn(16, 32_000, generator=torch.Generator().manual_seed(0))
    lengths = torch.full((16,), 32_000)
    taken: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for trial in range(trials + 1):
            for name, network in networks.items():
                since = time.process_time()
                network(waves, lengths)
                if trial:  # the first warms up
                    taken[name].append(time.process_time() - since)
    return {name: {"median": statistics.median(each), "min": min(each)} for name, each in taken.items()}


def table(rows: list[dict[str, Any]], times: dict[str, dict[str, float]]) -> str:
    """Markdown: mean and standard deviation over the seeds there are."""
    lines = [
        "| model | time | pre-trained | labels | seeds | CER greedy | WER greedy | WER 4-gram |",
        "|---|---|---|---|---|---|---|---|",
    ]
    keys = list(dict.fromkeys((r["model"], r["pretrained"], r["labels"]) for r in rows))
    for model, pretrained, labels in keys:
        mine = [r for r in rows if (r["model"], r["pretrained"], r["labels"]) == (model, pretrained, labels)]
        shown = [
            spread([r[kind][lm] for r in mine]) for kind, lm in (("cer", "none"), ("wer", "none"), ("wer", "4gram"))
        ]
        ratio = times[model]["median"] / times["sew-micro"]["median"] if "sew-micro" in times else float("nan")
        amount = "10 min" if labels == "few" else "all (73 min)"
        cells = (f"`{model}`", f"{ratio:.2f}", "yes" if pretrained else "no", amount, str(len(mine)), *shown)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(rates: list[float]) -> str:
    """Mean and deviation in percent."""
    mean = f"{100 * statistics.mean(rates):.1f}"
    return f"{mean} ± {100 * statistics.stdev(rates):.1f} %" if len(rates) > 1 else f"{mean} %"


if __name__ == "__main__":
    main()
