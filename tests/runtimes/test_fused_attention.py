"""The fused kernels of SEW-D's attention, in Triton's interpreter, against the plain path in float64."""

import math

import pytest
import torch
from support import interpreted_triton

from sewcli.nn.disentangled import DisentangledAttention, offset_buckets
from sewcli.runtimes import fused_attention as fused

DEVICE = torch.device("cuda" if interpreted_triton.GPU else "cpu")
NEAR = {torch.float32: 2e-6, torch.float16: 3e-3, torch.bfloat16: 2e-2}

pytestmark = interpreted_triton.on_linux


@pytest.fixture(autouse=True)
def _runs() -> None:
    interpreted_triton.patch()


def layers(dtype: torch.dtype, heads: int, size: int, **changes) -> tuple[DisentangledAttention, DisentangledAttention]:
    """The plain layer in float64, and one with the same weights, which `dtype` holds, for the kernels."""
    settings = {"dropout": 0.0, "position_dropout": 0.0, "buckets": 256, "max_positions": 512, **changes}
    plain = DisentangledAttention(heads * size, heads, **settings).double()
    other = DisentangledAttention(heads * size, heads, **settings)
    other.load_state_dict(plain.state_dict())
    plain.load_state_dict(other.to(dtype).state_dict())
    return plain, other.to(DEVICE)


def by_kernels(layer: DisentangledAttention, *given: torch.Tensor | None) -> torch.Tensor:
    return fused.FusedMix(layer).by_kernels(*given)


def differences(
    dtype: torch.dtype, lengths: list[int], heads: int = 2, size: int = 64, *, train: bool = True, **changes
) -> list[float]:
    """Largest differences of outputs and gradients, in units of the largest value, over frames that are not padding."""
    plain, other = layers(dtype, heads, size, **changes)
    frames = max(lengths)
    x = torch.randn(len(lengths), frames, heads * size, dtype=dtype).double()
    positions = torch.randn(2 * plain.buckets, heads * size, dtype=dtype).double()
    inside = torch.arange(frames) < torch.tensor(lengths).unsqueeze(1)
    gradient = torch.randn(x.shape, dtype=dtype).double() * inside.unsqueeze(2)
    results = []
    for layer in (plain, other):
        kind = next(layer.parameters())
        own, table = (y.to(kind.device, kind.dtype, copy=True).requires_grad_(train) for y in (x, positions))
        valid = None if min(lengths) == frames else inside.to(kind.device)
        with torch.set_grad_enabled(train):
            attended = (
                layer(own, valid, table) if layer is plain else layer.output(by_kernels(layer, own, valid, table))
            )
        found = [attended.detach() * inside.unsqueeze(2).to(kind.device)]
        if train:
            attended.backward(gradient.to(kind.device, kind.dtype))
            found += [own.grad, table.grad, *(p.grad for p in layer.parameters())]
        results.append([y.double().cpu() for y in found])
    return [float((b - a).abs().max() / a.abs().max().clamp(min=1)) for a, b in zip(*results, strict=True)]


@pytest.mark.parametrize("train", [True, False], ids=["by-offset", "by-bucket"])
@pytest.mark.parametrize("lengths", [[1], [2, 1], [64], [65, 3], [129, 128]], ids=str)
def test_kernels_are_the_plain_path(lengths: list[int], train: bool) -> None:
    assert max(differences(torch.float32, lengths, train=train)) < NEAR[torch.float32]


@pytest.mark.parametrize("train", [True, False], ids=["by-offset", "by-bucket"])
@pytest.mark.parametrize(("buckets", "max_positions"), [(8, 16), (9, 40), (4, 4)])
def test_far_offsets_share_a_column(buckets: int, max_positions: int, train: bool) -> None:
    found = differences(torch.float32, [101, 70], buckets=buckets, max_positions=max_positions, train=train)
    assert max(found) < NEAR[torch.float32]


@pytest.mark.parametrize("size", [16, 32, 128])
def test_other_head_widths(size: int) -> None:
    assert max(differences(torch.float32, [40, 7], heads=3, size=size)) < NEAR[torch.float32]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precisions(dtype: torch.dtype) -> None:
    assert max(differences(dtype, [150, 90], heads=1)) < NEAR[dtype]


@pytest.mark.long
@pytest.mark.parametrize("frames", [300, 513, 700])
def test_long_utterances(frames: int) -> None:
    assert max(differences(torch.float32, [frames, frames - 60], heads=1)) < NEAR[torch.float32]
    assert max(differences(torch.float32, [frames, frames - 60], heads=1, train=False)) < NEAR[torch.float32]


