"""The pre-training loss against its formula in float64, and its edges."""

import math

import numpy as np
import pytest
import torch
from model_cases import noise, small

from sewcli.base.errors import DataError
from sewcli.models.pretraining import PretrainingModel, contrastive_loss, draw_negatives
from sewcli.nn.masking import span_mask


def formula(predictions, truths, codes, draws, temperature) -> tuple[np.ndarray, int]:
    """wav2vec 2.0 equation 3, one masked frame and one distractor at a time, in float64."""
    x, y, total, correct = predictions.double().numpy(), truths.double().numpy(), 0.0, 0
    cosine = lambda a, b: a @ b / (np.linalg.norm(a) * np.linalg.norm(b))  # noqa: E731
    for row in range(len(x)):
        for t in range(x.shape[1]):
            logits = [cosine(x[row, t], y[row, t]) / temperature]
            for other, times in enumerate(draws[row, t].int().tolist()):
                same = bool(codes[row, other] == codes[row, t])
                logits += [-np.inf if same else cosine(x[row, t], y[row, other]) / temperature] * times
            total += np.logaddexp.reduce(logits) - logits[0]
            correct += np.argmax(logits) == 0 and not np.argmin(logits) == np.argmax(logits) == 0
    return total, int(correct)


def ready(case: str = "sew", **changes):
    torch.manual_seed(0)
    model = PretrainingModel(small(case, **changes))
    waves, lengths = noise(4, 32_000), torch.full((4,), 32_000)
    mask = span_mask(np.random.default_rng(0), 4, 99, probability=0.65, length=10)
    return model, waves, lengths, torch.from_numpy(mask)


def test_contrastive_loss_is_the_formula() -> None:
    predictions, truths = noise(2, 12, 16, seed=1), noise(2, 12, 16, seed=2)
    codes = torch.randint(5, (2, 12), generator=torch.Generator().manual_seed(3))
    truths = truths[:, :5].gather(1, codes.unsqueeze(2).expand(-1, -1, 16))  # equal codes, equal targets
    torch.manual_seed(4)
    draws = draw_negatives(2, 12, 20, torch.device("cpu"))
    loss, correct = contrastive_loss(predictions, truths, codes, draws, 0.1)
    expected, hits = formula(predictions, truths, codes, draws, 0.1)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert int(correct) == hits and 0 < hits < 24


def test_a_tie_of_all_is_not_correct() -> None:
    predictions, truths = noise(1, 6, 4, seed=1), torch.ones(1, 6, 4)
    draws = draw_negatives(1, 6, 10, torch.device("cpu"))
    codes = torch.arange(6).unsqueeze(0)
    loss, correct = contrastive_loss(predictions, truths, codes, draws, 0.1)
    assert float(loss) == pytest.approx(6 * math.log(11), rel=1e-5) and int(correct) == 0
    assert formula(predictions, truths, codes, draws, 0.1)[1] == 0


def test_contrastive_gradient_is_the_formulas() -> None:
    predictions, truths = noise(1, 6, 4, seed=1).requires_grad_(), noise(1, 6, 4, seed=2).requires_grad_()
    draws = draw_negatives(1, 6, 10, torch.device("cpu"))
    codes = torch.arange(6).unsqueeze(0)
    contrastive_loss(predictions, truths, codes, draws, 0.1)[0].backward()
    for tensor, index in ((predictions, (0, 2, 1)), (truths, (0, 4, 3))):
        values = []
        for step in (1e-6, -1e-6):
            moved = [t.detach().double() for t in (predictions, truths)]
            moved[tensor is truths][index] += step
            values.append(formula(*moved, codes, draws, 0.1)[0])
        assert float(tensor.grad[index]) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4)


