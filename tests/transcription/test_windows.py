"""What comes out of windows is what would come out of the whole."""

import numpy as np
import pytest
import torch
from support.refusals import refused
from torch import nn

from sewcli.base.errors import UsageError
from sewcli.decoding.greedy import greedy
from sewcli.models.constants import hold_constants
from sewcli.models.ctc import CTCModel
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary
from sewcli.transcription.windows import Layout, Stitcher, Windows, take_over

LETTERS = Vocabulary.letters()
SHAPES = {
    "squeezed": {"extractor_norm": "layer"},
    "not squeezed": {"extractor_norm": "layer", "family": "wav2vec2", "squeeze": 1},
    "upsampled": {"extractor_norm": "layer", "family": "wav2vec2", "squeeze": 1, "output_upsample": 2},
}


def local_model(**changes: object) -> CTCModel:
    """Random weights, but nothing in it looks further than the position convolution: 0.6 s to each side."""
    torch.manual_seed(1)
    model = hold_constants(CTCModel(lookup("sew-micro").model_copy(update=changes), len(LETTERS)))
    silenced = 0
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and "attention" in name and "out" in name:
            module.weight.zero_()
            module.bias.zero_()
            silenced += 1
    assert silenced == model.config.layers
    return model


def emission_of(model: CTCModel, wave: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        output = model(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    return torch.log_softmax(output.logits[0], dim=-1).numpy()


def stitched(model: CTCModel, layout: Layout, wave: np.ndarray, blocks: list[int]) -> tuple[np.ndarray, int, int]:
    """The emission, how many windows there were, and the most samples that were held."""
    windows, stitcher = Windows(layout), Stitcher(layout, LETTERS)
    parts, count, held = [], 0, 0
    for samples in np.split(wave, blocks):
        for start, heard in windows.push(samples):
            parts.append(stitcher.add(start, emission_of(model, heard)))
            count += 1
        held = max(held, len(windows._held))
    for start, heard in windows.close():
        if model.encoder.frames(len(heard)):
            parts.append(stitcher.add(start, emission_of(model, heard)))
            count += 1
    rest = stitcher.close()
    return np.concatenate([*parts, *([] if rest is None else [rest])]), count, held


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stitched_emission_is_that_of_the_whole(shape: str) -> None:
    model = local_model(**SHAPES[shape])
    layout = Layout.of(model.config, 8.0, 4.0)
    rng = np.random.default_rng(2)
    for seconds in (0.03, 7.99, 8.0, 12.02, 19.37):
        wave = rng.normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)
        blocks = sorted(rng.integers(0, len(wave), 7).tolist())
        whole = emission_of(model, wave)
        made, count, held = stitched(model, layout, wave, blocks)
        assert made.shape == whole.shape, seconds
        np.testing.assert_allclose(made, whole, atol=2e-4, err_msg=str(seconds))
        assert count == max(1, -(-(len(wave) - layout.overlap) // layout.step))
        assert held <= 2 * layout.length + max(np.diff([0, *blocks, len(wave)]))


def test_windows_are_all_equally_long_and_leave_nothing_out() -> None:
    layout = Layout(grid=640, frames_per_grid=2, length=6400, overlap=1920)
    for samples in (1, 639, 6399, 6400, 6401, 6400 + 4480, 6400 + 4481, 50_000):
        windows = Windows(layout)
        wave = np.arange(samples, dtype=np.float32)
        made = [*windows.push(wave[:100]), *windows.push(wave[100:]), *windows.close()]
        assert made[0][0] == 0
        assert made[-1][0] + len(made[-1][1]) == samples
        for (start, heard), (after, _) in zip(made, [*made[1:], (samples, None)], strict=True):
            assert start % layout.grid == 0
            np.testing.assert_array_equal(heard, wave[start : start + len(heard)])
            assert start + len(heard) >= min(after + layout.overlap, samples)
        assert all(len(heard) == layout.length for _, heard in made[:-1])
        assert len(made[-1][1]) > min(samples, layout.length) - layout.grid


def test_windows_too_short_for_their_overlaps_are_refused() -> None:
    with refused(UsageError, "windows-too-short"):
        Layout.of(local_model().config, 4.0, 3.0)


def frames(text: str) -> np.ndarray:
    """A frame for each character; `.` is the blank."""
    emission = np.full((len(text), len(LETTERS)), -10.0, dtype=np.float32)
    for row, character in zip(emission, text, strict=True):
        row[0 if character == "." else LETTERS.tokens.index(character)] = -0.01
    return emission


def joined(first: str, second: str) -> str:
    cut = take_over(frames(first), frames(second), LETTERS)
    return LETTERS.text(greedy(np.concatenate([frames(first)[:cut], frames(second)[cut:]]), blank=0))


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("A.|..BC.D", "A.|..BC.D", "A BCD"),
        ("AB..|..CD", "AB....|CD", "AB CD"),  # the boundary comes late in the second
        ("AB....|CD", "AB..|..CD", "AB CD"),
        ("AB.|....CD", "AB.....|CD", "AB CD"),
        ("AB.CD..|.E", ".AB.CD.|.E", "ABCD E"),  # letters a frame apart
        ("X.AB..|.CD", "..AB..|.CD", "AB CD"),  # the first has no sound before it
        ("AB.CD.|...", "AB.CD.|.EF", "ABCD EF"),
        ("ABCDEFGHIJ", "ABCDEFGHIJ", "ABCDEFGHIJ"),  # no silence
        ("..........", "..........", ""),
        ("A", "A", "A"),
        ("", "", ""),
    ],
)
def test_the_hand_over_keeps_words_whole(first: str, second: str, text: str) -> None:
    got = joined(first, second)
    assert got == text or (first[:1] == "X" and got == "X" + text)


def test_no_word_is_lost_or_doubled_where_windows_differ() -> None:
    """Windows that hear words a frame or two apart, and nothing right at their ends."""
    rng = np.random.default_rng(3)
    layout = Layout(grid=640, frames_per_grid=2, length=640 * 200, overlap=640 * 100)
    for _ in range(20):
        words = ["".join(rng.choice(list("ETAONI"), rng.integers(1, 8))) for _ in range(60)]
        truth = speak(words, rng)
        size = layout.frame(layout.length) - 1
        stitcher = Stitcher(layout, LETTERS)
        starts = [*range(0, len(truth) - size, layout.frame(layout.step)), (len(truth) - size + 1) // 2 * 2]
        parts = []
        for start in starts:
            heard = jittered(truth[start : start + size], rng)
            edge = layout.frame(layout.overlap) // 3 - 3
            if start:
                heard[:edge] = noise(edge, rng)
            if start + size < len(truth):
                heard[-edge:] = noise(edge, rng)
            parts.append(stitcher.add(start // 2 * 640, heard))
        made = np.concatenate([*parts, stitcher.close()])
        assert len(made) == len(truth)
        assert LETTERS.text(greedy(made, blank=0)).split() == words


def speak(words: list[str], rng: np.random.Generator) -> np.ndarray:
    text = ""
    for word in words:
        for letter in word:
            text += letter + "." * int(rng.integers(2, 5))
        text += "..|" + "." * int(rng.integers(3, 12))
    return frames("....." + text + "." * (len(text) % 2))


def jittered(emission: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every symbol stays, or comes a frame late."""
    out = frames("." * len(emission))
    for frame in np.flatnonzero(emission.argmax(axis=1)):
        out[min(frame + int(rng.integers(0, 2)), len(out) - 1)] = emission[frame]
    return out


def noise(count: int, rng: np.random.Generator) -> np.ndarray:
    return np.log(rng.dirichlet(np.ones(len(LETTERS)), count)).astype(np.float32)
