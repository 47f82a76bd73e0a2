"""The distillation losses against their formulas in float64, value and gradient."""

import math

import numpy as np
import pytest
import torch

from sewcli.compression.losses import feature_penalty, token_divergence


def logits(seed: int, *shape: int) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_divergence_is_that_of_the_formula(temperature: float) -> None:
    """T^2 sum p (ln p - ln q) with p the teacher's; its gradient by the student's logits is T (q - p)."""
    student, teacher, frames = logits(1, 3, 7, 5).requires_grad_(), logits(2, 3, 7, 5), [7, 4, 1]
    found = token_divergence(student, teacher, torch.tensor(frames), temperature)
    found.backward()
    expected, slope = 0.0, np.zeros((3, 7, 5))
    for row, count in enumerate(frames):
        for frame in range(count):
            p, q = (
                np.exp(values) / np.exp(values).sum()
                for values in (x.detach()[row, frame].double().numpy() / temperature for x in (teacher, student))
            )
            expected += temperature**2 * float((p * (np.log(p) - np.log(q))).sum())
            slope[row, frame] = temperature * (q - p)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-6) and expected > 1
    assert student.grad is not None
    assert np.abs(student.grad.numpy() - slope).max() < 1e-5
    assert float(student.grad[1, 4:].abs().max()) == 0  # padding


def test_divergence_is_zero_of_equal_models_and_finite_of_extreme_ones() -> None:
    same = logits(3, 1, 4, 6)
    assert float(token_divergence(same, same, torch.tensor([4]))) == pytest.approx(0, abs=1e-6)
    assert math.isfinite(float(token_divergence(300 * same, -300 * same, torch.tensor([4]))))
    half = token_divergence(same.half(), logits(4, 1, 4, 6).half(), torch.tensor([4]))
    assert half.dtype == torch.float32


def test_penalty_is_the_mean_square_of_each_utterance() -> None:
    features = logits(5, 2, 6, 4).requires_grad_()
    found = feature_penalty(features, torch.tensor([6, 2]))
    found.backward()
    plain = features.detach().double().numpy()
    assert float(found.detach()) == pytest.approx((plain[0] ** 2).mean() + (plain[1, :2] ** 2).mean(), rel=1e-6)
    assert features.grad is not None
    assert np.allclose(features.grad[0].numpy(), 2 * plain[0] / 24, atol=1e-6)
    assert np.allclose(features.grad[1, :2].numpy(), 2 * plain[1, :2] / 8, atol=1e-6)
    assert float(features.grad[1, 2:].abs().max()) == 0