def test_total_is_the_sum_form() -> None:
    model, waves, lengths, mask = ready()
    model.eval()
    output = model(waves, lengths, mask, 0.5)
    frames = int(mask.sum())
    features = model.encoder.extract(waves, lengths).detach().double()
    entries = model.config.codebook_groups * model.config.codebook_entries
    logits = (
        model.quantizer.choice(model.encoder.feature_norm(features.float())[mask]).detach().double().view(frames, 2, -1)
    )
    spread = logits.softmax(2).mean(0)
    perplexity = float(torch.exp(-(spread * (spread + 1e-7).log()).sum(1)).sum())
    assert int(output.frames) == frames
    assert float(output.probability_perplexity) == pytest.approx(perplexity, rel=1e-5)
    assert float(output.diversity) == pytest.approx(0.1 * frames * (entries - perplexity) / entries, rel=1e-5)
    assert float(output.penalty) == pytest.approx(10 * frames * float(features.square().mean()), rel=1e-5)
    total = float(output.contrastive + output.diversity + output.penalty)
    assert float(output.loss.detach()) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("case", ["sew", "sew-d", "wav2vec2"])
def test_untrained_loss_is_near_chance(case: str) -> None:
    model, waves, lengths, mask = ready(case, dropout=0.0)
    output = model(waves, lengths, mask, 2.0)
    assert 6.0 < float(output.contrastive / output.frames) / math.log(2) < 8.0  # chance is log2(101) = 6.66
    assert float(output.correct / output.frames) < 0.2


def test_a_collapsed_codebook_has_no_loss_and_full_accuracy() -> None:
    model, waves, lengths, mask = ready()
    with torch.no_grad():
        model.quantizer.choice.weight.zero_()
        model.quantizer.choice.bias[0] = model.quantizer.choice.bias[32] = 1e3
    output = model(waves, lengths, mask, 0.5)
    assert float(output.contrastive) == 0.0 and float(output.correct) == float(output.frames)
    assert float(output.code_perplexity) == pytest.approx(2.0, abs=1e-4)
    output.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_negatives_come_from_the_other_masked_frames_evenly() -> None:
    torch.manual_seed(0)
    draws = draw_negatives(8, 5, 1000, torch.device("cpu"))
    assert (draws.sum(2) == 1000).all() and (draws.diagonal(dim1=1, dim2=2) == 0).all()
    others = draws[:, ~torch.eye(5, dtype=torch.bool)]
    assert float(others.min()) > 180 and float(others.max()) < 320  # 250 expected, sd 14


def test_extractor_gradient_is_scaled() -> None:
    norms = []
    for scale in (1.0, 0.1, 0.0):
        model, waves, lengths, mask = ready(extractor_gradient=scale)
        model.eval()
        torch.manual_seed(1)
        model(waves, lengths, mask, 1.0).loss.backward()
        gradient = model.encoder.extractor.convolutions[0].weight.grad
        norms.append(0.0 if gradient is None else float(gradient.norm()))
        assert model.encoder.mask_vector.grad is not None
    assert norms[1] == pytest.approx(0.1 * norms[0], rel=1e-4) and norms[2] == 0.0


def test_equal_seeds_give_equal_losses_and_the_mask_matters() -> None:
    model, waves, lengths, mask = ready()
    losses = []
    for seed, rows in ((1, mask), (1, mask), (2, mask), (1, mask.roll(1, dims=1))):
        torch.manual_seed(seed)
        losses.append(float(model(waves, lengths, rows, 2.0).contrastive))
    assert losses[0] == losses[1] and len(set(losses)) == 3


def test_one_masked_frame_is_refused() -> None:
    model, waves, lengths, mask = ready()
    mask[:] = False
    mask[:, 3] = True
    with pytest.raises(DataError, match="fewer than two"):
        model(waves, lengths, mask, 1.0)


def test_every_parameter_learns() -> None:
    for case in ("sew", "sew-d", "wav2vec2-layer-norm"):
        model, waves, lengths, mask = ready(case, layer_drop=0.0)
        model(waves, lengths, mask, 2.0).loss.backward()
        still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
        assert still == [], case


def test_layer_drop_skips_layers_in_training_only() -> None:
    model, waves, lengths, mask = ready(layer_drop=0.99)
    torch.manual_seed(0)
    model(waves, lengths, mask, 2.0).loss.backward()
    assert all(p.grad is None for p in model.encoder.context.layers.parameters())
    model.eval()
    model(waves, lengths, mask, 2.0).loss.backward()
    assert all(p.grad is not None for p in model.encoder.context.layers.parameters())
