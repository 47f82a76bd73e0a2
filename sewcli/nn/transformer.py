"""Transformer layers and the stack of them, with layer drop.

Shapes: B batch, U frames, E width, F width of the feed-forward part.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.nn.attention import initialise_linear


class GeluLinear(nn.Linear):
    """A linear layer with GELU behind it."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        return functional.gelu(super().forward(x))


class TransformerLayer(nn.Module):
    """Attention and a two-layer GELU network, each with a residual and a LayerNorm.

    Args:
        attention: maps (B, U, E) and what `forward` hands on to (B, U, E).
        width, feedforward: E and F.
        dropout: on what each half adds to the residual.
        activation_dropout: between the two layers of the feed-forward part.
        eps: of the LayerNorms.
        norm_first: LayerNorm before each half (LV-60k models) in place of after the residual.
    """

    def __init__(
        self,
        attention: nn.Module,
        width: int,
        feedforward: int,
        *,
        dropout: float,
        activation_dropout: float,
        eps: float = 1e-5,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.expand = GeluLinear(width, feedforward)
        self.contract = nn.Linear(feedforward, width)
        self.output_norm = nn.LayerNorm(width, eps=eps)
        self.dropout, self.activation_dropout, self.norm_first = dropout, activation_dropout, norm_first

    def initialise(self) -> None:
        """BERT's start for the feed-forward part (SEW-D keeps PyTorch's)."""
        initialise_linear(self.expand)
        initialise_linear(self.contract)

    def forward(self, x: Tensor, *conditions: Tensor | None) -> Tensor:
        """(B, U, E) -> (B, U, E); `conditions` go to the attention."""
        if self.norm_first:
            x = x + self._drop(self.attention(self.attention_norm(x), *conditions), self.dropout)
            return x + self._feedforward(self.output_norm(x))
        x = self.attention_norm(x + self._drop(self.attention(x, *conditions), self.dropout))
        normed: Tensor = self.output_norm(x + self._feedforward(x))
        return normed

    def _feedforward(self, x: Tensor) -> Tensor:
        hidden = self._drop(self.expand(x), self.activation_dropout)
        return self._drop(self.contract(hidden), self.dropout)

    def _drop(self, x: Tensor, probability: float) -> Tensor:
        return functional.dropout(x, probability, self.training) if probability and self.training else x


def run_layers(layers: nn.ModuleList, x: Tensor, layer_drop: float, *conditions: Tensor | None) -> Tensor:
    """Apply `layers` in turn; in training each is skipped with probability `layer_drop` (by the CPU generator)."""
    for layer in layers:
        if layer_drop and layer.training and float(torch.rand(())) <= layer_drop:
            continue
        x = layer(x, *conditions)
    return x
