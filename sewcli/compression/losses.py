"""What a student learns from its teacher: the same distribution over tokens at each frame ("Shrinking Bigfoot", section 4.1).

Peng et al. 2021 add wav2vec 2.0's penalty on the features and leave CTC out: no transcripts are needed.
Shapes: B batch, T frames, V vocabulary, C features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sewcli.nn.norms import frame_mask


def token_divergence(student: Tensor, teacher: Tensor, frames: Tensor, temperature: float = 1.0) -> Tensor:
    """Kullback-Leibler divergence of the student's tokens from the teacher's, summed over true frames; in fp32, nats.

    Multiplied by the square of the temperature, so that the gradient keeps its size (Hinton et al. 2015).

    Args:
        student, teacher: logits (B, T, V).
        frames: (B,) true frames.
        temperature: divides the logits of both.
    """
    learned, wanted = (functional.log_softmax(logits.float() / temperature, dim=-1) for logits in (student, teacher))
    each = functional.kl_div(learned, wanted, reduction="none", log_target=True).sum(dim=-1)  # (B, T)
    inside = frame_mask(frames.to(each.device), each.shape[1])
    return each.masked_fill(~inside, 0.0).sum() * temperature**2


def feature_penalty(features: Tensor, frames: Tensor) -> Tensor:
    """Mean square of each utterance's features (B, T, C) over its true frames (B,), summed over the utterances; in fp32."""
    inside = frame_mask(frames.to(features.device), features.shape[1])
    squares = features.float().square().mean(dim=-1).masked_fill(~inside, 0.0).sum(dim=-1)  # (B,)
    return torch.sum(squares / inside.sum(dim=-1))
