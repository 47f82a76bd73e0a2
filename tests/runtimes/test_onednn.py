"""Products in oneDNN's layout are the products they stand for."""

import pytest
import torch
from support.model_cases import CASES, apart, noise, shaken, small
from torch import nn
from torch.nn import functional

from sewcli.models.ctc import CTCModel
from sewcli.nn.extractor import WaveExtractor
from sewcli.nn.transformer import GeluLinear
from sewcli.runtimes.inference import for_inference
from sewcli.runtimes.onednn import PackedConvolution, PackedLinear, can_pack
from sewcli.runtimes.onednn_extractor import FRAMES, WINDOWS, PackedExtractor, moments

pytestmark = pytest.mark.skipif(not can_pack(torch.float32), reason="no oneDNN for this processor")
bf16 = pytest.param(
    torch.bfloat16, marks=pytest.mark.skipif(not can_pack(torch.bfloat16), reason="no bf16 products in this processor")
)
NEAR = {torch.float32: 2e-6, torch.bfloat16: 1e-2}
CONVOLUTIONS = [(3, 2, 0, 1), (1, 1, 0, 1), (31, 2, 15, 4), (128, 1, 64, 4), (64, 2, 32, 2)]
CHAIN = ((24, 32, 32, 48), (10, 3, 1, 2), (5, 2, 1, 2))


@pytest.mark.parametrize("dtype", [torch.float32, bf16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [nn.Linear, GeluLinear])
def test_linear(kind: type[nn.Linear], bias: bool, dtype: torch.dtype) -> None:
    layer = kind(48, 33, bias=bias).requires_grad_(False)
    x = torch.randn(2, 17, 48)
    packed = PackedLinear.of(layer, dtype)
    assert packed.out_features == 33
    assert apart(packed(x.to(dtype)).float(), layer(x)) < NEAR[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, bf16])
@pytest.mark.parametrize(
    "kernel, stride, padding, groups", [(3, 2, 0, 1), (1, 1, 0, 1), (31, 2, 15, 4), (128, 1, 64, 4), (64, 2, 32, 2)]
)
def test_convolution(kernel: int, stride: int, padding: int, groups: int, dtype: torch.dtype) -> None:
    layer = nn.Conv1d(32, 48, kernel, stride, padding, groups=groups).requires_grad_(False)
    packed = PackedConvolution(
        layer.weight, layer.bias, dtype, stride=stride, padding=padding, groups=groups, gelu=True
    )
    x = torch.randn(2, 99, 32)
    right = functional.gelu(layer(x.transpose(1, 2))).transpose(1, 2)
    assert apart(packed(x.to(dtype)).float(), right) < NEAR[dtype]


def test_moments_are_those_of_the_windows() -> None:
    wave = torch.randn(5 * WINDOWS + 777) * torch.linspace(0, 1, 5 * WINDOWS + 777) + 0.3
    windows = wave.unfold(0, 10, 5).double()
    mean, covariance = moments(wave, 10, 5)
    assert torch.allclose(mean, windows.mean(0), rtol=1e-12)
    assert torch.allclose(covariance, torch.cov(windows.T, correction=0), rtol=1e-9)


@pytest.mark.parametrize("norm, bias", [("group", False), ("group", True), ("layer", True)])
def test_extractor_in_pieces(norm, bias: bool) -> None:
    extractor = shaken(WaveExtractor(*CHAIN, norm=norm, bias=bias)).requires_grad_(False)
    lengths = [20 * (2 * FRAMES + 33), 20 * FRAMES + 41, 700, extractor.shortest]
    waves = torch.full((len(lengths), lengths[0]), torch.nan)  # nothing is read behind an utterance
    for row, samples in enumerate(lengths):
        waves[row, :samples] = noise(samples, seed=row) * (1 + row) + 0.2 * row
    packed = PackedExtractor(extractor, torch.float32)
    made = packed(waves, torch.tensor(lengths))
    for row, samples in enumerate(lengths):
        right = extractor(waves[row : row + 1, :samples], None)[0]
        assert apart(made[row, : len(right)], right) < 1e-5, samples
        assert not made[row, len(right) :].any()
    assert torch.equal(packed(waves[:1], None)[0], made[0])


def test_silence_is_not_divided_by_zero() -> None:
    extractor = shaken(WaveExtractor(*CHAIN)).requires_grad_(False)
    packed = PackedExtractor(extractor, torch.float32)
    for silence in (torch.zeros(1, 9_000), torch.full((1, 9_000), 0.25)):
        assert torch.allclose(packed(silence, None), extractor(silence, None), atol=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_a_packed_model_alone_and_in_a_batch(case: str) -> None:
    model = shaken(CTCModel(small(case), 32)).eval()
    lengths = [16_000, 16_340, 9_999, 400, 719, 720, 16_100]
    waves = torch.full((len(lengths), 17_000), torch.nan)
    for row, samples in enumerate(lengths):
        waves[row, :samples] = noise(samples, seed=row) + 0.05 * row
    with torch.inference_mode():
        right = [model(waves[row : row + 1, :n], torch.tensor([n])).logits[0] for row, n in enumerate(lengths)]
        packed = for_inference(model, torch.device("cpu"))
        batch = packed(waves, torch.tensor(lengths))
        for row, samples in enumerate(lengths):
            alone = packed(waves[row : row + 1, :samples], torch.tensor([samples])).logits[0]
            assert apart(alone, right[row]) < 1e-5
            assert int(batch.lengths[row]) == len(alone)
            assert apart(batch.logits[row, : len(alone)], alone) < 1e-5


@pytest.mark.parametrize("case", ["sew", "sew-d"])
def test_a_packed_model_of_a_minute(case: str) -> None:
    model = shaken(CTCModel(small(case, layers=1), 32)).eval()
    waves, lengths = noise(1, 400 + 320 * 2400), torch.tensor([400 + 320 * 2400])
    with torch.inference_mode():
        right = model(waves, lengths).logits
        assert apart(for_inference(model, torch.device("cpu"))(waves, lengths).logits, right) < 1e-5
