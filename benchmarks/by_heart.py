"""A small recogniser that knows a few recordings by heart, so that what a long transcript loses is the stitching's fault alone.

    python benchmarks/by_heart.py LIBRISPEECH --out exp/by-heart          # 25 minutes of one core

LIBRISPEECH is any folder of the corpus's layout. The first utterances of each chapter, to --seconds in all, are learned by
Viterbi training: letters are first spread evenly over the frames that are loud, the model learns a label for each frame from
random windows of the chapters, and is then aligned anew, three times. Nothing is held out: this measures no recognition.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from sewcli.audio.io import RATE, read_wave
from sewcli.base.rng import numpy_rng, seed_torch
from sewcli.decoding.alignment import forced_path
from sewcli.decoding.greedy import greedy
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.scoring.wer import word_errors
from sewcli.text.tokens import Vocabulary

STEP = 320  # samples a frame
SEED = 1
WINDOWS = (3.0, 20.0)  # seconds
BATCH = 2
WARMUP = 100


@dataclass
class Said:
    """An utterance: its wave (S,), its text, and a label for each of its frames."""

    name: str
    wave: np.ndarray
    text: str
    labels: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seconds", type=float, default=220, help="of speech, shared out over the chapters")
    parser.add_argument("--updates", type=int, default=1600)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--out", type=Path, default=Path("exp/by-heart"))
    given = parser.parse_args()
    seed_torch(SEED, "weights")
    vocabulary = Vocabulary.letters()
    chapters = read_chapters(given.corpus, given.seconds, vocabulary)
    config = lookup("sew-micro").model_copy(
        update=dict.fromkeys(("dropout", "attention_dropout", "activation_dropout", "input_dropout", "layer_drop"), 0.0)
    )
    model = CTCModel(config, len(vocabulary))
    learn(model, chapters, vocabulary, given.updates, given.lr, given.out)


def read_chapters(corpus: Path, seconds: float, vocabulary: Vocabulary) -> list[list[Said]]:
    """The first utterances of every chapter."""
    texts = sorted(corpus.rglob("*.trans.txt"))
    chapters = []
    for path in texts:
        chapter: list[Said] = []
        for line in path.read_text().splitlines():
            name, _, text = line.partition(" ")
            wave = read_wave(path.parent / f"{name}.flac")
            chapter.append(Said(name, wave, text, flat(wave, vocabulary.encode(text), vocabulary)))
            if sum(len(said.wave) for said in chapter) > seconds / len(texts) * RATE:
                break
        chapters.append(chapter)
    return chapters


def frames_of(samples: int) -> int:
    return samples // STEP


def flat(wave: np.ndarray, ids: list[int], vocabulary: Vocabulary) -> np.ndarray:
    """Labels spread evenly over the loud frames, each at one or two of them; the last is a word boundary."""
    blocks = wave[: frames_of(len(wave)) * STEP].reshape(-1, STEP)
    level = np.log(np.square(blocks).mean(axis=1) + 1e-8)
    loud = np.flatnonzero(level > np.quantile(level, 0.95) - 5.0)
    places = loud[np.linspace(0, len(loud) - 1, len(ids)).round().astype(int)]
    return spikes(len(blocks), places, ids, vocabulary)


def spikes(frames: int, places: np.ndarray, ids: list[int], vocabulary: Vocabulary) -> np.ndarray:
    """Each letter for two frames where there is room for them and a blank, and a boundary at the end."""
    labels = np.zeros(frames, dtype=np.int64)
    after = [*places[1:].tolist(), frames]
    for place, following, label in zip(places.tolist(), after, ids, strict=True):
        labels[place : place + (2 if following > place + 2 else 1)] = label
    labels[min(int(places[-1]) + 4, frames - 1)] = vocabulary.boundary
    return labels


def learn(
    model: CTCModel, chapters: list[list[Said]], vocabulary: Vocabulary, updates: int, lr: float, out: Path
) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.98))
    rng, began = numpy_rng(SEED, "windows"), time.perf_counter()
    losses: list[float] = []
    for update in range(updates):
        share = update / updates
        scale = min(1.0, (update + 1) / WARMUP) * (0.5 + 0.5 * np.cos(np.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = lr * max(scale, 0.01)
        waves, labels = zip(*(window(chapters, rng) for _ in range(BATCH)), strict=True)
        losses.append(step(model.train(), optimizer, waves, labels))
        if update % 50 == 49:
            print(f"{update + 1} loss {np.mean(losses[-50:]):.4f} {time.perf_counter() - began:.0f} s", flush=True)
        if update + 1 in {updates * part // 10 for part in (3, 5, 7)}:
            realign(model, chapters, vocabulary)
        if update % 200 == 199 or update + 1 == updates:
            evaluate(model, chapters, vocabulary)
            save_ctc(model, vocabulary, out)


def window(chapters: list[list[Said]], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A third are utterances alone, the rest windows of two chapters in a row, at any even frame."""
    picked = [chapters[i] for i in rng.choice(len(chapters), 2, replace=False)]
    if rng.random() < 1 / 3:
        said = picked[0][rng.integers(len(picked[0]))]
        return said.wave[: frames_of(len(said.wave)) * STEP], said.labels
    row = [said for chapter in picked for said in chapter]
    wave = np.concatenate([said.wave[: frames_of(len(said.wave)) * STEP] for said in row])
    labels = np.concatenate([said.labels for said in row])
    length = min(int(rng.uniform(*WINDOWS) * RATE / STEP), len(labels))
    start = int(rng.integers(0, len(labels) - length + 1))
    shift = int(rng.integers(0, STEP // 2))  # recordings begin anywhere between frames
    return wave[start * STEP : (start + length) * STEP][shift:], labels[start : start + length]


def step(model: CTCModel, optimizer: torch.optim.Optimizer, waves: tuple, labels: tuple) -> float:
    """One update on frames that a window surely holds; boundaries and letters weigh more than the many blanks."""
    lengths = torch.tensor([len(wave) for wave in waves])
    padded = torch.zeros(len(waves), int(lengths.max()))
    for row, wave in zip(padded, waves, strict=True):
        row[: len(wave)] = torch.from_numpy(np.ascontiguousarray(wave))
    output = model(padded, lengths)
    targets = torch.full(output.logits.shape[:2], -100)
    for row, own, frames in zip(targets, labels, output.lengths.tolist(), strict=True):
        count = min(frames, len(own))
        row[:count] = torch.from_numpy(own[:count])
    weight = torch.ones(output.logits.shape[-1])
    weight[0] = 0.5
    loss = functional.cross_entropy(output.logits.flatten(0, 1), targets.flatten(), weight, ignore_index=-100)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def emission_of(model: CTCModel, wave: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        output = model.eval()(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    return torch.log_softmax(output.logits[0], dim=-1).numpy()


def realign(model: CTCModel, chapters: list[list[Said]], vocabulary: Vocabulary) -> None:
    """Labels where the model hears them best: the most likely frame of each letter of the best path."""
    for said in (said for chapter in chapters for said in chapter):
        ids = vocabulary.encode(said.text)
        emission = emission_of(model, said.wave)
        path = forced_path(said.name, emission, ids).labels
        edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
        runs = [(b, e) for b, e in pairwise(edges.tolist()) if path[b] != 0]
        places = np.array([b + int(emission[b:e, path[b]].argmax()) for b, e in runs])
        said.labels = spikes(len(said.labels), places, ids, vocabulary)


def evaluate(model: CTCModel, chapters: list[list[Said]], vocabulary: Vocabulary) -> None:
    pairs = [(s.text, vocabulary.text(greedy(emission_of(model, s.wave)))) for c in chapters for s in c]
    counts = word_errors([r for r, _ in pairs], [h for _, h in pairs])
    print(f"WER {100 * counts.wer:.2f} %: {pairs[0][1][:100]}", flush=True)


if __name__ == "__main__":
    main()
