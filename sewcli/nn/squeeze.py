"""The squeezed context network's two ends: fewer frames in, as many out (SEW section 4.3, figure 4).

Frames are halved by average pooling plus a strided position convolution, and restored by a linear layer that makes two
frames of each. Shapes: B batch, T frames at 50 Hz, U = floor(T / s) squeezed frames, E width, K kernel.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.nn.packed import GeluLinear, PackedConvolution


class PositionConvolution(nn.Module):
    """Grouped convolution with weight normalisation a tap, then GELU; it tells the transformer where it is.

    Args:
        width: E.
        kernel: K taps, centred.
        groups: of channels.
        stride: the squeeze factor s (1 for wav2vec 2.0).
    """

    fixed_weight: Tensor | None

    def __init__(self, width: int, kernel: int, groups: int, stride: int = 1) -> None:
        super().__init__()
        self.register_buffer("fixed_weight", None, persistent=False)
        self.packed: PackedConvolution | None = None
        self.groups, self.stride, self.kernel = groups, stride, kernel
        self.direction = nn.Parameter(torch.empty(width, width // groups, kernel))
        self.gain = nn.Parameter(torch.empty(1, 1, kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.normal_(self.direction, std=math.sqrt(4 / (kernel * width)))
        if not self.direction.is_meta:
            with torch.no_grad():
                self.gain.copy_(self._norm())

    def cache_weight_products(self) -> None:
        """Norm the weights once, for inference with weights that no longer change; `train()` forgets it."""
        with torch.no_grad():
            self.fixed_weight = self._weight()

    def pack(self, dtype: torch.dtype) -> Self:
        """See `packed.Packable`."""
        with torch.no_grad():
            shape = {"stride": self.stride, "padding": self.kernel // 2, "groups": self.groups}
            self.packed = PackedConvolution(self._weight(), self.bias, dtype, gelu=True, **shape)
        del self.direction, self.gain, self.bias
        self.fixed_weight = None
        return self

    def train(self, mode: bool = True) -> Self:
        """Switch modes; training needs the weights normed anew each time."""
        if mode:
            self.fixed_weight = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        """(B, E, T) -> (B, E, about T / s); zero frames around are part of the input."""
        if self.packed is not None:
            y: Tensor = self.packed(x.transpose(1, 2)).transpose(1, 2)
        else:
            weight = self._weight() if self.fixed_weight is None else self.fixed_weight
            y = functional.conv1d(x, weight, self.bias, self.stride, self.kernel // 2, groups=self.groups)
            y = functional.gelu(y)
        return y[:, :, :-1] if self.kernel % 2 == 0 else y

    def _weight(self) -> Tensor:
        return self.direction * (self.gain / self._norm())

    def _norm(self) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(self.direction, dim=(0, 1), keepdim=True)
        return norm


def squeeze(x: Tensor, position: PositionConvolution) -> Tensor:
    """(B, T, E) -> (B, U, E): average of each s frames plus the position convolution; T must be at least s."""
    x = x.transpose(1, 2)
    moved: Tensor = position(x)
    pooled: Tensor = x if position.stride == 1 else functional.avg_pool1d(x, position.stride, position.stride)
    frames = min(moved.shape[2], pooled.shape[2])
    return (moved[:, :, :frames] + pooled[:, :, :frames]).transpose(1, 2)


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
