"""Multi-head self-attention of the wav2vec 2.0 and SEW context networks.

Shapes: B batch, U frames, E width, H heads, D = E / H, except where heads were cut off.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.nn.packed import PackedLinear, pack


class HeadProjections(nn.Module):
    """The four linear layers of multi-head attention, and in inference one product for the first three.

    Args:
        width: E.
        heads: H, which divides E.
        head_width: D, where it is not E / H.
    """

    fused_weight: Tensor | None
    fused_bias: Tensor | None

    def __init__(self, width: int, heads: int, head_width: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * (head_width or width // heads)
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.output: nn.Module = nn.Linear(inner, width)
        self.register_buffer("fused_weight", None, persistent=False)
        self.register_buffer("fused_bias", None, persistent=False)
        self.packed: PackedLinear | None = None

    def fuse(self) -> None:
        """For inference with weights that no longer change; `train()` forgets it. The three weights share its memory."""
        linears = (self.query, self.key, self.value)
        with torch.no_grad():
            self.fused_weight = torch.cat([linear.weight for linear in linears])
            self.fused_bias = torch.cat([linear.bias for linear in linears])
            for linear, weight, bias in zip(linears, self.fused_weight.chunk(3), self.fused_bias.chunk(3), strict=True):
                linear.weight.data, linear.bias.data = weight, bias

    def pack(self, dtype: torch.dtype) -> Self:
        """See `packed.Packable`."""
        linears = (self.query, self.key, self.value)
        with torch.no_grad():
            weight, bias = torch.cat([y.weight for y in linears]), torch.cat([y.bias for y in linears])
        self.packed = PackedLinear(weight, bias, dtype)
        del self.query, self.key, self.value
        self.fused_weight = self.fused_bias = None
        self.output = pack(self.output, dtype)
        return self

    def train(self, mode: bool = True) -> Self:
        """Switch modes; training needs the weights one by one."""
        if mode:
            self.fused_weight = self.fused_bias = None
        return super().train(mode)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of (B, U, E), (B, H, U, D) each."""
        if self.packed is not None:
            query, key, value = self.packed(x).chunk(3, dim=2)
        elif self.fused_weight is None:
            query, key, value = (linear(x) for linear in (self.query, self.key, self.value))
        else:
            query, key, value = functional.linear(x, self.fused_weight, self.fused_bias).chunk(3, dim=2)
        return split_heads(query, self.heads), split_heads(key, self.heads), split_heads(value, self.heads)


class SelfAttention(HeadProjections):
    """Scaled dot products of all frames with all frames, in `heads` sub-spaces.

    Args:
        width: E.
        heads: H, which divides E.
        dropout: on the attention weights.
        head_width: D, where it is not E / H.
    """

    def __init__(self, width: int, heads: int, dropout: float, head_width: int | None = None) -> None:
        super().__init__(width, heads, head_width)
        self.dropout = dropout
        for linear in (self.query, self.key, self.value, self.output):
            assert isinstance(linear, nn.Linear)
            initialise_linear(linear)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """(B, U, E) -> (B, U, E); `valid` (B, U) bool marks the frames that may be attended to, None for all."""
        query, key, value = self.project(x)
        mixed = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if valid is None else valid[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        joined: Tensor = self.output(join_heads(mixed))
        return joined


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, U, E) -> (B, H, U, D)."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """(B, H, U, D) -> (B, U, E)."""
    return x.transpose(1, 2).flatten(2)


def initialise_linear(linear: nn.Linear) -> None:
    """BERT's start: N(0, 0.02) and zero bias (fairseq `init_bert_params`)."""
    nn.init.normal_(linear.weight, std=0.02)
    nn.init.zeros_(linear.bias)
