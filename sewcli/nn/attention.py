"""Multi-head self-attention of the wav2vec 2.0 and SEW context networks.

Shapes: B batch, U frames, E width, H heads, D = E / H, except where heads were cut off.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class HeadProjections(nn.Module):
    """The four linear layers of multi-head attention.

    Args:
        width: E.
        heads: H, which divides E.
        head_width: D, where it is not E / H.
    """

    def __init__(self, width: int, heads: int, head_width: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * (head_width or width // heads)
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.output = nn.Linear(inner, width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of (B, U, E), (B, H, U, D) each."""
        query, key, value = (split_heads(linear(x), self.heads) for linear in (self.query, self.key, self.value))
        return query, key, value


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
