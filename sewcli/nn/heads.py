"""Predictor heads of pre-training: from the context, and from the codes, to the space where they are compared.

wav2vec 2.0 has one linear layer; SEW section 4.6 has an MLP with batch normalisation (table 10 compares them).
Shapes: N frames.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["linear", "mlp", "mlp-norm", "mlp3-norm"]


class FrameNorm(nn.BatchNorm1d):
    """BatchNorm over frames, in fp32 under any precision."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, features) -> the same."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


def predictor(kind: Kind, inputs: int, outputs: int, hidden: int) -> nn.Sequential | nn.Linear:
    """A head from (N, inputs) to (N, outputs).

    Args:
        kind: "linear"; "mlp" with one hidden layer; "mlp-norm" with BatchNorm after it (SEW's); "mlp3-norm" with two.
        inputs, outputs: widths.
        hidden: width of the hidden layers (4096).
    """
    if kind == "linear":
        return nn.Linear(inputs, outputs)
    layers: list[nn.Module] = []
    for width in (inputs, hidden) if kind == "mlp3-norm" else (inputs,):
        layers += [nn.Linear(width, hidden, bias=kind == "mlp")]
        layers += [nn.ReLU()] if kind == "mlp" else [FrameNorm(hidden), nn.ReLU()]
    layers += [nn.Linear(hidden, outputs)]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)
