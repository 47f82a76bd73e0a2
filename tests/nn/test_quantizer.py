"""The quantizer: hard values, soft gradients, perplexities."""

import pytest
import torch

from sewcli.nn.quantizer import Quantizer, gumbel_noise, perplexity


def ready(groups: int = 2, entries: int = 5) -> tuple[Quantizer, torch.Tensor]:
    torch.manual_seed(0)
    return Quantizer(8, groups, entries, 6), torch.randn(40, 8)


def test_codes_are_rows_of_the_codebook() -> None:
    quantizer, x = ready()
    books = quantizer.codebook.view(2, 5, 3)
    for training in (True, False):
        result = quantizer.train(training)(x, 0.7)
        for n in range(40):
            first, second = int(result.combination[n]) % 5, int(result.combination[n]) // 5
            assert torch.equal(result.codes[n], torch.cat([books[0, first], books[1, second]]))


def test_evaluation_takes_the_most_probable_and_training_explores() -> None:
    quantizer, x = ready()
    best = quantizer.choice(x).view(40, 2, 5).argmax(2)
    expected = best[:, 0] + 5 * best[:, 1]
    assert torch.equal(quantizer.eval()(x, 1.0).combination, expected)
    torch.manual_seed(1)
    shares = [(quantizer.train()(x, 1.0).combination == expected).float().mean() for _ in range(20)]
    assert 0.2 < float(torch.stack(shares).mean()) < 0.95


def test_choices_follow_the_probabilities() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([0.0, 1.0, 2.0]).expand(60_000, 3)
    chosen = (logits + gumbel_noise(logits)).argmax(1).bincount(minlength=3) / 60_000
    assert torch.allclose(chosen, logits[0].softmax(0), atol=0.01)


def test_gradient_is_that_of_the_softmax() -> None:
    quantizer, x = ready(groups=1)
    weights = torch.randn(40, 6)
    torch.manual_seed(3)
    (quantizer.train()(x, 0.7).codes * weights).sum().backward()
    torch.manual_seed(3)
    logits = quantizer.choice(x).view(40, 1, 5)
    soft = ((logits + gumbel_noise(logits)) / 0.7).softmax(2)
    expected = torch.autograd.grad(
        ((soft[:, 0] @ quantizer.codebook[0].detach()) * weights).sum(), quantizer.choice.weight
    )
    assert torch.allclose(quantizer.choice.weight.grad, expected[0], atol=1e-5)


def test_perplexities() -> None:
    assert float(perplexity(torch.full((2, 320), 1 / 320))) == pytest.approx(640, rel=1e-3)
    assert float(perplexity(torch.eye(2, 320))) == pytest.approx(2, rel=1e-5)
    quantizer, x = ready()
    result = quantizer.eval()(x, 1.0)
    counts = quantizer.choice(x).view(40, 2, 5).argmax(2)
    used = torch.stack([counts[:, g].bincount(minlength=5) / 40 for g in range(2)])
    assert float(result.code_perplexity) == pytest.approx(float(perplexity(used)), rel=1e-5)
    assert result.code_perplexity < result.probability_perplexity < 10


def test_noise_is_finite() -> None:
    class Zeros(torch.Tensor):
        def exponential_(self):
            return self.zero_()

    assert torch.isfinite(gumbel_noise(torch.ones(3).as_subclass(Zeros))).all()
