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


def fixed_noise(monkeypatch, *shape: int) -> torch.Tensor:
    """Gumbel noise that is the same for the quantizer and for the formula."""
    noise = -torch.empty(*shape, dtype=torch.float64).exponential_().log()
    monkeypatch.setattr("sewcli.nn.quantizer.gumbel_noise", lambda like: noise.to(like.dtype))
    return noise


@pytest.mark.parametrize(("groups", "entries"), [(1, 5), (2, 7), (4, 3)])
def test_codes_and_their_gradients_are_the_formulas(groups: int, entries: int, monkeypatch) -> None:
    """wav2vec 2.0 equation 1 in float64: forward the entry of the largest p, backward p itself."""
    quantizer, x = Quantizer(8, groups, entries, 12).double().train(), torch.randn(40, 8, dtype=torch.float64)
    x.requires_grad_()
    noise = fixed_noise(monkeypatch, 40, groups, entries)
    weights, heat = torch.randn(40, 12, dtype=torch.float64), 0.7
    result = quantizer(x, heat)
    matrix, bias = quantizer.choice.weight, quantizer.choice.bias
    books = quantizer.codebook[0].reshape(groups, entries, -1)
    hard, soft = [], []
    for n in range(40):
        logits = matrix @ x[n] + bias
        for g in range(groups):
            scores = [(logits[g * entries + v] + noise[n, g, v]) / heat for v in range(entries)]
            exponents = [torch.exp(s) for s in scores]
            p = [e / sum(exponents) for e in exponents]
            hard.append(books[g, max(range(entries), key=lambda v, p=p: float(p[v]))])
            soft.append(sum(p[v] * books[g, v].detach() for v in range(entries)))
    codes = torch.stack(hard).view(40, 12)
    assert torch.allclose(result.codes, codes, rtol=0, atol=1e-14)
    through = [x, matrix, bias]
    ours = torch.autograd.grad((result.codes * weights).sum(), [*through, quantizer.codebook], retain_graph=True)
    expected = torch.autograd.grad((torch.stack(soft).view(40, 12) * weights).sum(), through)
    for a, b in zip(ours[:3], expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)
    of_entries = torch.autograd.grad((codes * weights).sum(), quantizer.codebook)[0]
    torch.testing.assert_close(ours[3], of_entries, rtol=1e-12, atol=1e-14)


def test_diversity_and_its_gradient_are_the_formula() -> None:
    """sum over groups of exp(-sum p ln(p + 1e-7)), p the mean softmax without noise or temperature."""
    quantizer, x = Quantizer(8, 2, 5, 6).double().train(), torch.randn(30, 8, dtype=torch.float64).requires_grad_()
    got = quantizer(x, 0.3).probability_perplexity
    total = torch.zeros((), dtype=torch.float64)
    for g in range(2):
        mean = torch.zeros(5, dtype=torch.float64)
        for n in range(30):
            e = torch.exp(quantizer.choice.weight[5 * g : 5 * g + 5] @ x[n] + quantizer.choice.bias[5 * g : 5 * g + 5])
            mean = mean + e / e.sum() / 30
        total = total + torch.exp(-sum(p * torch.log(p + 1e-7) for p in mean))
    assert float(got.detach()) == pytest.approx(float(total.detach()), rel=1e-12)
    for parameter in (x, quantizer.choice.weight, quantizer.choice.bias):
        ours, expected = (torch.autograd.grad(value, parameter, retain_graph=True)[0] for value in (got, total))
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-14)
    assert torch.autograd.gradcheck(lambda features: quantizer(features, 0.3).probability_perplexity, (x,))


def test_without_noise_the_gradient_still_has_the_temperature(monkeypatch) -> None:
    plain, noisy = (Quantizer(8, 1, 5, 6, noise=noise).double().train() for noise in (False, True))
    noisy.load_state_dict(plain.state_dict())
    monkeypatch.setattr("sewcli.nn.quantizer.gumbel_noise", torch.zeros_like)
    x = torch.randn(20, 8, dtype=torch.float64)
    for quantizer in (plain, noisy):
        quantizer(x, 0.5).codes.sum().backward()
    assert torch.equal(plain.choice.weight.grad, noisy.choice.weight.grad)
    assert plain.choice.weight.grad.abs().max() > 0
