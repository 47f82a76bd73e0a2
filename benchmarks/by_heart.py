"""A small recogniser that knows a few recordings by heart, so that what a long transcript loses is the stitching's fault alone.

    python benchmarks/by_heart.py LIBRISPEECH --out exp/by-heart          # five minutes of one core

LIBRISPEECH is any folder of the corpus's layout. Letters are aligned to its speech by a Gaussian each, from a flat start; then
a narrow sew-micro+fbfe learns the letters of every frame of the first utterances of each chapter, in windows that begin at any
sample, of utterances alone and of several in random order. Nothing is held out: this measures no recognition.
Shapes: S samples, T frames at 50 Hz, D cepstra and their changes, N states of an utterance, K symbols of it, V vocabulary.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchaudio
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from sewcli.audio.io import read_wave
from sewcli.base.rng import numpy_rng, seed_torch
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.decoding.greedy import collapse, greedy
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

STEP = 320  # samples a frame
FIRST = 680  # sample in the middle of the first frame: two convolutions of three over windows of 25 ms, 10 ms apart
SEED = 1
BLANK = Vocabulary.letters().blank
SILENCE = 0
ROUNDS = 14  # of aligning and estimating
QUIET = 0.15  # share of the frames that are silence at first
APART = 2.0 * STEP  # samples between symbols at least, so that each has a frame to itself wherever frames begin
REACH = 3.0 * STEP  # samples to both sides of its middle that a symbol lasts at most
GRAIN = 40  # samples to which the symbols' edges are rounded
WINDOWS = (4.0, 26.0)  # seconds
SECONDS = 60.0  # of windows in an update
ALONE, ALONE_COUNT = 0.25, 4  # share of updates that are utterances alone, and how many
WARMUP = 100
CHANNELS = (40, 32, 32, 256)  # of the front end: half the mel bands of the zoo's and a fifth of its width, for speed
NAMES = "learned.txt"  # beside the model: the utterances it knows


@dataclass
class Said:
    """An utterance: its wave (S,), its text, cepstra (T, D), the state of each frame (T,), and a label for each grain."""

    name: str
    wave: np.ndarray
    text: str
    cepstra: np.ndarray
    path: np.ndarray
    marks: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seconds", type=float, default=100, help="of speech to learn, shared out over the chapters")
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--lr", type=float, default=2.5e-3)
    parser.add_argument("--out", type=Path, default=Path("exp/by-heart"))
    given = parser.parse_args()
    began = time.perf_counter()
    seed_torch(SEED, "weights")
    vocabulary = Vocabulary.letters()
    chapters = read_chapters(given.corpus)
    align([said for chapter in chapters for said in chapter], vocabulary)
    learned = [said for chapter in chapters for said in first(chapter, given.seconds / len(chapters))]
    for said in learned:
        said.marks = marks(said, vocabulary)
        for shift in range(0, 2 * STEP, STEP // 8):
            frames = (len(said.wave) - shift - FIRST) // STEP
            written = collapse(shares(said.marks, shift, frames, len(vocabulary)).argmax(1).numpy(), blank=0)
            assert vocabulary.text(written) == said.text, f"{said.name} has no room for its letters"
    config = lookup("sew-micro+fbfe")
    dropouts = [name for name in type(config).model_fields if name.endswith("dropout") or name == "layer_drop"]
    changed = {**dict.fromkeys(dropouts, 0.0), "extractor_channels": CHANNELS, "extractor_gradient": 1.0}
    model = CTCModel(config.model_copy(update=changed), len(vocabulary))
    learn(model, learned, len(vocabulary), given.updates, given.lr, began)
    with torch.no_grad():  # a last frame without a partner has no state, only the bias: it shall be blank, as ties are
        model.head.bias[BLANK] = model.head.bias.max()
    save_ctc(model, vocabulary, given.out)
    (given.out / NAMES).write_text("".join(f"{said.name}\n" for said in learned))
    shifts = range(0, 2 * STEP, STEP // 4)
    wrong = sum(unstable(model, said, vocabulary, shifts) for said in learned)
    print(f"{given.out}: {len(learned)} utterances, {wrong} of {len(learned) * len(shifts)} beginnings change words")


def read_chapters(corpus: Path) -> list[list[Said]]:
    """All utterances, with mel-frequency cepstra normalised over each chapter."""
    cepstra_of = torchaudio.transforms.MFCC(SAMPLE_RATE, 13, melkwargs={"n_fft": 400, "hop_length": STEP, "n_mels": 30})
    chapters = []
    for path in sorted(corpus.rglob("*.trans.txt")):
        chapter = []
        for line in path.read_text().splitlines():
            name, _, text = line.partition(" ")
            wave = read_wave(path.parent / f"{name}.flac")
            wave = wave[: len(wave) // STEP * STEP]
            plain = cepstra_of(torch.from_numpy(wave))
            slope = torchaudio.functional.compute_deltas(plain)
            rows = torch.cat([plain, slope, torchaudio.functional.compute_deltas(slope)]).T.double().numpy()
            frames = len(wave) // STEP
            nothing = np.zeros(frames, dtype=np.int64)
            chapter.append(Said(name, wave, " ".join(text.split()), rows[:frames], nothing, nothing))
        joined = np.concatenate([said.cepstra for said in chapter])
        for said in chapter:
            said.cepstra = (said.cepstra - joined.mean(axis=0)) / joined.std(axis=0)
        chapters.append(chapter)
    return chapters


def first(chapter: list[Said], seconds: float) -> list[Said]:
    """The first utterances that together last so long."""
    ends = np.cumsum([len(said.wave) / SAMPLE_RATE for said in chapter])
    return chapter[: int(np.searchsorted(ends, seconds)) + 1]


def states_of(text: str, vocabulary: Vocabulary) -> np.ndarray:
    """Labels (N,): letters, and a silence that may be left out before, between and after the words."""
    letters = [vocabulary.encode(word) for word in text.split()]
    return np.array([SILENCE, *(state for word in letters for state in (*word, SILENCE))])


def align(said: list[Said], vocabulary: Vocabulary) -> None:
    """Give each frame of each utterance a state: a Gaussian for each letter, and the best paths, in turns."""
    for one in said:
        states = states_of(one.text, vocabulary)
        loud = np.flatnonzero(one.cepstra[:, 0] > np.quantile(one.cepstra[:, 0], QUIET))
        letters = np.flatnonzero(states != SILENCE)
        one.path[loud] = letters[np.linspace(0, len(letters) - 1e-6, len(loud)).astype(int)]
    size = len(vocabulary)
    for _ in range(ROUNDS):
        rows = np.concatenate([one.cepstra for one in said])
        labels = np.concatenate([states_of(one.text, vocabulary)[one.path] for one in said])
        counts = np.bincount(labels, minlength=size)[:, None] + 5.0
        sums, squares = np.zeros((2, size, rows.shape[1]))
        np.add.at(sums, labels, rows)
        np.add.at(squares, labels, rows**2)
        mean = sums / counts
        variance = np.maximum((squares + 5.0) / counts - mean**2, 0.1)
        for one in said:
            distance = ((one.cepstra[:, None] - mean) ** 2 / variance).sum(axis=2) + np.log(variance).sum(axis=1)
            one.path = best_path(-0.5 * distance, states_of(one.text, vocabulary))


def best_path(scores: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The best way (T,) through the states (N,): stay, go on, or leave a silence out."""
    own = scores[:, states]
    frames, count = own.shape
    best = np.where(np.arange(count) < 2, own[0], -np.inf)
    may_skip = np.append(False, states[:-1] == SILENCE)
    moves = np.zeros((frames, count), dtype=np.int64)
    for frame in range(1, frames):
        before = np.concatenate([[-np.inf, -np.inf], best])
        reached = np.stack([best, before[1:-1], np.where(may_skip, before[:-2], -np.inf)])
        moves[frame] = reached.argmax(axis=0)
        best = reached.max(axis=0) + own[frame]
    state = int(count - 1 if best[-1] > best[-2] else count - 2)
    path = np.zeros(frames, dtype=np.int64)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state -= int(moves[frame, state])
    return path


