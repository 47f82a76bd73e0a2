"""The batch law: an utterance's logits and text are its own, whatever it is batched with and however it is padded.

For a model of each family: alone, in batches of 4 and of 16, and with silence behind. 20 utterances of 0.3 to 4 s each
time; 64 of 0.3 to 30 s, with up to 30 s behind, in the long tests.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch

from sewcli.base.rng import numpy_rng
from sewcli.decoding.greedy import greedy
from sewcli.models.config import ModelConfig
from sewcli.models.constants import hold_constants
from sewcli.models.ctc import CTCModel
from sewcli.models.zoo import lookup


class Speech(NamedTuple):
    """So many utterances of 0.3 s to so many seconds."""

    utterances: int
    longest: float


BRIEF, WHOLE = Speech(20, 4.0), Speech(64, 30.0)
LARGEST_DIFFERENCE = 1e-4
FAMILIES = {
    "wav2vec2": {"family": "wav2vec2", "squeeze": 1},
    "wav2vec2-layer-norm": {
        "family": "wav2vec2",
        "squeeze": 1,
        "extractor_norm": "layer",
        "extractor_bias": True,
        "norm_first": True,
    },
    "sew": {},
    "sew-d": {"family": "sew-d", "norm_eps": 1e-7},
}


both = pytest.mark.parametrize(
    "speech", [pytest.param(BRIEF, id="brief"), pytest.param(WHOLE, id="whole", marks=pytest.mark.long)]
)


@cache
def waves(speech: Speech) -> list[np.ndarray]:
    """Bursts of tones over noise; the logarithm of the duration is uniform, the level differs."""
    rng = numpy_rng(1, "batch law")
    seconds = np.exp(rng.uniform(np.log(0.3), np.log(speech.longest), speech.utterances))
    made = []
    for duration in [0.3, speech.longest, *seconds[2:]]:
        samples = int(16_000 * duration)
        time = np.arange(samples) / 16_000
        voice = np.sin(2 * np.pi * np.cumsum(120 + 400 * np.sin(3 * time + rng.uniform(0, 6)) ** 2) / 16_000)
        wave = voice * np.sin(5 * time) ** 2 + 0.1 * rng.standard_normal(samples) + rng.uniform(-0.02, 0.02)
        made.append((10 ** rng.uniform(-2, -0.3) * wave).astype(np.float32))
    return made


@cache
def model(family: str) -> CTCModel:
    """Two layers of the family; a head that is decided, so that texts have letters and few ties."""
    torch.manual_seed(0)
    changes = {"name": family, "layers": 2, **FAMILIES[family]}
    made = CTCModel(ModelConfig(**{**lookup("sew-micro").model_dump(), **changes}), 32)
    made = hold_constants(made)
    made.head.weight.normal_(std=0.3)
    return made


def logits(
    family: str, speech: Speech, batches: list[list[int]], extra: np.ndarray | None = None
) -> dict[int, np.ndarray]:
    found = {}
    for batch in batches:
        lengths = [len(waves(speech)[i]) for i in batch]
        padded = torch.zeros(len(batch), max(lengths) + (0 if extra is None else int(extra[batch[0]])))
        for row, i in enumerate(batch):
            padded[row, : lengths[row]] = torch.from_numpy(waves(speech)[i])
        with torch.inference_mode():
            output = model(family)(padded, torch.tensor(lengths))
        assert output.lengths.tolist() == [model(family).encoder.frames(n) for n in lengths]
        rows = output.logits.numpy()
        found |= {i: rows[row, : int(output.lengths[row])].copy() for row, i in enumerate(batch)}
    return found


@cache
def alone(family: str, speech: Speech) -> dict[int, np.ndarray]:
    return logits(family, speech, [[i] for i in range(speech.utterances)])


def check(family: str, speech: Speech, found: dict[int, np.ndarray]) -> None:
    reference = alone(family, speech)
    assert sorted(found) == sorted(reference) == list(range(speech.utterances))
    for i, own in reference.items():
        assert found[i].shape == own.shape
        assert np.abs(found[i] - own).max() <= LARGEST_DIFFERENCE, (i, len(waves(speech)[i]))
        assert greedy(found[i], blank=0) == greedy(own, blank=0), (i, len(waves(speech)[i]))


@both
@pytest.mark.parametrize("size", [4, 16])
@pytest.mark.parametrize("family", FAMILIES)
def test_in_batches(family: str, size: int, speech: Speech) -> None:
    order = numpy_rng(1, "batch law order", size).permutation(speech.utterances).tolist()
    check(family, speech, logits(family, speech, [order[i : i + size] for i in range(0, len(order), size)]))


@both
@pytest.mark.parametrize("family", FAMILIES)
def test_with_silence_behind(family: str, speech: Speech) -> None:
    seconds = numpy_rng(1, "batch law padding").uniform(0, speech.longest, speech.utterances)
    singles = [[i] for i in range(speech.utterances)]
    check(family, speech, logits(family, speech, singles, (seconds * 16_000).astype(int)))


@both
@pytest.mark.parametrize("family", FAMILIES)
def test_the_texts_say_something(family: str, speech: Speech) -> None:
    texts = [tuple(greedy(own, blank=0)) for own in alone(family, speech).values()]
    assert len(set(texts)) >= 0.9 * speech.utterances and np.mean([len(text) for text in texts]) > 10
    odd = [len(own) % 2 for own in alone(family, speech).values()]
    assert 0 < sum(odd) < speech.utterances
    assert max(len(own) for own in alone(family, speech).values()) == 50 * speech.longest - 1
