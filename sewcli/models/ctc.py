"""A recogniser: the encoder and one linear layer to letters (wav2vec 2.0 section 3.3).

Shapes: B batch, S samples, T frames at 50 Hz, E width, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.models.config import ModelConfig
from sewcli.models.encoder import Encoded, Encoder
from sewcli.nn.squeeze import Upsample


class CTCOutput(NamedTuple):
    """Logits (B, T, V) and true frames (B,); T counts `output_upsample` for each of the encoder's."""

    logits: Tensor
    lengths: Tensor


class CTCModel(nn.Module):
    """Waves to letter logits.

    Args:
        config: the encoder's, and `final_dropout`.
        vocabulary_size: V; id 0 is the blank.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        if config.output_upsample > 1:
            self.upsample = Upsample(config.width, config.output_upsample)
        self.head = nn.Linear(config.width, vocabulary_size)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @classmethod
    def from_encoder(cls, encoder: Encoder, vocabulary_size: int) -> CTCModel:
        """A new CTC layer on a copy of an encoder."""
        new = cls(encoder.config, vocabulary_size)
        new.encoder.load_state_dict(encoder.state_dict())
        return new

    def forward(
        self,
        waves: Tensor,
        lengths: Tensor,
        time_mask: Tensor | None = None,
        channel_mask: Tensor | None = None,
        *,
        frozen: bool = False,
    ) -> CTCOutput:
        """Logits of right-padded waves.

        Args:
            waves: (B, S).
            lengths: (B,) true samples; on the CPU no value is fetched from the device that computes.
            time_mask: (B, T) bool, masked frames.
            channel_mask: (B, E) bool, zeroed channels.
            frozen: no gradient into the encoder; its dropouts stay as they are.

        Raises:
            DataError: an utterance is too short for one frame.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            encoded = self.encoder(waves, lengths, time_mask, channel_mask)
        return self.classify(encoded)

    def classify(self, encoded: Encoded) -> CTCOutput:
        """Logits of states that the encoder made."""
        states = functional.dropout(encoded.states, self.config.final_dropout, self.training)
        factor = self.config.output_upsample
        if factor > 1:
            states = self.upsample(states, factor * states.shape[1])
        return CTCOutput(self.head(states), factor * encoded.lengths)
