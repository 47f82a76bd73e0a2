"""Products on a CPU in oneDNN's own layout, with the bias and the GELU behind them in the same pass (`inference`).

PyTorch's layers take weights as they are stored and rearrange them, or the frames around a convolution, in every call. Here
weights are rearranged once and frames never are: they stay (B, T, channels) from the first convolution to the last layer.
Shapes: B batch, T frames, I and O channels in and out, K kernel.
"""

from __future__ import annotations

import platform
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.nn.squeeze import PositionConvolution
from sewcli.nn.transformer import GeluLinear

MACHINES = ("x86_64", "amd64")  # those on which it was measured
WRONG = 0.1  # relative; bf16 rounds to 0.003


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this machine has oneDNN with products of the type."""
    if platform.machine().lower() not in MACHINES or not torch.backends.mkldnn.is_available():
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(_onednn()._is_mkldnn_bf16_supported()))


class PackedLinear(nn.Module):
    """(..., I) -> (..., O).

    Args:
        weight: (O, I).
        bias: (O,) or None.
        dtype: of frames and weights.
        gelu: GELU behind it.
    """

    weight: Tensor  # neither of them a buffer: `to` must not touch them

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, *, gelu: bool = False) -> None:
        super().__init__()
        self.gelu, self.out_features = gelu, len(weight)
        self.weight = _onednn()._reorder_linear_weight(weight.detach().to(dtype).contiguous())
        self.bias = None if bias is None else bias.detach().to(dtype)

    @classmethod
    def of(cls, linear: nn.Linear, dtype: torch.dtype) -> Self:
        """What takes a layer's place."""
        return cls(linear.weight, linear.bias, dtype, gelu=isinstance(linear, GeluLinear))

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        packed: Tensor = _onednn()._linear_pointwise(x, self.weight, self.bias, *_behind(self.gelu))
        return packed


class PackedConvolution(nn.Module):
    """A convolution over time, (B, T, I) -> (B, T', O).

    Args:
        weight: (O, I / groups, K).
        bias: (O,) or None.
        dtype: of frames and weights.
        stride, padding, groups: as of `nn.Conv1d`.
        gelu: GELU behind it.
    """

    weight: Tensor

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        dtype: torch.dtype,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        gelu: bool = False,
    ) -> None:
        super().__init__()
        self.gelu, self.dtype = gelu, dtype
        self.shape = ([0, padding], [1, stride], [1, 1], groups)
        self._pack(weight.detach(), bias, dtype)
        if dtype != torch.float32 and not self._agrees(weight.detach()):
            self._pack(weight.detach(), bias, torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, I) -> (B, T', O); oneDNN sees images one line high, in the layout with channels last."""
        return self._product(x, self.bias, gelu=self.gelu).to(self.dtype)

    def _pack(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self.bias = None if bias is None else bias.detach().to(dtype)
        lines = weight.to(dtype).unsqueeze(2).contiguous()
        self.weight = _onednn()._reorder_convolution_weight(lines, *self.shape, None)

    def _product(self, x: Tensor, bias: Tensor | None, *, gelu: bool) -> Tensor:
        lines = x.to(self.weight.dtype).transpose(1, 2).unsqueeze(2)
        made = _onednn()._convolution_pointwise(lines, self.weight, bias, *self.shape, *_behind(gelu))
        frames: Tensor = made.squeeze(2).transpose(1, 2)
        return frames

    def _agrees(self, weight: Tensor) -> bool:
        """Whether the product is right. With AMX, oneDNN 3.10 errs for 8 channels a group and 64 or 128 taps in bf16."""
        (_, padding), (_, stride), _, groups = self.shape
        x = torch.randn(1, 2 * weight.shape[2], groups * weight.shape[1], generator=torch.Generator().manual_seed(0))
        right = functional.conv1d(x.transpose(1, 2), weight.float(), None, stride, padding, 1, groups).transpose(1, 2)
        return float((self._product(x, None, gelu=False).float() - right).norm()) < WRONG * float(right.norm())


class PackedPosition(nn.Module):
    """A `PositionConvolution` with its weights normed once.

    Args:
        of: where the weights come from.
        dtype: of frames and weights.
    """

    def __init__(self, of: PositionConvolution, dtype: torch.dtype) -> None:
        super().__init__()
        self.stride, self.cuts_last = of.stride, of.kernel % 2 == 0
        shape = {"stride": of.stride, "padding": of.kernel // 2, "groups": of.groups}
        self.convolution = PackedConvolution(of.normed_weight(), of.bias, dtype, gelu=True, **shape)

    def forward(self, x: Tensor) -> Tensor:
        """(B, E, T) -> (B, E, about T / s)."""
        y: Tensor = self.convolution(x.transpose(1, 2)).transpose(1, 2)
        return y[:, :, :-1] if self.cuts_last else y


def _onednn() -> Any:
    return torch.ops.mkldnn


def _behind(gelu: bool) -> tuple[str, list[float], str]:
    """How oneDNN's operators name what follows the product."""
    return ("gelu", [], "none") if gelu else ("none", [], "")
