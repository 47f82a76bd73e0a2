"""The pre-training model and its loss: tell the true quantized feature of a masked frame from distractors.

wav2vec 2.0 section 3.2 with SEW's MLP heads (section 4.5). total = CE + 0.1 N (GV - perplexity) / GV + 10 N mean(z^2),
a sum over N masked frames. Shapes: B batch, S samples, T frames, M masked frames a row, N = B M, C features, P the
width in which predictions and targets are compared.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.base.errors import DataError
from sewcli.models.config import ModelConfig
from sewcli.models.encoder import Encoder
from sewcli.nn.heads import predictor
from sewcli.nn.norms import frame_mask
from sewcli.nn.quantizer import Quantizer


class PretrainingOutput(NamedTuple):
    """Scalars; all but `loss` are detached.

    loss: contrastive + diversity + penalty, each weighted and summed over frames: divide by `frames` (over all
    micro-batches and ranks). correct: masked frames whose true target scored highest. The perplexities go up to G V.
    """

    loss: Tensor
    contrastive: Tensor
    diversity: Tensor
    penalty: Tensor
    correct: Tensor
    frames: Tensor
    code_perplexity: Tensor
    probability_perplexity: Tensor


class PretrainingModel(nn.Module):
    """Encoder, quantizer and the two predictor heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = Quantizer(
            config.feature_width, config.codebook_groups, config.codebook_entries, config.code_width
        )
        kind, hidden, outputs = config.predictor, config.predictor_hidden, config.prediction_width
        self.target_head = predictor(kind, config.code_width, outputs, hidden)
        self.context_head = predictor(kind, config.width, outputs, hidden)

    def forward(self, waves: Tensor, lengths: Tensor, mask: Tensor, temperature: float) -> PretrainingOutput:
        """The loss of a batch.

        Args:
            waves: (B, S).
            lengths: (B,) true samples.
            mask: (B, T) bool, as many true values in each row.
            temperature: of the quantizer's Gumbel noise.

        Raises:
            DataError: an utterance too short for a frame, or fewer than two masked frames a row.
        """
        config, batch = self.config, waves.shape[0]
        features = self.encoder.extract(waves, lengths)
        true_frames = self.encoder.frames(lengths)
        energy = mean_square(features, true_frames)
        normed = self.encoder.feature_norm(features)
        targets = functional.dropout(normed[mask], config.feature_dropout, self.training)  # (N, C)
        if targets.shape[0] < 2 * batch:
            raise DataError("fewer than two masked frames: nothing to compare", mend="use longer pieces of audio")
        states = self.encoder.contextualise(normed, true_frames, mask, None).states
        predictions = self.context_head(states[mask]).view(batch, -1, config.prediction_width)
        quantized = self.quantizer(targets, temperature)
        truths = self.target_head(quantized.codes).view(batch, -1, config.prediction_width)
        draws = draw_negatives(batch, truths.shape[1], config.negatives, waves.device)
        contrastive, correct = contrastive_loss(
            predictions, truths, quantized.combination.view(batch, -1), draws, config.logit_temperature
        )
        frames = torch.tensor(float(targets.shape[0]), device=waves.device)
        most = config.codebook_groups * config.codebook_entries
        diversity = config.diversity_weight * frames * (most - quantized.probability_perplexity) / most
        penalty = config.penalty_weight * frames * energy
        return PretrainingOutput(
            loss=contrastive + diversity + penalty,
            contrastive=contrastive.detach(),
            diversity=diversity.detach(),
            penalty=penalty.detach(),
            correct=correct,
            frames=frames,
            code_perplexity=quantized.code_perplexity.detach(),
            probability_perplexity=quantized.probability_perplexity.detach(),
        )


def contrastive_loss(
    predictions: Tensor, truths: Tensor, codes: Tensor, draws: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Cross entropy of each true target against its distractors, and how many scored highest. Runs in fp32.

    All similarities within a row are one matrix, and a distractor drawn k times weighs k: no gather of vectors, and a
    backward pass without atomics. A distractor with the true target's code is left out (a logit of -inf upstream).

    Args:
        predictions, truths: (B, M, P).
        codes: (B, M), equal where the quantized targets are.
        draws: (B, M, M), how often each other frame was drawn as a distractor.
        temperature: divides the cosine similarities.

    Returns:
        (sum of cross entropies in nats, number correct).
    """
    with torch.autocast(predictions.device.type, enabled=False):
        scores = functional.normalize(predictions.float(), dim=2, eps=1e-8) @ functional.normalize(
            truths.float(), dim=2, eps=1e-8
        ).transpose(1, 2)
        scores = scores / temperature
        same = codes.unsqueeze(2) == codes.unsqueeze(1)
        distractors = draws.masked_fill(same, 0.0)
        own = scores.diagonal(dim1=1, dim2=2)
        among = distractors + torch.eye(scores.shape[1], device=scores.device)
        loss = ((scores + among.log()).logsumexp(2) - own).sum()
        with torch.no_grad():
            best = scores.masked_fill(distractors == 0, float("-inf")).amax(2)
            worst = scores.masked_fill(draws == 0, float("inf")).masked_fill(same & (draws > 0), float("-inf")).amin(2)
            correct = ((own >= best) & (own > worst)).sum().float()  # a tie of all is no success
    return loss, correct


def draw_negatives(batch: int, masked: int, negatives: int, device: torch.device) -> Tensor:
    """For each masked frame, how often each other frame of its row is drawn, uniformly with replacement: (B, M, M)."""
    indices = torch.randint(masked - 1, (batch, masked, negatives), device=device)
    indices += indices >= torch.arange(masked, device=device).view(1, -1, 1)  # never the frame itself
    counts = torch.zeros(batch, masked, masked, device=device)
    return counts.scatter_add_(2, indices, torch.ones((), device=device).expand(indices.shape))


def mean_square(features: Tensor, frames: Tensor) -> Tensor:
    """Mean of the squares of (B, T, C) over true frames, in fp32."""
    squares = features.float().square().mean(2)
    if int(frames.min()) == features.shape[1]:
        return squares.mean()
    return squares[frame_mask(frames, features.shape[1])].mean()
