"""The pre-training loss against its formula in float64, and its edges."""

import json
import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from support.model_cases import noise, shaken, small
from support.refusals import refused

from sewcli.base.errors import DataError
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_pretraining, save_ctc, save_pretraining
from sewcli.models.pretraining import PretrainingModel, take
from sewcli.nn.masking import frame_indices, span_mask
from sewcli.text.tokens import Vocabulary


def ready(case: str = "sew", **changes):
    torch.manual_seed(0)
    model = PretrainingModel(small(case, **changes))
    waves, lengths = noise(4, 32_000), torch.full((4,), 32_000)
    mask = span_mask(np.random.default_rng(0), 4, 99, probability=0.65, length=10)
    return model, waves, lengths, torch.from_numpy(mask)


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
    with refused(DataError, "utterance-too-short"):
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


KNOBS = {
    "continuous targets": {"quantize_targets": False},
    "continuous targets, MLP": {"quantize_targets": False, "predictor": "linear", "target_predictor": "mlp"},
    "continuous targets, own extractor": {"quantize_targets": False, "separate_target_extractor": True},
    "quantized inputs": {"quantize_inputs": True},
    "quantized inputs, continuous targets": {"quantize_inputs": True, "quantize_targets": False},
    "any frame": {"negatives_from": "any"},
    "other utterances": {"negatives": 50, "batch_negatives": 50},
    "any frame of any utterance": {"negatives": 50, "batch_negatives": 50, "negatives_from": "any"},
    "other utterances, continuous": {"batch_negatives": 50, "quantize_targets": False},
    "no noise": {"gumbel_noise": False},
    "G8 V8": {"codebook_groups": 8, "codebook_entries": 8},
}


@pytest.mark.parametrize("knob", KNOBS)
def test_every_parameter_learns_under_every_knob(knob: str) -> None:
    model, waves, lengths, mask = ready(layer_drop=0.0, **KNOBS[knob])
    output = model(waves, lengths, mask, 2.0)
    output.loss.backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert still == []
    assert 6.0 < float(output.contrastive / output.frames) / math.log(2) < 8.0
    assert (output.code_perplexity is None) == (not (model.config.quantize_targets or model.config.quantize_inputs))


@pytest.mark.parametrize("knob", KNOBS)
def test_no_value_is_fetched_from_the_device_that_computes(knob: str, monkeypatch) -> None:
    """On the meta device tensors have no values: a loss that can be built there never waits for a GPU."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which the meta device has not
    for case in ("sew", "sew-d", "wav2vec2-layer-norm"):
        model, waves, lengths, mask = ready(case, normalize_waves=case.startswith("wav2vec2"), **KNOBS[knob])
        predicted = torch.from_numpy(frame_indices(mask.numpy()))
        waves, mask, predicted = waves.to("meta"), mask.to("meta"), predicted.to("meta")
        output = model.to("meta")(waves, lengths, mask, 2.0, predicted)
        output.loss.backward()
        assert output.loss.device.type == "meta"


def test_only_the_frames_asked_for_are_predicted() -> None:
    model, waves, lengths, mask = ready()
    model.eval()
    torch.manual_seed(0)
    everything = model(waves, lengths, mask, 1.0)
    predicted = torch.from_numpy(frame_indices(mask.numpy()))
    torch.manual_seed(0)
    same = model(waves, lengths, mask, 1.0, predicted)
    assert same.contrastive == everything.contrastive
    fewer = model(waves, lengths, mask, 1.0, predicted[:, :7])
    assert float(fewer.frames) == 28
    states = model.encoder.contextualise(
        model.encoder.feature_norm(model.encoder.extract(waves, lengths)), model.encoder.frames(lengths), mask, None
    ).states
    for row in range(4):
        assert torch.equal(take(states, predicted)[row], states[row, predicted[row]])


def test_no_gradient_from_the_quantizer_reaches_the_extractor() -> None:
    """With the path through the context cut, the extractor hears of the quantizer, or of nothing but the penalty."""
    for heard in (True, False):
        model, waves, lengths, mask = ready(quantizer_gradient=heard, penalty_weight=0.0)
        model.encoder.projection.register_full_backward_hook(lambda *_: (None,))
        model.encoder.context.register_forward_hook(lambda module, inputs, output: output.detach())
        model(waves, lengths, mask, 2.0).loss.backward()
        gradient = model.encoder.extractor.convolutions[0].weight.grad
        assert (gradient is not None and float(gradient.abs().max()) > 0) == heard
        assert float(model.quantizer.choice.weight.grad.abs().max()) > 0


def test_without_noise_training_takes_the_most_probable_codes() -> None:
    model, _waves, _lengths, _mask = ready(gumbel_noise=False, dropout=0.0, feature_dropout=0.0)
    x = noise(50, model.config.feature_width)
    trained, evaluated = model.quantizer.train()(x, 2.0), model.quantizer.eval()(x, None)
    assert torch.equal(trained.combination, evaluated.combination)


def test_distractors_of_other_utterances_are_among_the_candidates() -> None:
    """Rows whose targets differ between utterances and not within them: only others' frames tell anything."""
    model, _waves, _lengths, mask = ready(quantize_targets=False, predictor="linear", feature_dropout=0.0, negatives=50)
    model.eval()
    rows = torch.eye(4, model.config.feature_width).unsqueeze(1).expand(-1, mask.shape[1], -1).contiguous()
    candidates, codes, _ = model._candidates(rows[:, :20], 1.0)
    own = torch.arange(20).expand(4, 20)
    alone = model._contrast(candidates, candidates, own, codes)[0] / 80
    assert float(alone.detach()) == pytest.approx(math.log(51), rel=1e-5)
    model.config = model.config.model_copy(update={"batch_negatives": 50})
    together = model._contrast(candidates, candidates, own, codes)[0] / 80
    assert math.log(51) < float(together.detach()) < math.log(51 + 50 * 20 / 79 * 2)


