"""Importance against gates that are really closed a little, in float64; what is cut is what was named."""

from pathlib import Path

import pytest
import torch
from recognisers import recogniser
from torch import nn
from torch.nn import functional

from sewcli.compression.calibration import Calibration, calibration
from sewcli.compression.importance import importance
from sewcli.compression.structured import keep_heads, keep_units, strongest
from sewcli.data.loading import labelled_batch
from sewcli.data.utterances import read_split
from sewcli.models.constants import hold_constants
from sewcli.models.ctc import CTCModel
from sewcli.text.tokens import Vocabulary

CPU = torch.device("cpu")
NAMES = ["w2v2-micro", "sew-micro", "sew-d-micro"]
CLOSED = 1e-6


def few(model: CTCModel, prepared: Path, number: int = 3) -> Calibration:
    return calibration(model, Vocabulary.letters(), read_split(prepared, "dev-clean")[:number], 60.0, CPU)


def loss(model: CTCModel, data: Calibration, number: int) -> float:
    """CTC of one utterance alone."""
    batch = labelled_batch([data.utterances[number]], [data.utterances[number].wave()], [data.labels[number]])
    with torch.no_grad():
        waves = torch.from_numpy(batch.waves).to(next(model.parameters()).dtype)
        output = model(waves, torch.from_numpy(batch.lengths))
        scores = output.logits.log_softmax(-1).transpose(0, 1)
        labels, lengths = torch.from_numpy(batch.labels), torch.from_numpy(batch.label_lengths)
        return float(functional.ctc_loss(scores, labels, output.lengths, lengths, reduction="sum"))


@pytest.mark.parametrize("name", NAMES)
def test_importance_is_what_closing_a_gate_does(name: str, prepared: Path) -> None:
    model = recogniser(name, layers=2)
    data = few(model, prepared)
    found = importance(model, data, 0, CPU)
    assert found.heads.shape == (2, 4) and found.units.shape == (2, 96) and found.layers.shape == (2,)
    exact = model.double()
    plain = [loss(exact, data, n) for n in range(len(data.utterances))]
    layer = exact.encoder.context.layers[1]
    width = layer.attention.output.in_features // 4

    def closing(part: nn.Module, gate, *, after: bool = False) -> float:
        hook = part.register_forward_hook(gate) if after else part.register_forward_pre_hook(gate)
        changes = [abs(loss(exact, data, n) - before) / CLOSED for n, before in enumerate(plain)]
        hook.remove()
        return sum(changes)

    def head_gate(_, inputs):
        mixed = inputs[0].clone()
        mixed[..., 2 * width : 3 * width] *= 1 - CLOSED
        return (mixed, *inputs[1:])

    def unit_gate(_, inputs):
        hidden = inputs[0].clone()
        hidden[..., 7] *= 1 - CLOSED
        return (hidden, *inputs[1:])

    def layer_gate(_, inputs, output):
        return output + CLOSED * (inputs[0] - output)

    assert float(found.heads[1, 2]) == pytest.approx(closing(layer.attention.output, head_gate), rel=2e-3)
    assert float(found.units[1, 7]) == pytest.approx(closing(layer.contract, unit_gate), rel=2e-3)
    assert float(found.layers[1]) == pytest.approx(closing(layer, layer_gate, after=True), rel=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_heads_that_are_cut_off_are_heads_that_say_nothing(name: str) -> None:
    """The smaller model equals the whole one with the outputs of the other heads and units at zero."""
    model = recogniser(name).eval()
    kept_heads, kept_units = [[0, 2], [1, 3], [0, 1], [2, 3]], [list(range(n, 96, 2)) for n in (0, 1, 0, 1)]
    smaller = keep_units(keep_heads(model, kept_heads), kept_units).eval()
    assert smaller.config.heads == 2 and smaller.config.feedforward == 48 and smaller.config.layers == 4
    width = model.config.width // 4
    for layer, heads, units in zip(model.encoder.context.layers, kept_heads, kept_units, strict=True):
        with torch.no_grad():
            for head in set(range(4)) - set(heads):
                layer.attention.output.weight[:, head * width : (head + 1) * width] = 0
            layer.contract.weight[:, [n for n in range(96) if n not in units]] = 0
    waves, lengths = torch.randn(2, 16_000), torch.tensor([16_000, 9_000])
    with torch.inference_mode():
        ours, theirs = smaller(waves, lengths).logits, model(waves, lengths).logits
    assert float((ours - theirs).abs().max()) < 1e-5 * float(theirs.abs().max())
    fixed = hold_constants(smaller)(waves, lengths).logits  # SEW-D's positions, projected once by fewer heads
    assert float((fixed - theirs).abs().max()) < 1e-5 * float(theirs.abs().max())


def test_the_strongest_stay_in_their_order() -> None:
    worth = torch.tensor([[1.0, 9.0, 3.0], [5.0, 0.5, 2.0]])
    assert strongest(worth, 2) == [[1, 2], [0, 2]]


def test_untranscribed_audio_is_judged_by_what_the_model_writes(prepared: Path) -> None:
    from dataclasses import replace

    model = recogniser()
    silent = [replace(u, text="") for u in read_split(prepared, "dev-clean")[:3]]
    data = calibration(model, Vocabulary.letters(), silent, 60.0, CPU)
    assert 1 <= len(data.utterances) <= 3 and all(data.labels) and all(u.text for u in data.utterances)
    assert (importance(model, data, 0, CPU).heads > 0).all()
