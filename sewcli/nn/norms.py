"""Normalisation over time that padding cannot touch (wav2vec 2.0's GroupNorm with a group a channel, SEW section 4).

The usual GroupNorm of a padded batch takes its statistics over the padding too, and so gives an utterance another text
in another batch. Here they are taken over the true length. Shapes: B batch, C channels, T frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class TimeNorm(nn.Module):
    """Each channel of each utterance to zero mean and unit variance over its own frames, then scaled and shifted."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Normalise (B, C, T) in fp32; `lengths` (B,) are true frames, None when nothing is padded."""
        kind, x = x.dtype, x.float()
        weight, bias = self.weight.float(), self.bias.float()
        if lengths is None:
            return functional.group_norm(x, x.shape[1], weight, bias, self.eps).to(kind)
        valid = frame_mask(lengths, x.shape[2]).unsqueeze(1)
        count = lengths.clamp(min=1).view(-1, 1, 1).to(x.dtype)
        mean = x.masked_fill(~valid, 0.0).sum(2, keepdim=True) / count
        variance = (x - mean).masked_fill(~valid, 0.0).square().sum(2, keepdim=True) / count
        scale = weight.view(-1, 1) * torch.rsqrt(variance + self.eps)
        return torch.addcmul(bias.view(-1, 1) - mean * scale, x, scale).to(kind)


def full(x: Tensor) -> Tensor:
    """fp32, or what is finer, for sums that half precision cannot hold."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """(B,) lengths -> (B, frames) bool, true where a frame is not padding."""
    return torch.arange(frames, device=lengths.device) < lengths.unsqueeze(1)


def unit_variance(waves: Tensor, lengths: Tensor) -> Tensor:
    """Right-padded waves (B, S), each to zero mean and unit variance over its true length, as `transformers` does."""
    lengths = lengths.to(waves.device, non_blocking=True)
    inside = frame_mask(lengths, waves.shape[1])
    count = lengths.unsqueeze(1)
    centred = (waves - waves.masked_fill(~inside, 0.0).sum(1, keepdim=True) / count).masked_fill(~inside, 0.0)
    return centred * torch.rsqrt(centred.square().sum(1, keepdim=True) / count + 1e-7)
