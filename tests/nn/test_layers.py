"""Squeeze, upsampling, attention, transformer layers and predictor heads, each against plain PyTorch."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from sewcli.nn.attention import SelfAttention
from sewcli.nn.heads import predictor
from sewcli.nn.squeeze import PositionConvolution, Upsample, squeeze
from sewcli.nn.transformer import TransformerLayer, run_layers


@pytest.mark.parametrize(("kernel", "stride"), [(31, 2), (16, 2), (5, 1), (128, 1)])
@pytest.mark.parametrize("frames", [4, 49, 50])
def test_position_convolution_is_a_weight_normed_convolution(kernel: int, stride: int, frames: int) -> None:
    ours = PositionConvolution(32, kernel, 4, stride)
    with torch.no_grad():
        ours.gain *= 1 + torch.rand_like(ours.gain)
        ours.bias.normal_()
    plain = weight_norm(nn.Conv1d(32, 32, kernel, stride, padding=kernel // 2, groups=4), dim=2)
    plain.parametrizations.weight.original0.data = ours.gain.data
    plain.parametrizations.weight.original1.data = ours.direction.data
    plain.bias.data = ours.bias.data
    ours, plain, x = ours.double(), plain.double(), torch.randn(2, 32, frames, dtype=torch.float64)
    expected = plain(x)[:, :, : -1 if kernel % 2 == 0 else None]
    assert torch.allclose(ours(x), nn.functional.gelu(expected), atol=1e-12)


def test_new_position_weights_have_their_own_norms() -> None:
    ours = PositionConvolution(256, 31, 16)
    taps = (ours.direction * (ours.gain / ours.direction.norm(dim=(0, 1), keepdim=True))).detach()
    assert torch.allclose(taps, ours.direction, rtol=1e-5)
    assert float(taps.std()) == pytest.approx((4 / (31 * 256)) ** 0.5, rel=0.03)


@pytest.mark.parametrize("frames", [2, 3, 49, 50])
def test_squeeze_halves_and_upsample_restores(frames: int) -> None:
    torch.manual_seed(0)
    position, upsample = PositionConvolution(32, 5, 4, 2), Upsample(32, 2)
    x = torch.randn(2, frames, 32)
    y = squeeze(x, position)
    assert y.shape == (2, frames // 2, 32)
    moved = position(x.transpose(1, 2)).transpose(1, 2)
    assert torch.allclose(y[:, 0], (x[:, 0] + x[:, 1]) / 2 + moved[:, 0], atol=1e-6)
    z = upsample(y, frames)
    assert z.shape == x.shape and (frames % 2 == 0 or not z[:, -1].any())
    blocks = upsample.projection(y)
    for frame in range(frames // 2):
        assert torch.equal(z[:, 2 * frame], blocks[:, frame, :32])
        assert torch.equal(z[:, 2 * frame + 1], blocks[:, frame, 32:])


def test_upsample_is_a_transposed_convolution() -> None:
    upsample = Upsample(16, 2)
    transposed = nn.ConvTranspose1d(16, 16, 2, 2, bias=False)
    transposed.weight.data = upsample.projection.weight.data.view(2, 16, 16).permute(2, 1, 0)  # (in, out, tap)
    x = torch.randn(1, 7, 16)
    expected = nn.functional.gelu(transposed(x.transpose(1, 2)).transpose(1, 2))
    assert torch.allclose(upsample(x, 14), expected, atol=1e-5)


def test_attention_is_pytorchs() -> None:
    torch.manual_seed(0)
    ours, plain = SelfAttention(32, 4, 0.0), nn.MultiheadAttention(32, 4, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    for linear in parts:
        nn.init.normal_(linear.weight)
        nn.init.normal_(linear.bias)
    plain.in_proj_weight.data = torch.cat([linear.weight.data for linear in parts])
    plain.in_proj_bias.data = torch.cat([linear.bias.data for linear in parts])
    plain.out_proj.load_state_dict(ours.output.state_dict())
    x = torch.randn(3, 11, 32)
    valid = torch.arange(11) < torch.tensor([[11], [7], [1]])
    expected = plain(x, x, x, key_padding_mask=~valid, need_weights=False)[0]
    assert torch.allclose(ours(x, valid), expected, atol=1e-5)
    assert torch.allclose(ours(x, None), plain(x, x, x, need_weights=False)[0], atol=1e-5)


@pytest.mark.parametrize("norm_first", [False, True])
def test_layer_is_pytorchs(norm_first: bool) -> None:
    torch.manual_seed(0)
    settings = {"dropout": 0.0, "activation_dropout": 0.0, "norm_first": norm_first}
    ours = TransformerLayer(SelfAttention(32, 4, 0.0), 32, 64, **settings)
    plain = nn.TransformerEncoderLayer(32, 4, 64, 0.0, "gelu", batch_first=True, norm_first=norm_first)
    attention = ours.attention
    parts = (attention.query, attention.key, attention.value)
    plain.self_attn.in_proj_weight.data = torch.cat([linear.weight.data for linear in parts])
    plain.self_attn.in_proj_bias.data = torch.cat([linear.bias.data for linear in parts])
    plain.self_attn.out_proj.load_state_dict(attention.output.state_dict())
    plain.linear1.load_state_dict(ours.expand.state_dict())
    plain.linear2.load_state_dict(ours.contract.state_dict())
    x = torch.randn(2, 9, 32)
    assert torch.allclose(ours(x, None), plain(x), atol=1e-5)


def test_layer_drop_skips_its_share() -> None:
    class Add(nn.Module):
        def forward(self, x, *_):
            return x + 1

    layers = nn.ModuleList(Add() for _ in range(1000))
    torch.manual_seed(0)
    assert 150 < 1000 - float(run_layers(layers, torch.zeros(()), 0.2)) < 250
    assert float(run_layers(layers.eval(), torch.zeros(()), 0.2)) == 1000


@pytest.mark.parametrize(("kind", "parts"), [("mlp", 3), ("mlp-norm", 4), ("mlp3-norm", 7)])
def test_heads(kind, parts: int) -> None:
    torch.manual_seed(0)
    head = predictor(kind, 12, 6, 20)
    assert len(head) == parts and head(torch.randn(50, 12)).shape == (50, 6)
    assert (head[0].bias is not None) == (kind == "mlp") and not head[-1].bias.any()
    other = copy.deepcopy(head).bfloat16() if kind == "mlp" else head.eval()
    assert torch.isfinite(other(torch.randn(5, 12).to(other[0].weight.dtype))).all()


def test_head_norm_runs_in_full_precision_under_autocast() -> None:
    head = predictor("mlp-norm", 12, 6, 20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert head[:2](torch.randn(50, 12)).dtype == torch.float32
