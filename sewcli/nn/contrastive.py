"""The contrastive loss: a prediction against its true target among distractors (wav2vec 2.0 equation 3, appendix F).

Similarities are one matrix product, and a distractor drawn k times weighs k: no gather of vectors, and a backward pass
without atomics. Shapes: B rows, M predictions a row, C candidates a row (the true targets among them), K distractors, P
the width in which they are compared.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sewcli.nn.norms import full


def contrastive_loss(
    predictions: Tensor, candidates: Tensor, own: Tensor, codes: Tensor, draws: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Cross entropy of each true target against its distractors, and how many scored highest. Runs in fp32 (or fp64).

    A distractor with the true target's code is left out (a logit of -inf upstream).

    Args:
        predictions: (B, M, P).
        candidates: (B, C, P).
        own: (B, M), which candidate is the true target of each prediction.
        codes: (B, C), equal where the targets are.
        draws: (B, M, C), how often each candidate was drawn as a distractor.
        temperature: divides the cosine similarities.

    Returns:
        (sum of cross entropies in nats, number correct).
    """
    with torch.autocast(predictions.device.type, enabled=False):
        x, y = (functional.normalize(full(vectors), dim=2, eps=1e-8) for vectors in (predictions, candidates))
        scores = x @ y.transpose(1, 2)
        scores = scores / temperature
        same = codes.gather(1, own).unsqueeze(2) == codes.unsqueeze(1)
        distractors = draws.masked_fill(same, 0.0)
        true = scores.gather(2, own.unsqueeze(2)).squeeze(2)
        among = distractors.scatter_add(2, own.unsqueeze(2), torch.ones_like(draws[:, :, :1]))
        loss = ((scores + among.to(scores.dtype).log()).logsumexp(2) - true).sum()
        with torch.no_grad():
            best = scores.masked_fill(distractors == 0, float("-inf")).amax(2)
            worst = scores.masked_fill(draws == 0, float("inf")).masked_fill(same & (draws > 0), float("-inf")).amin(2)
            correct = ((true >= best) & (true > worst)).sum().float()  # a tie of all is no success
    return loss, correct


def draw_others(own: Tensor, candidates: int, number: int) -> Tensor:
    """For each prediction `number` candidates but its own, uniformly with replacement: (B, M) -> (B, M, number)."""
    drawn = torch.randint(candidates - 1, (*own.shape, number), device=own.device)
    return drawn + (drawn >= own.unsqueeze(2))


def draw_counts(drawn: Tensor, candidates: int) -> Tensor:
    """How often each candidate was drawn: (B, M, K) indices -> (B, M, C)."""
    counts = torch.zeros(*drawn.shape[:2], candidates, device=drawn.device)
    return counts.scatter_add_(2, drawn, torch.ones((), device=drawn.device).expand(drawn.shape))