def test_dropout_is_that_of_weights() -> None:
    """Values that are one-hot show which weights were dropped; the plain formula with these must give the same."""
    frames, share, scale = 70, 0.3, 1 / math.sqrt(3 * 64)
    columns, low, high = fused.columns_of(frames, 8, 16, torch.device("cpu"), by_offset=True)
    columns = fused.to_device(columns, DEVICE)
    index, _, _ = offset_buckets(frames - 1, 8, 16, torch.device("cpu"))
    query, key, value = (torch.randn(2, frames, 64, device=DEVICE).requires_grad_() for _ in range(3))
    tables = [torch.randn(1, high - low, 64, device=DEVICE).requires_grad_() for _ in range(2)]
    lengths = torch.tensor([frames, 50], dtype=torch.int32, device=DEVICE)

    def attend(values: torch.Tensor, dropout: float) -> torch.Tensor:
        torch.manual_seed(5)
        rows = [table[:, columns.rows] for table in tables]
        return fused.attend(query, key, values, rows[0] * scale, rows[1], columns, lengths, 1, dropout)

    def weights(dropout: float) -> torch.Tensor:
        """(2, frames, frames)."""
        eye = torch.eye(128, device=DEVICE)[:frames].expand(2, -1, -1)
        return torch.cat([attend(eye[..., :64].contiguous(), dropout), attend(eye[..., 64:].contiguous(), dropout)], 2)

    with torch.no_grad():
        whole, dropped = weights(0.0)[..., :frames], weights(share)[..., :frames]
    kept = dropped > 0
    assert torch.allclose(dropped[kept], whole[kept] / (1 - share), rtol=1e-5)
    seen = kept[0], kept[1, :, :50]
    assert abs(torch.cat([each.flatten() for each in seen]).float().mean() - (1 - share)) < 0.02
    assert not torch.equal(kept[0, :, :50], kept[1, :, :50])
    assert not torch.equal(kept[0, 0::2, :48], kept[0, 1::2, :48])

    attend(value, share).square().sum().backward()
    ours = [y.grad.clone() for y in (query, key, value, *tables)]
    for leaf in (query, key, value, *tables):
        leaf.grad = None
    offsets = torch.arange(frames)
    row = index.to(DEVICE)[(frames - 1 - (offsets[:, None] - offsets[None, :])).to(DEVICE)]
    scores = query @ key.transpose(1, 2) + (query @ tables[1][0].T).gather(2, row.expand(2, -1, -1))
    scores = scores + (key @ tables[0][0].T).gather(2, row.T.expand(2, -1, -1)).transpose(1, 2)
    inside = torch.arange(frames, device=DEVICE) < lengths.unsqueeze(1)
    plain = (scores * scale).masked_fill(~inside.unsqueeze(1), -math.inf).softmax(2)
    (plain * kept / (1 - share) @ value).square().sum().backward()
    for mine, leaf in zip(ours, (query, key, value, *tables), strict=True):
        assert torch.allclose(mine, leaf.grad, atol=1e-5 * float(leaf.grad.abs().max()))


def test_gradients_are_the_same_every_time() -> None:
    _, layer = layers(torch.bfloat16, 2, 64)
    x, positions = torch.randn(2, 90, 128), torch.randn(512, 128)
    found = []
    for _ in range(2):
        own, table = (y.to(DEVICE, torch.bfloat16, copy=True).requires_grad_() for y in (x, positions))
        by_kernels(layer, own, None, table).square().sum().backward()
        found.append([own.grad, table.grad])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_no_gradient_through_columns_by_bucket() -> None:
    columns = fused.columns_of(30, 8, 16, DEVICE, by_offset=False)[0]
    query = torch.randn(1, 30, 64, device=DEVICE).requires_grad_()
    table = torch.randn(1, len(columns.rows), 64, device=DEVICE)
    lengths = torch.tensor([30], dtype=torch.int32, device=DEVICE)
    out = fused.attend(query, query, query, table, table, columns, lengths, 1, 0.0)
    with pytest.raises(AssertionError, match="for inference"):
        out.sum().backward()


def test_columns() -> None:
    index, low, high = offset_buckets(999, 256, 512, torch.device("cpu"))
    by_offset, by_bucket = fused.columns_by_offset(index), fused.columns_by_bucket(index, high - low)
    assert (by_offset.reach, len(by_offset.rows)) == (512, 1032)  # 1025 offsets, in eights
    assert (by_bucket.reach, len(by_bucket.rows)) == (512, 512)
    assert by_bucket.table is not None and torch.equal(by_bucket.table, by_offset.rows[:1025].to(torch.int32))
    for offset in (-999, -512, -511, -200, 0, 3, 505, 506, 999):
        column = min(max(offset, -512), 512) + 512
        assert by_offset.rows[column] == index[999 - offset] == by_bucket.rows[by_bucket.table[column]]
    assert fused.columns_by_offset(offset_buckets(0, 256, 512, torch.device("cpu"))[0]).reach == 0


@pytest.mark.parametrize(
    ("answer", "device", "dtype", "size", "capability", "has_triton"),
    [
        (True, "cuda", torch.bfloat16, 64, (9, 0), True),
        (True, "cuda", torch.float16, 16, (8, 0), True),
        (False, "cuda", torch.float32, 64, (9, 0), True),
        (False, "cuda", torch.bfloat16, 48, (9, 0), True),
        (False, "cuda", torch.bfloat16, 64, (7, 0), True),
        (False, "cuda", torch.bfloat16, 64, None, True),
        (False, "cuda", torch.bfloat16, 64, (9, 0), False),
        (False, "cpu", torch.bfloat16, 64, None, True),
    ],
)
def test_who_serves(
    answer: bool, device: str, dtype: torch.dtype, size: int, capability: tuple[int, int] | None, has_triton: bool
) -> None:
    assert fused.serves(device, dtype, size, capability, has_triton) == answer


def test_layer_uses_them_where_they_serve(monkeypatch) -> None:
    other = layers(torch.float32, 2, 64)[1]
    x, positions = torch.randn(1, 9, 128, device=DEVICE), torch.randn(512, 128, device=DEVICE)
    assert not fused.serves_here(torch.randn(1, 9, 128), 2)
    called = []
    monkeypatch.setattr(fused, "serves_here", lambda x, heads: True)
    monkeypatch.setattr(fused.FusedMix, "by_kernels", lambda self, *given: called.append(given) or torch.zeros_like(x))
    fused.use_kernels(other)
    other(x, None, positions)
    assert len(called) == 1
