"""The wave feature extractor on a CPU: some seconds at a time, so that its memory does not grow with the audio (see `onednn`).

The norm behind the first convolution spans the whole utterance. What it needs, mean and variance of each channel, follows
from mean and covariance of the windows of samples under the convolution, 10 x 10 numbers: it is known before the convolution
runs and becomes part of its weights. Shapes: B batch, S samples, K kernel, C channels, T frames.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.nn.extractor import Extractor, WaveExtractor
from sewcli.nn.norms import TimeNorm
from sewcli.runtimes.onednn import PackedConvolution, PackedLinear

FRAMES = 250  # of the result that are made in one piece: 5 s
WINDOWS = 1 << 16  # whose products are summed in one piece


class PackedExtractor(Extractor):
    """A `WaveExtractor` for inference. The first convolution, a 500th of the work and less, stays in fp32.

    Args:
        of: where the weights come from.
        dtype: of the features and of all other weights.
    """

    def __init__(self, of: WaveExtractor, dtype: torch.dtype) -> None:
        super().__init__(of.kernels, of.strides)
        self.dtype, self.by_layer = dtype, of.by_layer
        first, *others = (layer for layer in of.convolutions if isinstance(layer, nn.Conv1d))
        self.width = others[-1].out_channels
        with torch.no_grad():
            self.weight = first.weight[:, 0].double()
            self.bias = None if first.bias is None else first.bias.double()
        norm = of.norms[0]
        self.norms = nn.ModuleList() if isinstance(norm, TimeNorm) else of.norms
        self.fold = Fold(norm) if isinstance(norm, TimeNorm) else None
        self.convolutions = nn.ModuleList(
            PackedConvolution(layer.weight, layer.bias, dtype, stride=layer.stride[0], gelu=not of.by_layer)
            for layer in others
        )

    def forward(self, waves: Tensor, lengths: Tensor | None) -> Tensor:
        """Waves (B, S) to features (B, T, C), zero behind true lengths (B,); without these nothing is padded."""
        true = [waves.shape[1]] * len(waves) if lengths is None else lengths.tolist()
        features = torch.zeros(len(waves), self.frames(waves.shape[1]), self.width, dtype=self.dtype)
        for wave, samples, row in zip(waves, true, features, strict=True):
            self._extract(wave[:samples].float(), row[: self.frames(samples)])
        return features

    def _extract(self, wave: Tensor, features: Tensor) -> None:
        """Fill in the features (T, C) of a wave (S,)."""
        first, hop = self._first(wave), math.prod(self.strides)
        for start in range(0, len(features), FRAMES):
            part = features[start : start + FRAMES]
            samples = wave[start * hop : (start + len(part) - 1) * hop + self.shortest]
            x = first(samples.unfold(0, self.kernels[0], self.strides[0]).contiguous()).to(self.dtype).unsqueeze(0)
            for index, convolution in enumerate(self.convolutions):
                x = convolution(self._activated(x, index))
            part.copy_(self._activated(x, len(self.convolutions))[0])

    def _activated(self, x: Tensor, index: int) -> Tensor:
        """What follows a convolution that is not in it already."""
        if not self.by_layer:
            return x
        normed: Tensor = self.norms[index](x)
        return functional.gelu(normed)

    def _first(self, wave: Tensor) -> PackedLinear:
        """The first convolution for windows (T, K), with the norm of this utterance in it."""
        if self.fold is None:
            return PackedLinear(self.weight, self.bias, torch.float32)
        weight, bias = self.fold(self.weight, *moments(wave, self.kernels[0], self.strides[0]))
        return PackedLinear(weight, bias, torch.float32, gelu=True)


class Fold:
    """A norm over time as part of the convolution before it; a bias of the convolution's own is gone with the mean."""

    def __init__(self, norm: TimeNorm) -> None:
        self.gain, self.offset, self.eps = norm.weight.detach().double(), norm.bias.detach().double(), norm.eps

    def __call__(self, weight: Tensor, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (C, K) and biases (C,) that do both, for windows with such a mean (K,) and covariance (K, K)."""
        variance = ((weight @ covariance) * weight).sum(1).clamp(min=0)
        scale = self.gain * torch.rsqrt(variance + self.eps)
        return weight * scale.unsqueeze(1), self.offset - weight @ mean * scale


def moments(wave: Tensor, kernel: int, stride: int) -> tuple[Tensor, Tensor]:
    """Mean (K,) and covariance (K, K) of the windows of a wave (S,), in float64."""
    windows = wave.unfold(0, kernel, stride)
    sums, products = torch.zeros(kernel, dtype=torch.float64), torch.zeros(kernel, kernel, dtype=torch.float64)
    for part in windows.split(WINDOWS):
        exact = part.double()
        sums += exact.sum(0)
        products += exact.T @ exact
    mean = sums / len(windows)
    return mean, products / len(windows) - torch.outer(mean, mean)
