"""SEW-D's attention: buckets, and both ways of computing it against the formula, score by score."""

import math

import numpy as np
import pytest
import torch

import sewcli.nn.disentangled as module
from sewcli.nn.buckets import rows_of_offsets
from sewcli.nn.disentangled import DisentangledAttention, offset_buckets, shear
from sewcli.runtimes.strip_attention import use_strips

BUCKETS = {0: 0, 1: 1, 127: 127, 128: 128, 129: 129, 200: 169, 256: 192, 384: 229, 511: 255, 512: 256}


def test_buckets() -> None:
    offsets = np.array(list(BUCKETS))
    assert rows_of_offsets(offsets, 256, 512).tolist() == [min(256 + value, 511) for value in BUCKETS.values()]
    assert rows_of_offsets(-offsets, 256, 512).tolist() == [256 - value for value in BUCKETS.values()]


def test_far_offsets_share_the_last_rows() -> None:
    index, low, high = offset_buckets(999, 256, 512, torch.device("cpu"))
    assert (low, high) == (0, 512) and len(index) == 1999
    assert (index[: 1000 - 511] == 511).all() and (index[999 + 512 :] == 0).all() and index[999] == 256


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (2, 1), (2, 2), (5, 3), (3, 7)])
def test_shear(rows: int, columns: int) -> None:
    x = torch.randn(3, rows, rows + columns - 1)
    sheared = shear(x)
    assert sheared.shape == (3, rows, columns)
    for i in range(rows):
        for j in range(columns):
            assert torch.equal(sheared[:, i, j], x[:, i, rows - 1 - i + j])


def attention(seed: int = 0, **changes) -> tuple[DisentangledAttention, torch.Tensor]:
    torch.manual_seed(seed)
    settings = {"dropout": 0.0, "position_dropout": 0.0, "buckets": 8, "max_positions": 16, **changes}
    return DisentangledAttention(16, 2, **settings), torch.randn(2 * settings["buckets"], 16)


def by_hand(layer: DisentangledAttention, x: torch.Tensor, positions: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """The docstring's formula in float64, a pair of frames at a time."""
    layer, x, positions = layer.double(), x.double(), positions.double()
    heads, size = layer.heads, x.shape[2] // layer.heads
    result = torch.zeros_like(x)
    for b, length in enumerate(lengths):
        query, key, value = layer.query(x[b]), layer.key(x[b]), layer.value(x[b])
        position_query, position_key = layer.query(positions), layer.key(positions)
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            for i in range(x.shape[1]):
                scores = []
                for j in range(length):
                    row = int(rows_of_offsets(np.array(i - j), layer.buckets, layer.max_positions))
                    scores.append(
                        query[i, part] @ key[j, part]
                        + query[i, part] @ position_key[row, part]
                        + key[j, part] @ position_query[row, part]
                    )
                weights = (torch.stack(scores) / math.sqrt(3 * size)).softmax(0)
                result[b, i, part] = weights @ value[:length, part]
    return layer.output(result)


@pytest.mark.parametrize("way", ["whole", "tiled"])
@pytest.mark.parametrize("frames", [1, 2, 7, 37])
def test_attention_is_the_formula(way: str, frames: int, monkeypatch) -> None:
    monkeypatch.setattr(module, "WHOLE_UP_TO", 10_000 if way == "whole" else 0)
    monkeypatch.setattr(module, "BLOCK", 16)
    layer, positions = attention()
    lengths = [frames, max(1, frames - 5)]
    x = torch.randn(2, frames, 16)
    valid = torch.arange(frames) < torch.tensor(lengths).unsqueeze(1)
    ours = layer(x, valid, positions)
    expected = by_hand(layer, x, positions, lengths).float()
    for row, length in enumerate(lengths):
        assert torch.allclose(ours[row, :length], expected[row, :length], atol=2e-6)


def test_both_ways_have_the_same_gradients(monkeypatch) -> None:
    gradients = []
    for limit in (10_000, 0):
        monkeypatch.setattr(module, "WHOLE_UP_TO", limit)
        monkeypatch.setattr(module, "BLOCK", 16)
        layer, positions = attention()
        positions.requires_grad_()
        x = torch.randn(2, 41, 16, requires_grad=True)
        layer(x, None, positions).square().sum().backward()
        gradients.append([x.grad, positions.grad, *(p.grad for p in layer.parameters())])
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-5 * max(1.0, float(b.abs().max())))


@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 127, 128, 129, 145, 200, 513, 700])
@pytest.mark.parametrize("padded", [False, True])
def test_inference_by_strips_and_far_fields_is_the_formula(frames: int, padded: bool) -> None:
    layer, positions = attention()  # 16 is far: most of it is far field
    x = torch.randn(2, frames, 16)
    valid = torch.ones(2, frames, dtype=torch.bool)
    valid[1, max(1, frames // 2) :] = not padded
    layer.double().eval()
    with torch.no_grad():
        wanted = layer(x.double(), valid, positions.double())
        use_strips(layer.float())
        found = layer(x, valid, positions)
    assert (found - wanted).abs().max() <= 2e-6 * wanted.abs().max()


def test_training_after_inference_at_the_same_length() -> None:
    layer, positions = attention()
    offset_buckets.cache_clear()
    with torch.inference_mode():
        layer(torch.randn(1, 23, 16), None, positions)
    layer(torch.randn(1, 23, 16), None, positions.requires_grad_()).sum().backward()
    assert positions.grad is not None


def test_positions_have_dropout_of_their_own() -> None:
    layer, positions = attention(position_dropout=0.5)
    x = torch.randn(1, 9, 16)
    assert not torch.equal(layer(x, None, positions), layer(x, None, positions))
    layer.eval()
    assert torch.equal(layer(x, None, positions), layer(x, None, positions))
