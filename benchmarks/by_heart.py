"""A small recogniser that knows a few recordings by heart, so that what a long transcript loses is the stitching's fault alone.

    python benchmarks/by_heart.py LIBRISPEECH --out exp/by-heart          # ten minutes of one core

LIBRISPEECH is any folder of the corpus's layout. Letters are aligned to its speech by a Gaussian each, from a flat start; then
the context network of sew-micro learns a label for each frame of the first utterances of every chapter, alone and in random
windows of several, on an extractor left at its random weights. Nothing is held out: this measures no recognition.
Shapes: T frames at 50 Hz, D cepstra and their changes, N states of an utterance.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchaudio
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from sewcli.audio.io import RATE, read_wave
from sewcli.base.rng import numpy_rng, seed_torch
from sewcli.decoding.greedy import collapse, greedy
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.scoring.wer import word_errors
from sewcli.text.tokens import Vocabulary

STEP = 320  # samples a frame
SEED = 1
SILENCE = 0
ROUNDS = 14  # of aligning and estimating
QUIET = 0.15  # share of the frames that are silence at first
WINDOWS = (4.0, 22.0)  # seconds
NEIGHBOURS = 3  # utterances that a window is cut from
BATCH = 4
WARMUP = 100
NAMES = "learned.txt"  # beside the model: the utterances it knows


@dataclass
class Said:
    """An utterance: its wave (S,), its text, cepstra (T, D), the state of each frame, and a label for each frame (T,)."""

    name: str
    wave: np.ndarray
    text: str
    cepstra: np.ndarray
    path: np.ndarray
    labels: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seconds", type=float, default=180, help="of speech to learn, shared out over the chapters")
    parser.add_argument("--windows", type=int, default=110)
    parser.add_argument("--updates", type=int, default=1300)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--out", type=Path, default=Path("exp/by-heart"))
    given = parser.parse_args()
    seed_torch(SEED, "weights")
    vocabulary = Vocabulary.letters()
    chapters = read_chapters(given.corpus)
    align([said for chapter in chapters for said in chapter], vocabulary)
    learned = [said for chapter in chapters for said in first(chapter, given.seconds / len(chapters))]
    for said in learned:
        said.labels = spikes(said, vocabulary)
        assert vocabulary.text(collapse(said.labels)) == said.text, said.name
    dropouts = ("dropout", "attention_dropout", "activation_dropout", "input_dropout", "final_dropout", "layer_drop")
    config = lookup("sew-micro").model_copy(update=dict.fromkeys(dropouts, 0.0))
    model = CTCModel(config, len(vocabulary))
    learn(model, learned, vocabulary, given.windows, given.updates, given.lr)
    counts = word_errors(
        [s.text for s in learned], [vocabulary.text(greedy(emission_of(model, s.wave))) for s in learned]
    )
    save_ctc(model, vocabulary, given.out)
    (given.out / NAMES).write_text("".join(f"{said.name}\n" for said in learned))
    print(f"{given.out}: {len(learned)} utterances, WER {100 * counts.wer:.2f} % on what it has learned")


def read_chapters(corpus: Path) -> list[list[Said]]:
    """All utterances, with mel-frequency cepstra normalised over each chapter."""
    cepstra_of = torchaudio.transforms.MFCC(RATE, 13, melkwargs={"n_fft": 400, "hop_length": STEP, "n_mels": 30})
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
    ends = np.cumsum([len(said.wave) / RATE for said in chapter])
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


def spikes(said: Said, vocabulary: Vocabulary) -> np.ndarray:
    """A label for each frame: a letter in the middle of its state, a boundary where a word ends, blanks between."""
    states = states_of(said.text, vocabulary)
    wanted: list[tuple[int, float]] = []  # label, frame
    ended = 0
    for state in range(1, len(states)):
        frames = np.flatnonzero(said.path == state)
        if states[state] != SILENCE:
            wanted.append((int(states[state]), frames.mean()))
            ended = int(frames[-1]) + 1
        else:
            begins = int(np.flatnonzero(said.path > state)[0]) if state + 1 < len(states) else ended + 6
            wanted.append((vocabulary.boundary, (ended + begins - 1) / 2))
    places: list[int] = []
    for number, (label, frame) in enumerate(wanted):
        least = places[-1] + 1 + (wanted[number - 1][0] == label) if places else 0
        places.append(max(round(frame), least))
    last = len(said.path)
    for number in range(len(wanted) - 1, -1, -1):  # what was pushed over the end goes back
        places[number] = min(places[number], last - 1)
        last = places[number] - (number > 0 and wanted[number - 1][0] == wanted[number][0])
    labels = np.zeros(len(said.path), dtype=np.int64)
    for (label, _), place, following in zip(wanted, places, [*places[1:], len(labels)], strict=True):
        labels[place : place + (2 if following > place + 2 else 1)] = label
    return labels


def learn(model: CTCModel, learned: list[Said], vocabulary: Vocabulary, windows: int, updates: int, lr: float) -> None:
    """Train all but the extractor on windows whose features are computed once."""
    rng = numpy_rng(SEED, "windows")
    bank = [heard(model, said.wave[shift:], said.labels) for said in learned for shift in (0, STEP // 4)]
    for _ in range(windows):
        row = [learned[i] for i in rng.choice(len(learned), NEIGHBOURS, replace=False)]
        wave, labels = np.concatenate([s.wave for s in row]), np.concatenate([s.labels for s in row])
        length = min(int(rng.uniform(*WINDOWS) * RATE) // STEP, len(labels))
        start = int(rng.integers(0, len(labels) - length + 1))
        shift = int(rng.integers(0, STEP // 2))  # recordings begin anywhere between frames
        bank.append(heard(model, wave[start * STEP + shift : (start + length) * STEP], labels[start:]))
    trained = [weights for name, weights in model.named_parameters() if "extractor" not in name]
    optimizer = torch.optim.Adam(trained, lr=lr, betas=(0.9, 0.98))
    losses: list[float] = []
    weight = torch.ones(len(vocabulary))
    weight[Vocabulary.blank] = 0.5
    for update in range(updates):
        scale = min(1.0, (update + 1) / WARMUP) * (0.5 + 0.5 * np.cos(np.pi * update / updates))
        for group in optimizer.param_groups:
            group["lr"] = lr * max(scale, 0.01)
        features, targets = zip(*(bank[i] for i in rng.choice(len(bank), BATCH)), strict=True)
        frames = torch.tensor([len(f) for f in features])
        padded = model.encoder.feature_norm(pad_sequence(list(features), batch_first=True))
        logits = model.head(model.train().encoder.contextualise(padded, frames, None, None).states)
        wanted = pad_sequence(list(targets), batch_first=True, padding_value=-100)
        loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), weight)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if update % 50 == 49:
            print(f"{update + 1} of {updates}: loss {np.mean(losses[-50:]):.4f}", flush=True)


def heard(model: CTCModel, wave: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (T, C) of a wave, and the labels of so many frames."""
    with torch.no_grad():
        features = model.encoder.extract(torch.from_numpy(np.ascontiguousarray(wave))[None], torch.tensor([len(wave)]))[
            0
        ]
    frames = min(len(features), len(labels))
    return features[:frames], torch.from_numpy(labels[:frames])


def emission_of(model: CTCModel, wave: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        output = model.eval()(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    return torch.log_softmax(output.logits[0], dim=-1).numpy()


if __name__ == "__main__":
    main()