def marks(said: Said, vocabulary: Vocabulary) -> np.ndarray:
    """A label for every grain of the wave (S / GRAIN,): symbols around their middles, blanks where there is none."""
    states = states_of(said.text, vocabulary)
    begins = np.searchsorted(said.path, np.arange(len(states) + 1)) * float(STEP)  # a silence left out is empty
    wanted: list[tuple[int, float]] = []  # symbols and the samples of their middles
    for state in range(1, len(states)):
        label = vocabulary.boundary if states[state] == SILENCE else int(states[state])
        begin, end = begins[state], min(begins[state + 1], begins[state] + 6 * STEP)
        if wanted and wanted[-1][0] == label:
            wanted.append((BLANK, begin))
        wanted.append((label, (begin + end - STEP) / 2))
    labels, middles = (np.array(column) for column in zip(*wanted, strict=True))
    middles = spread(middles, FIRST, len(said.wave) - FIRST - APART)
    halves = np.diff(middles) / 2
    lows = middles - np.minimum(np.append(REACH, halves), REACH)
    highs = middles + np.minimum(np.append(halves, REACH), REACH)
    found = np.zeros(len(said.wave) // GRAIN, dtype=np.int64)
    for label, low, high in zip(labels, lows, highs, strict=True):
        found[max(round(low / GRAIN), 0) : round(high / GRAIN)] = label
    return found


def spread(middles: np.ndarray, low: float, high: float) -> np.ndarray:
    """Moved as little as can be (least squares) so that neighbours are APART, from `low` to `high`: pools of violators."""
    ladder = APART * np.arange(len(middles))
    pools: list[tuple[float, int]] = []  # mean and size
    for value in middles - ladder:
        mean, size = float(value), 1
        while pools and pools[-1][0] > mean:
            before, count = pools.pop()
            mean, size = (mean * size + before * count) / (size + count), size + count
        pools.append((mean, size))
    even = np.concatenate([np.full(size, mean) for mean, size in pools])
    return np.clip(even, low, high - ladder[-1]) + ladder


def shares(found: np.ndarray, start: int, frames: int, size: int) -> Tensor:
    """How much of each frame every label has (T, V), of a wave that is cut off before the sample `start`."""
    first = (start + FIRST - STEP // 2) // GRAIN
    places = first + np.arange(frames * (STEP // GRAIN))
    labels = np.where(places < len(found), found[np.minimum(places, len(found) - 1)], BLANK)
    return functional.one_hot(torch.from_numpy(labels), size).float().view(frames, -1, size).mean(dim=1)


def batch(learned: list[Said], rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, int, int]]:
    """Waves and their marks, and the samples where windows in them begin and end: all alone, or all of one length."""
    alone, size = rng.random() < ALONE, int(rng.uniform(*WINDOWS) * SAMPLE_RATE)
    for _ in range(ALONE_COUNT if alone else max(round(SECONDS * SAMPLE_RATE / size), 2)):
        row = [learned[i] for i in rng.permutation(len(learned))]
        if alone:
            yield row[0].wave, row[0].marks, int(rng.integers(2 * STEP)), len(row[0].wave)
            continue
        ends = np.cumsum([len(one.wave) for one in row])
        row = row[: int(np.searchsorted(ends, size + ends[0])) + 1]
        wave, found = np.concatenate([one.wave for one in row]), np.concatenate([one.marks for one in row])
        start = int(rng.integers(max(len(wave) - size, 1)))
        yield wave, found, start, min(start + size, len(wave))


def learn(model: CTCModel, learned: list[Said], size: int, updates: int, lr: float, began: float) -> None:
    """Cross-entropy with the symbols' shares of every frame."""
    optimizer = torch.optim.Adam(model.train().parameters(), lr=lr, betas=(0.9, 0.98))
    apart: list[float] = []
    for update in range(updates):
        rng = numpy_rng(SEED, "windows", update)
        waves, targets = [], []
        for wave, found, start, end in batch(learned, rng):
            heard = torch.from_numpy(wave[start:end].copy()) * float(np.exp(rng.normal(0, 0.1)))
            noise = torch.from_numpy(rng.standard_normal(len(heard), dtype=np.float32))
            waves.append(heard + noise * float(10 ** rng.uniform(-5, -3.7)))
            targets.append(shares(found, start, int(model.encoder.frames(len(heard))), size))
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (update + 1) / WARMUP) * (0.505 + 0.495 * np.cos(np.pi * update / updates))
        lengths = torch.tensor([len(heard) for heard in waves])
        logits = model(pad_sequence(waves, batch_first=True), lengths).logits
        logs = torch.cat([rows[: len(target)] for rows, target in zip(logits, targets, strict=True)]).log_softmax(1)
        loss = functional.kl_div(logs, torch.cat(targets), reduction="batchmean")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        apart.append(float(loss.detach()))
        if update % 50 == 49:
            passed = f"{time.perf_counter() - began:.0f} s, {time.process_time():.0f} s of the processor"
            print(f"{update + 1} of {updates}: {np.mean(apart[-50:]):.4f} nats from the labels; {passed}", flush=True)


def unstable(model: CTCModel, said: Said, vocabulary: Vocabulary, shifts: range) -> int:
    """Of so many beginnings of an utterance, with how many its words are not its text."""
    model.eval()
    wrong = 0
    for shift in shifts:
        wave = torch.from_numpy(said.wave[shift:])[None]
        with torch.inference_mode():
            logits = model(wave, torch.tensor([wave.shape[1]])).logits[0]
        wrong += vocabulary.text(greedy(logits.numpy(), blank=0)) != said.text
    return wrong


if __name__ == "__main__":
    main()