def test_quantized_inputs_are_codes_to_the_context_and_stay_so_in_a_recogniser() -> None:
    model, waves, lengths, mask = ready(quantize_inputs=True, input_dropout=0.0)
    heard = []
    model.encoder.projection.register_forward_hook(lambda module, inputs, output: heard.append(inputs[0]))
    model.eval()
    model(waves, lengths, mask, 2.0)
    model.encoder.train()(waves, lengths)  # as in fine-tuning: no temperature, no noise
    entries = model.encoder.quantizer.codebook.view(2, 32, -1)
    for codes in heard:
        for group in range(2):
            part = codes.flatten(0, 1)[:, group * 128 : (group + 1) * 128]
            assert (part.unsqueeze(1) == entries[group]).all(2).any(1).all()
    assert torch.equal(heard[0], heard[1])


@pytest.mark.parametrize("knob", KNOBS)
def test_every_knob_survives_a_model_folder(knob: str, tmp_path: Path) -> None:
    for case in ("sew-d", "wav2vec2-projected"):
        model = shaken(ready(case, **KNOBS[knob])[0])
        save_pretraining(model, tmp_path / case)
        again = load_pretraining(tmp_path / case)
        assert again.config == model.config
        own, read = model.state_dict(), again.state_dict()
        assert own.keys() == read.keys() and all(torch.equal(own[name], read[name]) for name in own)
        named = json.loads((tmp_path / case / "config.json").read_text())["model_type"]
        assert named.startswith("sewcli-") == (not (model.config.standard_targets and model.config.standard_encoder))
        recogniser = CTCModel.from_encoder(model.encoder, 5)
        save_ctc(recogniser, Vocabulary("_ |AB"), tmp_path / "ctc")
        named = json.loads((tmp_path / "ctc" / "config.json").read_text())["model_type"]
        assert named.startswith("sewcli-") == model.config.quantize_inputs


def features_gradient(penalty: float, diversity: float) -> tuple[torch.Tensor, torch.Tensor, PretrainingModel]:
    """(features, gradient of the loss with respect to them, model), the same draws for all weights."""
    model, waves, lengths, mask = ready(penalty_weight=penalty, diversity_weight=diversity)
    model.eval()
    features = model.encoder.extract(waves, lengths).detach().requires_grad_()
    model.encoder.extract = lambda *_: features
    torch.manual_seed(1)
    model(waves, lengths, mask, 0.5).loss.backward()
    return features.detach().double(), features.grad.double(), model


def test_the_penalty_has_the_gradient_of_its_formula() -> None:
    """10 N mean(z^2): 20 N z / (number of values)."""
    features, with_it, _ = features_gradient(10.0, 0.1)
    _, without, _ = features_gradient(0.0, 0.1)
    frames = int(ready()[3].sum())
    torch.testing.assert_close(with_it - without, 20 * frames * features / features.numel(), rtol=1e-3, atol=1e-6)


def test_the_diversity_has_the_gradient_of_its_formula() -> None:
    """0.1 N (G V - sum of exp(entropy)) / (G V), over the normalised features of the predicted frames, in float64."""
    features, with_it, model = features_gradient(0.0, 0.1)
    _, without, _ = features_gradient(0.0, 0.0)
    mask = ready()[3]
    z, choice, most = features.clone().requires_grad_(), model.quantizer.choice, 64
    norm = model.encoder.feature_norm
    centred = z - z.mean(2, keepdim=True)
    normed = centred / (centred.square().mean(2, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias
    logits = (normed[mask] @ choice.weight.double().T + choice.bias).view(-1, 2, 32)
    spread = logits.softmax(2).mean(0)
    perplexity = torch.exp(-(spread * (spread + 1e-7).log()).sum(1)).sum()
    frames = int(mask.sum())
    expected = torch.autograd.grad(0.1 * frames * (most - perplexity) / most, z)[0]
    assert expected.abs().max() > 1e-4
    torch.testing.assert_close(with_it - without, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()) + 1e-6)
