"""Filter-bank front end, the alternative that SEW's ablation holds against wave features (section 4.7, table 4, FBFE).

80 log mel energies every 10 ms, two 3x3 convolutions (the first halves the rate) and a linear layer. The authors' code
of it is not public: sizes follow the paper's parameter counts, the mel scale is Kaldi's. A frame depends on nothing but
the samples under it, so padding cannot touch it. Shapes: B batch, S samples, W windows, F frames, C features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.nn.extractor import Extractor
from sewcli.nn.mel import FLOOR, TRANSFORM, mel_filters


class LogMelExtractor(Extractor):
    """Log mel energies, two convolutions with ReLU over time and mel bands, and a linear layer.

    Args:
        channels: mel bands, channels of both convolutions, C.
        kernels: samples in a window, then 3, 3 and 1.
        strides: samples between windows, then frames (the first convolution also halves the bands).
    """

    def __init__(self, channels: Sequence[int], kernels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__(kernels, strides)
        self.bands, *hidden, features = channels
        shapes = zip([1, *hidden[:-1]], hidden, kernels[1:-1], strides[1:-1], strict=True)
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, k, s) for i, o, k, s in shapes)
        height = self.bands
        for kernel, stride in zip(kernels[1:-1], strides[1:-1], strict=True):
            height = (height - kernel) // stride + 1
        self.output = nn.Linear(hidden[-1] * height, features)

    def forward(self, waves: Tensor, lengths: Tensor | None) -> Tensor:
        """Waves (B, S) to features (B, F, C); nothing here looks beyond a frame, so `lengths` change nothing."""
        x = log_mel(waves, self.bands, self.kernels[0], self.strides[0]).unsqueeze(1)  # (B, 1, W, bands)
        for convolution in self.convolutions:
            x = functional.relu(convolution(x))
        features: Tensor = self.output(x.transpose(1, 2).flatten(2))  # (B, channels, F, height) -> (B, F, C)
        return features


def log_mel(waves: Tensor, bands: int, window: int, step: int) -> Tensor:
    """(B, S) at 16 kHz -> (B, W, bands), natural logarithms of mel energies, in fp32."""
    kind = waves.device.type
    with torch.autocast("cpu" if kind == "meta" else kind, enabled=False):
        pieces = waves.float().unfold(1, window, step)
        pieces = pieces - pieces.mean(2, keepdim=True)
        shape = torch.hann_window(window, periodic=False, device=waves.device)
        power = torch.fft.rfft(pieces * shape, TRANSFORM).abs().square()
        filters = torch.from_numpy(mel_filters(bands).astype(np.float32)).to(waves.device)
        energies: Tensor = power @ filters
        return energies.clamp(min=FLOOR).log()
