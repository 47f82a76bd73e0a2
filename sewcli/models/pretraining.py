"""The pre-training model and its loss: tell the true quantized feature of a masked frame from distractors.

wav2vec 2.0 section 3.2 with SEW's MLP heads (section 4.6), and what wav2vec 2.0's appendix F and table 4 hold against
it. total = CE + 0.1 N (GV - perplexity) / GV + 10 N mean(z^2), a sum over N predicted frames. Shapes: B batch, S samples,
T frames, M predicted frames a row, N = B M, C features, D candidates a row, P the width of predictions and targets.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.base.errors import DataError
from sewcli.models.config import ModelConfig
from sewcli.models.encoder import Encoder, make_extractor, make_quantizer
from sewcli.nn.contrastive import contrastive_loss, draw_counts, draw_others
from sewcli.nn.heads import predictor
from sewcli.nn.norms import frame_mask
from sewcli.nn.quantizer import Quantized


class PretrainingOutput(NamedTuple):
    """Scalars; all but `loss` are detached.

    loss: contrastive + diversity + penalty, each weighted and summed over frames: divide by `frames` (over all
    micro-batches and ranks). correct: predicted frames whose true target scored highest. The perplexities go up to G V;
    None in a model without a quantizer.
    """

    loss: Tensor
    contrastive: Tensor
    diversity: Tensor
    penalty: Tensor
    correct: Tensor
    frames: Tensor
    code_perplexity: Tensor | None
    probability_perplexity: Tensor | None


class PretrainingModel(nn.Module):
    """Encoder, quantizer and the two predictor heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        if config.quantize_targets:
            self.quantizer = make_quantizer(config)
        hidden, outputs = config.predictor_hidden, config.prediction_width
        inputs = config.code_width if config.quantize_targets else config.feature_width
        self.target_head = predictor(config.target_predictor or config.predictor, inputs, outputs, hidden)
        self.context_head = predictor(config.predictor, config.width, outputs, hidden)
        if config.separate_target_extractor:
            self.target_extractor = make_extractor(config)
            self.target_norm = nn.LayerNorm(config.feature_width, eps=config.feature_norm_eps)

    def forward(
        self, waves: Tensor, lengths: Tensor, mask: Tensor, temperature: float, predicted: Tensor | None = None
    ) -> PretrainingOutput:
        """The loss of a batch.

        Args:
            waves: (B, S).
            lengths: (B,) true samples; on the CPU, so that no value is fetched from the device that computes.
            mask: (B, T) bool.
            temperature: of the quantizer's Gumbel noise.
            predicted: (B, M), the frames to predict; all masked ones if None, as many in each row.

        Raises:
            DataError: an utterance too short for a frame, or fewer than two predicted frames a row.
        """
        if predicted is None:
            predicted = mask.nonzero()[:, 1].view(mask.shape[0], -1)
        if predicted.shape[1] < 2:
            raise DataError(
                "utterance-too-short",
                "fewer than two masked frames: nothing to compare",
                hint="use longer pieces of audio",
            )
        features = self.encoder.extract(waves, lengths)
        true_frames = self.encoder.frames(lengths)
        energy = mean_square(features, true_frames)
        normed = aimed_at = self.encoder.feature_norm(features)
        if self.config.separate_target_extractor:
            features = self.encoder.extract(waves, lengths, self.target_extractor)
            energy = energy + mean_square(features, true_frames)
            aimed_at = self.target_norm(features)
        everywhere = self.config.negatives_from == "any"
        targets = functional.dropout(
            aimed_at if everywhere else take(aimed_at, predicted), self.config.feature_dropout, self.training
        )
        encoded = self.encoder.contextualise(normed, true_frames, mask, None, temperature)
        predictions = self._rows(self.context_head, take(encoded.states, predicted))
        candidates, codes, quantized = self._candidates(targets, temperature)
        own = predicted if everywhere else torch.arange(predicted.shape[1], device=waves.device).expand_as(predicted)
        contrastive, correct = self._contrast(predictions, candidates, own, codes)
        frames = torch.full((), float(predicted.numel()), device=waves.device)
        spreads = [q for q in (quantized, encoded.quantized) if q is not None]
        unused = [
            1 - q.probability_perplexity / (self.config.codebook_groups * self.config.codebook_entries) for q in spreads
        ]
        diversity = self.config.diversity_weight * frames * sum(unused, torch.zeros_like(frames))
        penalty = self.config.penalty_weight * frames * energy
        return PretrainingOutput(
            loss=contrastive + diversity + penalty,
            contrastive=contrastive.detach(),
            diversity=diversity.detach(),
            penalty=penalty.detach(),
            correct=correct,
            frames=frames,
            code_perplexity=spreads[0].code_perplexity.detach() if spreads else None,
            probability_perplexity=spreads[0].probability_perplexity.detach() if spreads else None,
        )

    def _candidates(self, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor, Quantized | None]:
        """(B, D, C) features -> candidates (B, D, P), their codes (B, D), and what the quantizer gave."""
        shape = targets.shape[:2]
        if not self.config.quantize_targets:  # each target is a code of its own
            codes = torch.arange(shape.numel(), device=targets.device).view(shape)
            return self._rows(self.target_head, targets), codes, None
        inputs = targets if self.config.quantizer_gradient else targets.detach()
        quantized = self.quantizer(inputs.flatten(0, 1), temperature)
        candidates = self._rows(self.target_head, quantized.codes.view(*shape, -1))
        return candidates, quantized.combination.view(shape), quantized

    def _contrast(self, predictions: Tensor, candidates: Tensor, own: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """(loss, number correct) with `negatives` distractors of the same row, and `batch_negatives` of all rows."""
        config, (rows, each) = self.config, codes.shape
        drawn = draw_others(own, each, config.negatives)
        if config.batch_negatives:  # all rows as one
            first = each * torch.arange(rows, device=own.device).view(-1, 1)
            own, drawn = (own + first).view(1, -1), (drawn + first.unsqueeze(2)).flatten(0, 1).unsqueeze(0)
            drawn = torch.cat([drawn, draw_others(own, rows * each, config.batch_negatives)], 2)
            predictions, candidates = predictions.flatten(0, 1)[None], candidates.flatten(0, 1)[None]
            codes = codes.reshape(1, -1)
        draws = draw_counts(drawn, candidates.shape[1])
        return contrastive_loss(predictions, candidates, own, codes, draws, config.logit_temperature)

    def _rows(self, head: nn.Module, x: Tensor) -> Tensor:
        """A head on (B, frames, width): BatchNorm in it sees the frames of all rows."""
        y: Tensor = head(x.flatten(0, 1))
        return y.view(*x.shape[:2], -1)


def take(x: Tensor, frames: Tensor) -> Tensor:
    """The frames (B, M) of (B, T, C), without a look at any value: (B, M, C)."""
    first = x.shape[1] * torch.arange(x.shape[0], device=x.device).view(-1, 1)
    return x.flatten(0, 1).index_select(0, (frames + first).view(-1)).view(*frames.shape, -1)


def mean_square(features: Tensor, frames: Tensor) -> Tensor:
    """Mean of the squares of (B, T, C) over true frames, in fp32."""
    squares = features.float().square().mean(2)
    if int(frames.min()) == features.shape[1]:
        return squares.mean()
    return squares[frame_mask(frames.to(squares.device), features.shape[1])].mean()
