"""The batch law: an utterance's logits and text are its own, whatever it is batched with and however it is padded.

64 utterances of 0.3 to 30 s, for a model of each family: alone, in batches of 4 and of 16, and with up to 30 s behind.
"""

from functools import cache

import numpy as np
import pytest
import torch

from sewcli.base.rng import numpy_rng
from sewcli.decoding.greedy import greedy
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.zoo import lookup

LARGEST_DIFFERENCE = 1e-4
UTTERANCES = 64
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


@cache
def waves() -> list[np.ndarray]:
    """Bursts of tones over noise; the logarithm of the duration is uniform, the level differs."""
    rng = numpy_rng(1, "batch law")
    seconds = np.exp(rng.uniform(np.log(0.3), np.log(30), UTTERANCES))
    made = []
    for duration in [0.3, 30.0, *seconds[2:]]:
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
    made = CTCModel(ModelConfig(**{**lookup("sew-micro").model_dump(), **changes}), 32).for_inference()
    made.head.weight.normal_(std=0.3)
    return made


def logits(family: str, batches: list[list[int]], extra: np.ndarray | None = None) -> dict[int, np.ndarray]:
    found = {}
    for batch in batches:
        lengths = [len(waves()[i]) for i in batch]
        padded = torch.zeros(len(batch), max(lengths) + (0 if extra is None else int(extra[batch[0]])))
        for row, i in enumerate(batch):
            padded[row, : lengths[row]] = torch.from_numpy(waves()[i])
        with torch.inference_mode():
            output = model(family)(padded, torch.tensor(lengths))
        assert output.lengths.tolist() == [model(family).encoder.frames(n) for n in lengths]
        rows = output.logits.numpy()
        found |= {i: rows[row, : int(output.lengths[row])].copy() for row, i in enumerate(batch)}
    return found


@cache
def alone(family: str) -> dict[int, np.ndarray]:
    return logits(family, [[i] for i in range(UTTERANCES)])


def check(family: str, found: dict[int, np.ndarray]) -> None:
    reference = alone(family)
    assert sorted(found) == sorted(reference) == list(range(UTTERANCES))
    for i, own in reference.items():
        assert found[i].shape == own.shape
        assert np.abs(found[i] - own).max() <= LARGEST_DIFFERENCE, (i, len(waves()[i]))
        assert greedy(found[i]) == greedy(own), (i, len(waves()[i]))


@pytest.mark.parametrize("size", [4, 16])
@pytest.mark.parametrize("family", FAMILIES)
def test_in_batches(family: str, size: int) -> None:
    order = numpy_rng(1, "batch law order", size).permutation(UTTERANCES).tolist()
    check(family, logits(family, [order[i : i + size] for i in range(0, UTTERANCES, size)]))


@pytest.mark.parametrize("family", FAMILIES)
def test_with_silence_behind(family: str) -> None:
    extra = (numpy_rng(1, "batch law padding").uniform(0, 30, UTTERANCES) * 16_000).astype(int)
    check(family, logits(family, [[i] for i in range(UTTERANCES)], extra))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_texts_say_something(family: str) -> None:
    texts = [tuple(greedy(own)) for own in alone(family).values()]
    assert len(set(texts)) >= UTTERANCES - 4 and np.mean([len(text) for text in texts]) > 20
    odd = [len(own) % 2 for own in alone(family).values()]
    assert 0 < sum(odd) < UTTERANCES
    assert max(len(own) for own in alone(family).values()) == 1499
