"""The squeezed context network's two ends: fewer frames in, as many out (SEW section 4.3, figure 4).

Frames are halved by average pooling plus a strided position convolution, and restored by a linear layer that makes two
frames of each. Shapes: B batch, T frames at 50 Hz, U = floor(T / s) squeezed frames, E width, K kernel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.nn.transformer import GeluLinear


class PositionConvolution(nn.Module):
    """Grouped convolution with weight normalisation a tap, then GELU; it tells the transformer where it is.

    Args:
        width: E.
        kernel: K taps, centred.
        groups: of channels.
        stride: the squeeze factor s (1 for wav2vec 2.0).
    """

    def __init__(self, width: int, kernel: int, groups: int, stride: int = 1) -> None:
        super().__init__()
        self.groups, self.stride, self.kernel = groups, stride, kernel
        self.direction = nn.Parameter(torch.empty(width, width // groups, kernel))
        self.gain = nn.Parameter(torch.empty(1, 1, kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.normal_(self.direction, std=math.sqrt(4 / (kernel * width)))
        if not self.direction.is_meta:
            with torch.no_grad():
                self.gain.copy_(self._norm())

    def forward(self, x: Tensor) -> Tensor:
        """(B, E, T) -> (B, E, about T / s); zero frames around are part of the input."""
        y = functional.conv1d(x, self.normed_weight(), self.bias, self.stride, self.kernel // 2, groups=self.groups)
        y = functional.gelu(y)
        return y[:, :, :-1] if self.kernel % 2 == 0 else y

    def normed_weight(self) -> Tensor:
        """The convolution's weights (E, E / groups, K)."""
        return self.direction * (self.gain / self._norm())

    def _norm(self) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(self.direction, dim=(0, 1), keepdim=True)
        return norm


def squeeze(x: Tensor, position: PositionConvolution) -> Tensor:
    """(B, T, E) -> (B, U, E): average of each s frames plus the position convolution; T must be at least s."""
    x = x.transpose(1, 2)
    moved: Tensor = position(x)
    pooled: Tensor = x if position.stride == 1 else functional.avg_pool1d(x, position.stride, position.stride)
    return (moved[:, :, : pooled.shape[2]] + pooled).transpose(1, 2)


class Upsample(nn.Module):
    """A linear layer with GELU whose `factor` blocks of channels become consecutive frames."""

    def __init__(self, width: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.projection = GeluLinear(width, factor * width)
        nn.init.kaiming_normal_(self.projection.weight, mode="fan_out")
        nn.init.zeros_(self.projection.bias)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(B, U, E) -> (B, frames, E); a last frame without a partner is all zero."""
        y: Tensor = self.projection(x)
        y = y.view(
            y.shape[0], self.factor * y.shape[1], -1
        )  # (B, U, s E) -> (B, s U, E), block j of frame u to s u + j
        return functional.pad(y, (0, 0, 0, frames - y.shape[1])) if y.shape[1] < frames else y
