"""Does an utterance's text depend on the batch it is in? Ours and `transformers`, same weights, same 64 utterances.

    make demo                            # writes the miniature corpus data/mini
    python benchmarks/batch_law.py       # trains a small model of each family on it, then measures

Utterances of 0.3 to 30 s are cut from the corpus, put through each model alone, and again in batches of 4 and 16 and
alone with 0 to 30 s of zeros behind. Compared are the logits of their true frames, and the greedy text. `transformers`
is fed as its own processor feeds it (for extractors with GroupNorm it gives no attention mask), and once with the mask.
In each row, "from_sew_alone" tells that both programs agree on utterances alone, so that it is the batch that counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import transformers
from machine import circumstances

from sewcli.base.files import write_json
from sewcli.base.rng import numpy_rng
from sewcli.data.utterances import read_split
from sewcli.decoding.greedy import greedy
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, save_ctc
from sewcli.models.zoo import lookup
from sewcli.runtimes.inference import for_inference
from sewcli.text.tokens import Vocabulary

RATE = 16_000
UTTERANCES = 64
SHORTEST, LONGEST = 0.3, 30.0  # seconds
FAMILIES = {
    "wav2vec2": {"family": "wav2vec2", "squeeze": 1},
    "sew": {},
    "sew-d": {"family": "sew-d", "norm_eps": 1e-7},
}
Forward = Callable[[np.ndarray, np.ndarray], np.ndarray]  # waves (B, S), lengths (B,) -> logits (B, T, V)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/mini"), help="a corpus that `sew prep` wrote")
    parser.add_argument("--exp", type=Path, default=Path("exp/batch-law"), help="gets the trained models")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/batch_law.json"))
    given = parser.parse_args()
    waves = utterances(given.data)
    rows = []
    for family in FAMILIES:
        folder = trained(family, given.data, given.exp / family, given.updates)
        network, reference = load_ctc(folder)[0], None
        for program, forward in programs(folder).items():
            logits = Logits(forward, network, waves)
            alone = logits([[i] for i in range(len(waves))])
            reference = reference or alone
            for row in compare(logits, alone, reference):
                rows.append({"family": family, "program": program, **row})
                print(json.dumps(rows[-1]), flush=True)
    write_json(
        given.out,
        {
            **circumstances(
                ("torch", "transformers"),
                command=f"python benchmarks/batch_law.py --updates {given.updates}",
                about=f"{torch.get_num_threads()} thread(s), fp32",
                python=False,
            ),
            "utterances": len(waves),
            "seconds": round(sum(map(len, waves)) / RATE, 1),
            "results": rows,
        },
    )
    print("\n" + table(rows))


def trained(family: str, data: Path, folder: Path, updates: int) -> Path:
    """A recogniser of the size of sew-micro, trained from nothing until it writes letters."""
    if not (folder / "model").is_dir():
        torch.manual_seed(0)
        config = ModelConfig(**{**lookup("sew-micro").model_dump(), "name": f"{family}-micro", **FAMILIES[family]})
        save_ctc(CTCModel(config, len(Vocabulary.letters())), Vocabulary.letters(), folder / "start")
        command = [str(Path(sys.executable).parent / "sew"), "finetune", "--model", str(folder / "start")]
        command += ["--data", str(data), "--exp", str(folder), "--config", "egs/librispeech/conf/mini-finetune.yaml"]
        subprocess.run([*command, "--set", f"updates={updates}"], check=True)
    return folder / "model"


def utterances(data: Path) -> list[np.ndarray]:
    """64 pieces of speech; the logarithm of their length is uniform."""
    rng = numpy_rng(1, "batch-law")
    speech = np.concatenate([utterance.wave() for utterance in read_split(data, "test-clean")])
    seconds = np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST), UTTERANCES))
    lengths = (seconds * RATE).astype(int)
    starts = [int(rng.integers(0, len(speech) - length)) for length in lengths]
    return [speech[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def programs(folder: Path) -> dict[str, Forward]:
    """Ways to put a padded batch through the same weights."""
    ours = for_inference(load_ctc(folder)[0], torch.device("cpu"))
    theirs = transformers.AutoModelForCTC.from_pretrained(folder).eval()

    def run_ours(waves: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return ours(torch.from_numpy(waves), torch.from_numpy(lengths)).logits.numpy()

    def run_theirs(waves: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return theirs(torch.from_numpy(waves)).logits.numpy()

    def run_masked(waves: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        mask = (np.arange(waves.shape[1]) < lengths[:, None]).astype(np.int64)
        return theirs(torch.from_numpy(waves), attention_mask=torch.from_numpy(mask)).logits.numpy()

    return {"sew": run_ours, "transformers": run_theirs, "transformers, attention mask": run_masked}


class Logits:
    """Logits of utterances in given batches, cut to their true frames."""

    def __init__(self, forward: Forward, model: CTCModel, waves: list[np.ndarray]) -> None:
        self.forward, self.waves = forward, waves
        self.frames = [int(model.encoder.frames(len(wave))) for wave in waves]

    def __call__(self, batches: list[list[int]], extra: np.ndarray | None = None) -> dict[int, np.ndarray]:
        found = {}
        for batch in batches:
            lengths = np.array([len(self.waves[i]) for i in batch])
            padded = np.zeros((len(batch), lengths.max() + (0 if extra is None else extra[batch[0]])), dtype=np.float32)
            for row, i in enumerate(batch):
                padded[row, : lengths[row]] = self.waves[i]
            with torch.inference_mode():
                rows = self.forward(padded, lengths)
            found |= {i: rows[row, : self.frames[i]] for row, i in enumerate(batch)}
        return found


def compare(logits: Logits, alone: dict[int, np.ndarray], reference: dict[int, np.ndarray]) -> Iterator[dict]:
    """How far each way of batching is from each utterance alone."""
    count = len(alone)
    silence = (numpy_rng(1, "batch-law padding").uniform(0, LONGEST, count) * RATE).astype(int)
    shuffled = numpy_rng(1, "batch-law order").permutation(count).tolist()
    by_length = sorted(alone, key=lambda i: len(logits.waves[i]))
    ways = {
        "batches of 4": lambda: logits(cut(shuffled, 4)),
        "batches of 16": lambda: logits(cut(shuffled, 16)),
        "batches of 16, sorted by length": lambda: logits(cut(by_length, 16)),
        "0-30 s of zeros": lambda: logits(cut(shuffled, 1), silence),
    }
    for way, run in ways.items():
        found = run()
        apart = [float(np.abs(found[i] - alone[i]).max()) for i in alone]
        yield {
            "way": way,
            "largest_difference": max(apart),
            "median_difference": float(np.median(apart)),
            "largest_logit": max(float(np.abs(rows).max()) for rows in alone.values()),
            "texts_changed": sum(greedy(found[i], blank=0) != greedy(alone[i], blank=0) for i in alone),
            "from_sew_alone": max(float(np.abs(alone[i] - reference[i]).max()) for i in alone),
        }


def cut(order: list[int], size: int) -> list[list[int]]:
    return [order[i : i + size] for i in range(0, len(order), size)]


def table(rows: list[dict]) -> str:
    """The rows as Markdown."""
    ways = list(dict.fromkeys(row["way"] for row in rows))
    lines = [f"| model | program | {' | '.join(ways)} |", "|---" * (len(ways) + 2) + "|"]
    for family, program in dict.fromkeys((row["family"], row["program"]) for row in rows):
        own = [row for row in rows if (row["family"], row["program"]) == (family, program)]
        cells = [f"{row['texts_changed']} texts, {row['largest_difference']:.1e}" for row in own]
        lines.append(f"| {family} | {program} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
