"""The contrastive loss against wav2vec 2.0's equation 3, one frame and one distractor at a time, in float64."""

import math

import numpy as np
import pytest
import torch

from sewcli.nn.contrastive import contrastive_loss, draw_counts, draw_others


def formula(predictions, candidates, own, codes, draws, temperature) -> tuple[np.ndarray, int]:
    x, y, total, correct = predictions.double().numpy(), candidates.double().numpy(), 0.0, 0
    cosine = lambda a, b: a @ b / (np.linalg.norm(a) * np.linalg.norm(b))  # noqa: E731
    for row in range(len(x)):
        for t in range(x.shape[1]):
            true = int(own[row, t])
            logits = [cosine(x[row, t], y[row, true]) / temperature]
            for other, times in enumerate(draws[row, t].int().tolist()):
                same = bool(codes[row, other] == codes[row, true])
                logits += [-np.inf if same else cosine(x[row, t], y[row, other]) / temperature] * times
            total += np.logaddexp.reduce(logits) - logits[0]
            correct += np.argmax(logits) == 0 and not np.argmin(logits) == np.argmax(logits) == 0
    return total, int(correct)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def masked_only(rows: int, frames: int, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(own, draws) with the predicted frames' targets as candidates."""
    own = torch.arange(frames).expand(rows, frames)
    return own, draw_counts(draw_others(own, frames, number), frames)


def with_repeated_codes(candidates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(candidates, codes): five different vectors, some many times."""
    codes = torch.randint(5, candidates.shape[:2], generator=torch.Generator().manual_seed(3))
    return candidates[:, :5].gather(1, codes.unsqueeze(2).expand_as(candidates)), codes


@pytest.mark.parametrize("everywhere", [False, True], ids=["masked", "any"])
def test_it_is_the_formula(everywhere: bool) -> None:
    predictions, candidates = normal(2, 12, 16, seed=1), normal(2, 30 if everywhere else 12, 16, seed=2)
    candidates, codes = with_repeated_codes(candidates)
    own, draws = masked_only(2, 12, 20)
    if everywhere:
        own = torch.stack([torch.randperm(30)[:12] for _ in range(2)])
        draws = draw_counts(draw_others(own, 30, 20), 30)
    predictions = predictions + 0.3 * candidates.gather(1, own.unsqueeze(2).expand_as(predictions))  # some come true
    loss, correct = contrastive_loss(predictions, candidates, own, codes, draws, 0.1)
    expected, hits = formula(predictions, candidates, own, codes, draws, 0.1)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert int(correct) == hits and 0 < hits < 24
    exact, _ = contrastive_loss(predictions.double(), candidates.double(), own, codes, draws, 0.1)
    assert float(exact) == pytest.approx(expected, rel=1e-12)


def test_a_tie_of_all_is_not_correct() -> None:
    predictions, candidates = normal(1, 6, 4, seed=1), torch.ones(1, 6, 4)
    own, draws = masked_only(1, 6, 10)
    codes = torch.arange(6).unsqueeze(0)
    loss, correct = contrastive_loss(predictions, candidates, own, codes, draws, 0.1)
    assert float(loss) == pytest.approx(6 * math.log(11), rel=1e-5) and int(correct) == 0
    assert formula(predictions, candidates, own, codes, draws, 0.1)[1] == 0


def test_its_gradient_is_the_formulas() -> None:
    """Against autograd on K + 1 gathered logits a frame, as the paper writes them; and against finite differences."""
    predictions, candidates = (normal(2, 6, 4, seed=s).double().requires_grad_() for s in (1, 2))
    own = torch.arange(6).expand(2, 6)
    drawn = draw_others(own, 6, 10)
    codes, draws = torch.tensor([[0, 1, 2, 3, 4, 0]]).expand(2, 6), draw_counts(drawn, 6)

    def ours(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return contrastive_loss(x, y, own, codes, draws, 0.1)[0]

    x, y = (v / v.norm(dim=2, keepdim=True) for v in (predictions, candidates))
    rows = torch.arange(2).view(2, 1, 1)
    logits = torch.cat([(x * y).sum(2, keepdim=True), torch.einsum("bmp,bmkp->bmk", x, y[rows, drawn])], 2) / 0.1
    same = codes[rows, drawn] == codes.unsqueeze(2)
    logits = logits.masked_fill(torch.cat([torch.zeros(2, 6, 1, dtype=torch.bool), same], 2), float("-inf"))
    expected = torch.autograd.grad(-logits.log_softmax(2)[..., 0].sum(), (predictions, candidates))
    for own_gradient, gradient in zip(
        torch.autograd.grad(ours(predictions, candidates), (predictions, candidates)), expected, strict=True
    ):
        torch.testing.assert_close(own_gradient, gradient, rtol=1e-9, atol=1e-12)
    assert torch.autograd.gradcheck(ours, (predictions, candidates))


def test_half_precision_around_it_changes_nothing() -> None:
    predictions, candidates = normal(1, 8, 4, seed=1), normal(1, 8, 4, seed=2)
    own, draws = masked_only(1, 8, 10)
    codes = torch.arange(8).unsqueeze(0)
    plain = contrastive_loss(predictions, candidates, own, codes, draws, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert contrastive_loss(predictions, candidates, own, codes, draws, 0.1)[0] == plain[0]


@pytest.mark.parametrize("candidates", [5, 7])
def test_distractors_are_drawn_evenly_and_never_the_frame_itself(candidates: int) -> None:
    own = torch.tensor([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]] * 4)
    draws = draw_counts(draw_others(own, candidates, 1000), candidates)
    assert (draws.sum(2) == 1000).all() and (draws.gather(2, own.unsqueeze(2)) == 0).all()
    expected = 1000 / (candidates - 1)
    others = draws[draws > 0]
    assert others.numel() == own.numel() * (candidates - 1)
    assert float((others - expected).abs().max()) < 5 * math.sqrt(expected)
