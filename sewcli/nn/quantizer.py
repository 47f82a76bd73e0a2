"""Product quantizer with a straight-through Gumbel softmax (wav2vec 2.0 section 2, "Quantization module").

Runs in fp32 whatever the precision around it. Shapes: N frames, C features, G groups, V entries a group, D code width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sewcli.nn.norms import full


class Quantized(NamedTuple):
    """What the quantizer gives.

    codes: (N, D) chosen entries. combination: (N,) a number for each combination of entries.
    code_perplexity, probability_perplexity: how evenly entries are chosen (arg max), and how evenly probability is
    spread over them; at most G V.
    """

    codes: Tensor
    combination: Tensor
    code_perplexity: Tensor
    probability_perplexity: Tensor


class Quantizer(nn.Module):
    """Choose one entry of each of G codebooks for a feature vector.

    Args:
        features: C.
        groups: G codebooks.
        entries: V entries in each.
        width: D of the joined entries.
        noise: whether training adds Gumbel noise; without it the most probable entries are chosen there too.
    """

    def __init__(self, features: int, groups: int, entries: int, width: int, *, noise: bool = True) -> None:
        super().__init__()
        self.groups, self.entries, self.noise = groups, entries, noise
        self.codebook = nn.Parameter(torch.empty(1, groups * entries, width // groups))
        self.choice = nn.Linear(features, groups * entries)
        nn.init.uniform_(self.codebook)
        nn.init.normal_(self.choice.weight)
        nn.init.zeros_(self.choice.bias)

    def forward(self, x: Tensor, temperature: float | None) -> Quantized:
        """Quantize (N, C): in training with Gumbel noise and the gradient of a softmax at `temperature`.

        In evaluation, and without a temperature, the most probable entries are chosen.
        """
        with torch.autocast(x.device.type, enabled=False):
            logits = self.choice(full(x)).view(-1, self.groups, self.entries)  # (N, G, V)
            probabilities = logits.softmax(2)
            best = logits.argmax(2, keepdim=True)
            if self.training and temperature is not None:
                noisy = logits + gumbel_noise(logits) if self.noise else logits
                soft = (noisy / temperature).softmax(2)
                chosen = soft.argmax(2, keepdim=True)
                weights = one_hot(soft, chosen) + (soft - soft.detach())  # values of the first, gradient of the second
            else:
                chosen = best
                weights = one_hot(logits, best)
            books = self.codebook.view(self.groups, self.entries, -1)
            codes = torch.einsum("ngv,gvd->ngd", weights, books).flatten(1)
            powers = self.entries ** torch.arange(self.groups, device=x.device)
            return Quantized(
                codes=codes,
                combination=(chosen.squeeze(2) * powers).sum(1),
                code_perplexity=perplexity(one_hot(logits, best).mean(0)),
                probability_perplexity=perplexity(probabilities.mean(0)),
            )


def perplexity(probabilities: Tensor) -> Tensor:
    """(G, V) distributions -> sum over groups of exp(entropy), between G and G V."""
    return (-(probabilities * (probabilities + 1e-7).log()).sum(1)).exp().sum()


def gumbel_noise(like: Tensor) -> Tensor:
    """-log(-log u) of `like`'s shape, kept finite."""
    waiting = torch.empty_like(like).exponential_()  # -log u
    return -waiting.clamp(min=torch.finfo(like.dtype).tiny).log()


def one_hot(like: Tensor, index: Tensor) -> Tensor:
    """Ones at `index` along the last dimension."""
    return torch.zeros_like(like).scatter_(2, index, 1.0)
