"""`compat: asapp` pads as the authors' code does, also in a frame that is half padding."""

import math

import numpy as np
import pytest
import torch
from support.model_cases import shaken, small
from torch import Tensor

from sewcli.models.ctc import CTCModel
from sewcli.models.encoder import Encoder
from sewcli.nn.buckets import rows_of_offsets
from sewcli.nn.disentangled import DisentangledAttention
from sewcli.runtimes.strip_attention import use_strips


def debertas(layer: DisentangledAttention, x: Tensor, valid: Tensor, positions: Tensor) -> Tensor:
    """DeBERTa's attention written out: one pair of frames a score, masked by mask x mask^T, masked weights set to zero."""
    heads, width = layer.heads, layer.head_width

    def by_head(y: Tensor) -> Tensor:
        return y.unflatten(-1, (heads, width)).transpose(-3, -2)  # (..., H, frames, D)

    query, key, value = (by_head(part(x)) for part in (layer.query, layer.key, layer.value))
    position_query, position_key = by_head(layer.query(positions)), by_head(layer.key(positions))
    frames = x.shape[1]
    offsets = np.arange(frames)[:, None] - np.arange(frames)[None, :]
    rows = torch.from_numpy(rows_of_offsets(offsets, layer.buckets, layer.max_positions))
    scores = torch.einsum("bhid,bhjd->bhij", query, key)
    scores = scores + torch.einsum("bhid,hijd->bhij", query, position_key[:, rows])
    scores = scores + torch.einsum("bhjd,hijd->bhij", key, position_query[:, rows])
    hidden = ~(valid[:, None, :, None] & valid[:, None, None, :])
    weights = (scores / math.sqrt(3 * width)).masked_fill(hidden, torch.finfo(x.dtype).min).softmax(-1)
    mixed = weights.masked_fill(hidden, 0.0) @ value
    return layer.output(mixed.transpose(1, 2).flatten(2))


@pytest.mark.fault("F9")
@pytest.mark.parametrize("train", [True, False])
def test_frames_that_are_padding_attend_to_nothing(train: bool) -> None:
    torch.manual_seed(0)
    settings = {"dropout": 0.0, "position_dropout": 0.0, "buckets": 8, "max_positions": 16}
    layer = DisentangledAttention(24, 3, **settings, masks_queries=True).double().train(train)
    x, positions = torch.randn(3, 31, 24, dtype=torch.float64), torch.randn(16, 24, dtype=torch.float64)
    valid = torch.arange(31) < torch.tensor([31, 14, 1]).unsqueeze(1)
    if not train:
        use_strips(layer)
    found = []
    for compute in (layer, lambda *given: debertas(layer, *given)):
        own = x.clone().requires_grad_()
        with torch.set_grad_enabled(train):
            out = compute(own, valid, positions)
        found.append([out])
        if train:
            leaves = [own, *layer.parameters()]
            found[-1] += torch.autograd.grad(out.square().sum(), leaves)
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).abs().max() < 1e-9 * theirs.abs().max().clamp(min=1)


@pytest.mark.fault("F9")
def test_a_half_padded_frame_of_sew_d(monkeypatch) -> None:
    """Odd counts in a padded batch: the whole model beside one whose attention is DeBERTa's, with loss and gradients."""
    torch.manual_seed(0)
    model = shaken(CTCModel(small("sew-d", compat="asapp", layer_drop=0.0), 32)).eval()
    lengths = torch.tensor([16_340, 9_999, 15_680, 5_300])
    waves = torch.zeros(4, 16_340)
    for row, samples in enumerate(lengths.tolist()):
        waves[row, :samples] = 0.1 * torch.randn(samples)

    def loss_and_gradients() -> tuple[Tensor, list[Tensor]]:
        output = model(waves, lengths)
        assert output.lengths.tolist() == [50, 31, 49, 17]  # as the authors count: three of them odd
        log_probabilities = output.logits.log_softmax(-1).transpose(0, 1)
        labels = torch.arange(1, 41).remainder(31).add(1)
        counts = torch.full((4,), 10)
        loss = torch.nn.functional.ctc_loss(log_probabilities, labels, output.lengths, counts, reduction="sum")
        return loss.detach(), list(
            torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad], allow_unused=True)
        )

    ours = loss_and_gradients()
    monkeypatch.setattr(DisentangledAttention, "forward", debertas)
    theirs = loss_and_gradients()
    assert float(ours[0]) == pytest.approx(float(theirs[0]), rel=1e-6)
    for mine, other in zip(ours[1], theirs[1], strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            assert (mine - other).abs().max() < 1e-4 * other.abs().max().clamp(min=1e-2)


@pytest.mark.fault("F9")
def test_wav2vec2_counts_frames_by_its_convolutions() -> None:
    for case, frames in (("wav2vec2", [50, 30, 49, 16]), ("sew", [50, 31, 50, 17])):
        encoder = Encoder(small(case, compat="asapp")).eval()
        lengths = torch.tensor([16_340, 9_999, 16_000, 5_300])
        with torch.inference_mode():
            assert encoder(0.1 * torch.randn(4, 16_340), lengths).lengths.tolist() == frames
