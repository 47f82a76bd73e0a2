"""Wave feature extractor: strided convolutions from 16 kHz samples to 50 frames a second (SEW section 4.4, table 2).

WFE-O keeps one width; WFE-C starts narrow and widens as the rate falls (`c`, `l0` or `l1` 1x1 layers between).
No convolution is padded: a frame sees only the 400 samples under it. Shapes: B batch, S samples, C channels, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.nn.chain import Count, frames_after, samples_under
from sewcli.nn.norms import TimeNorm


class Extractor(nn.Module):
    """What every front end has: how many frames come out of how many samples.

    Args:
        kernels, strides: of the chain of windows from samples to frames.
    """

    def __init__(self, kernels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.kernels, self.strides = tuple(kernels), tuple(strides)

    def frames(self, samples: Count) -> Count:
        """Frames that come out of so many samples (0 when they are too few for one)."""
        frames = frames_after(self.kernels, self.strides, samples)
        return frames.clamp(min=0) if isinstance(frames, Tensor) else max(frames, 0)

    @property
    def shortest(self) -> int:
        """Samples under one frame."""
        return samples_under(self.kernels, self.strides)


class WaveExtractor(Extractor):
    """Convolutions with GELU between.

    Args:
        channels, kernels, strides: one entry a convolution.
        norm: "group": each channel normalised over time after the first convolution only (LibriSpeech models);
            "layer": LayerNorm over channels after every convolution (LV-60k models).
        bias: whether the convolutions have one.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernels: Sequence[int],
        strides: Sequence[int],
        norm: Literal["group", "layer"] = "group",
        bias: bool = False,
    ) -> None:
        super().__init__(kernels, strides)
        shapes = zip([1, *channels[:-1]], channels, kernels, strides, strict=True)
        self.convolutions = nn.ModuleList(nn.Conv1d(i, o, k, s, bias=bias) for i, o, k, s in shapes)
        self.by_layer = norm == "layer"
        norms = [nn.LayerNorm(c) for c in channels] if self.by_layer else [TimeNorm(channels[0])]
        self.norms = nn.ModuleList(norms)
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv1d)
            nn.init.kaiming_normal_(convolution.weight)

    def forward(self, waves: Tensor, lengths: Tensor | None) -> Tensor:
        """Waves (B, S) to features (B, T, C); `lengths` (B,) are true samples, None when nothing is padded."""
        x = waves.to(next(self.parameters()).dtype).unsqueeze(1)
        for index, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if self.by_layer:
                x = self.norms[index](x.transpose(1, 2)).transpose(1, 2)
            elif index == 0:
                inside = None if lengths is None else (lengths - self.kernels[0]) // self.strides[0] + 1
                x = self.norms[0](x, inside)
            x = functional.gelu(x)
        return x.transpose(1, 2)


def scale_gradient(x: Tensor, scale: float) -> Tensor:
    """The same values; the gradient that flows back through them is multiplied by `scale`."""
    if scale != 1.0 and x.requires_grad and torch.is_grad_enabled():
        x.register_hook(lambda gradient: gradient * scale)
    return x
