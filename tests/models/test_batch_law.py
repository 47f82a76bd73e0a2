"""An utterance gives the same states alone and in any batch, whatever stands in the padding."""

import pytest
import torch
from support.model_cases import CASES, apart, noise, shaken, small

from sewcli.base.errors import DataError
from sewcli.models.constants import hold_constants
from sewcli.models.ctc import CTCModel

LENGTHS = [16_000, 16_340, 9_999, 400, 719, 720, 16_100]  # 49, 50, 30, 1, 1, 2 and 49 frames


@pytest.fixture(params=CASES)
def model(request) -> CTCModel:
    torch.manual_seed(0)
    return shaken(CTCModel(small(request.param), 32)).eval()


def padded(fill: float) -> torch.Tensor:
    waves = torch.full((len(LENGTHS), 17_000), fill)
    for row, samples in enumerate(LENGTHS):
        waves[row, :samples] = noise(samples, seed=row) + 0.05 * row
    return waves


@pytest.mark.parametrize("fill", [0.0, float("nan")])
def test_each_row_equals_the_row_alone(model: CTCModel, fill: float) -> None:
    waves = padded(fill)
    with torch.inference_mode():
        batch = model(waves, torch.tensor(LENGTHS))
        for row, samples in enumerate(LENGTHS):
            alone = model(waves[row : row + 1, :samples], torch.tensor([samples]))
            frames = int(alone.lengths[0])
            assert frames == alone.logits.shape[1] == int(batch.lengths[row])
            assert apart(batch.logits[row, :frames], alone.logits[0]) < 1e-5, samples
            assert torch.isfinite(batch.logits[row]).all()


def test_padding_changes_no_gradient(model: CTCModel) -> None:
    samples = 9_999
    gradients = []
    for size in (samples, 17_000):
        waves = torch.zeros(1, size)
        waves[0, :samples] = noise(samples)
        model.zero_grad()
        output = model(waves, torch.tensor([samples]))
        output.logits[0, :30].square().sum().backward()
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    largest = max(float(g.abs().max()) for g in gradients[0].values())
    for name, gradient in gradients[0].items():
        difference = float((gradient - gradients[1][name]).abs().max())
        assert difference <= 1e-4 * max(float(gradient.abs().max()), 1e-3 * largest), name


@pytest.mark.parametrize("case", ["sew", "sew-d"])
def test_the_odd_last_frame_is_all_zero(case: str) -> None:
    model = shaken(CTCModel(small(case), 32)).eval()
    with torch.inference_mode():
        odd = model(noise(1, 16_000), torch.tensor([16_000])).logits
        one = model(noise(1, 400), torch.tensor([400])).logits
    assert odd.shape[1] == 49 and one.shape[1] == 1
    assert torch.equal(odd[0, -1], model.head.bias) and torch.equal(one[0, 0], model.head.bias)
    assert not torch.allclose(odd[0, -2], model.head.bias)


def test_too_short_an_utterance_is_refused() -> None:
    model = CTCModel(small("sew"), 32)
    with pytest.raises(DataError, match="399 samples"):
        model(noise(2, 1000), torch.tensor([1000, 399]))


def test_batches_of_sew_d_in_tiles() -> None:
    model = shaken(CTCModel(small("sew-d", layers=1), 32)).eval()
    lengths = [400 + 320 * 1100, 400 + 320 * 600, 16_000]
    waves = torch.zeros(3, lengths[0])
    for row, samples in enumerate(lengths):
        waves[row, :samples] = noise(samples, seed=row)
    with torch.inference_mode():
        batch = model(waves, torch.tensor(lengths))
        for row, samples in enumerate(lengths):
            alone = model(waves[row : row + 1, :samples], torch.tensor([samples])).logits[0]
            assert apart(batch.logits[row, : len(alone)], alone) < 1e-5


@pytest.mark.parametrize("samples", [400, 16_000, 400 + 320 * 1100])
@pytest.mark.parametrize("case", ["sew", "sew-d"])
def test_prepared_for_inference_it_computes_the_same(case: str, samples: int) -> None:
    model = shaken(CTCModel(small(case, layers=1), 32)).eval()
    waves, lengths = noise(1, samples), torch.tensor([samples])
    with torch.inference_mode():
        before = model(waves, lengths).logits
        assert torch.allclose(hold_constants(model)(waves, lengths).logits, before, atol=1e-6)
