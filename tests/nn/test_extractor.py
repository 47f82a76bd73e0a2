"""Frame counts, receptive field, and the norm over time."""

import pytest
import torch
from torch.nn import functional

from sewcli.nn.extractor import WaveExtractor
from sewcli.nn.norms import TimeNorm

PLAIN = ((4,) * 7, (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))
INTERLEAVED = ((4,) * 13, (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1), (5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1))
FRAMES = {1: 0, 399: 0, 400: 1, 719: 1, 720: 2, 16_000: 49, 32_000: 99, 160_000: 499, 250_000: 781, 400_000: 1249}


@pytest.mark.parametrize("shape", [PLAIN, INTERLEAVED])
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_frames_are_the_formulas(shape, norm) -> None:
    extractor = WaveExtractor(*shape, norm=norm)
    assert extractor.shortest == 400
    for samples, frames in FRAMES.items():
        assert extractor.frames(samples) == frames
        if 0 < frames < 100:
            assert extractor(torch.randn(2, samples), None).shape == (2, frames, 4)
    assert extractor.frames(torch.tensor(list(FRAMES))).tolist() == list(FRAMES.values())


def test_a_frame_sees_400_samples() -> None:
    extractor = WaveExtractor(*PLAIN, norm="layer")
    waves = torch.randn(1, 3200, requires_grad=True)
    extractor(waves, None)[0, 3].sum().backward()
    assert torch.nonzero(waves.grad[0]).flatten()[[0, -1]].tolist() == [3 * 320, 3 * 320 + 399]


def test_time_norm_is_group_norm_over_the_true_length() -> None:
    norm = TimeNorm(6)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    x = torch.randn(3, 6, 50) * 3 + 10
    lengths = torch.tensor([50, 31, 2])
    masked = norm(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        part = x[row : row + 1, :, :length].double()
        alone = functional.group_norm(part, 6, norm.weight.double(), norm.bias.double())
        assert torch.allclose(masked[row, :, :length], alone[0].float(), atol=1e-5)
        assert torch.allclose(norm(x[row : row + 1, :, :length], None)[0], alone[0].float(), atol=1e-5)


def test_half_precision_is_normalised_in_full() -> None:
    x = (torch.randn(1, 4, 20_000) + 200).bfloat16()
    for lengths in (None, torch.tensor([20_000])):
        y = TimeNorm(4).bfloat16()(x, lengths).detach()
        assert y.dtype == torch.bfloat16
        assert y.float().mean().abs() < 0.01 and y.float().std() == pytest.approx(1, abs=0.02)
