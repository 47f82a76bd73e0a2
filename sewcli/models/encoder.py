"""The encoder of every model here: wave features, projection, masks, context network (SEW section 4, figures 2 and 4).

wav2vec 2.0, SEW and SEW-D differ in the squeeze (none, two frames to one) and in the attention. Padding is never seen:
an utterance's states are the same alone and in any batch. Shapes: B batch, S samples, T frames at 50 Hz, U squeezed
frames, C features, E width.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.base.errors import DataError
from sewcli.models.config import ModelConfig
from sewcli.nn.attention import SelfAttention
from sewcli.nn.chain import Count
from sewcli.nn.disentangled import DisentangledAttention
from sewcli.nn.extractor import WaveExtractor, scale_gradient
from sewcli.nn.log_mel import LogMelExtractor
from sewcli.nn.norms import frame_mask, unit_variance
from sewcli.nn.quantizer import Quantized, Quantizer
from sewcli.nn.squeeze import PositionConvolution, Upsample, squeeze
from sewcli.nn.transformer import TransformerLayer, run_layers


class Encoded(NamedTuple):
    """States (B, T, E), zero in the padding, true frames (B,) where the lengths were, and inputs that were quantized."""

    states: Tensor
    lengths: Tensor
    quantized: Quantized | None = None


class Encoder(nn.Module):
    """Waves to contextual states, 50 a second."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.extractor = make_extractor(config)
        self.feature_norm = nn.LayerNorm(config.feature_width, eps=config.feature_norm_eps)
        if config.quantize_inputs:
            self.quantizer = make_quantizer(config)
        input_width = config.code_width if config.quantize_inputs else config.feature_width
        self.projection = nn.Linear(input_width, config.width) if config.projects else nn.Identity()
        self.mask_vector = nn.Parameter(torch.rand(config.width))
        self.context = ContextNetwork(config)

    def forward(
        self, waves: Tensor, lengths: Tensor, time_mask: Tensor | None = None, channel_mask: Tensor | None = None
    ) -> Encoded:
        """Encode right-padded waves.

        Args:
            waves: (B, S).
            lengths: (B,) true samples; on the CPU no value is fetched from the device that computes.
            time_mask: (B, T) bool, frames that become the mask vector.
            channel_mask: (B, E) bool, channels that become zero.

        Raises:
            DataError: an utterance is too short for one frame.
        """
        features = self.extract(waves, lengths)
        frames = self.frames(lengths)
        if self.config.compat == "asapp" and self.config.family != "wav2vec2":  # whose own code counts as we do
            frames = frames_by_chunks(lengths, waves.shape[1], features.shape[1])
        return self.contextualise(self.feature_norm(features), frames, time_mask, channel_mask)

    def frames(self, samples: Count) -> Count:
        """Frames that come out of so many samples."""
        return self.extractor.frames(samples)

    def extract(self, waves: Tensor, lengths: Tensor, extractor: nn.Module | None = None) -> Tensor:
        """Features (B, T, C) before their LayerNorm, with the gradient scaled by `extractor_gradient`.

        `extractor` is one of the same form to use in place of this encoder's.

        Raises:
            DataError: an utterance is too short for one frame.
        """
        scale = self.config.extractor_gradient
        shortest = int(lengths.min())
        if shortest < self.extractor.shortest:
            raise DataError(
                "utterance-too-short",
                f"an utterance of {shortest} samples is too short: one frame needs {self.extractor.shortest}",
                hint="leave such utterances out",
            )
        if self.config.normalize_waves:
            waves = unit_variance(waves, lengths)
        with torch.set_grad_enabled(torch.is_grad_enabled() and scale > 0):
            masked = shortest < waves.shape[1] and self.config.compat == "none"
            inside = lengths.to(waves.device, non_blocking=True) if masked else None
            features: Tensor = (extractor or self.extractor)(waves, inside)
        return scale_gradient(features, scale)

    def contextualise(
        self,
        features: Tensor,
        frames: Tensor,
        time_mask: Tensor | None,
        channel_mask: Tensor | None,
        temperature: float | None = None,
    ) -> Encoded:
        """States of normalised features (B, T, C) with (B,) true frames; the masks are those of `forward`.

        `temperature` is that of quantized inputs in pre-training; without it they are the most probable codes.
        """
        quantized = None
        if self.config.quantize_inputs:
            quantized = self.quantizer(features.flatten(0, 1), temperature)
            features = quantized.codes.view(*features.shape[:2], -1)
        x = functional.dropout(self.projection(features), self.config.input_dropout, self.training)
        if time_mask is not None:
            x = torch.where(time_mask.unsqueeze(2), self.mask_vector.to(x.dtype), x)
        if channel_mask is not None:
            x = x.masked_fill(channel_mask.unsqueeze(1), 0.0)
        padded = int(frames.min()) < x.shape[1]
        inside = frames.to(x.device, non_blocking=True) if padded else None
        return Encoded(self.context(x, inside), frames, quantized)


class ContextNetwork(nn.Module):
    """Position convolution, transformer layers and, in SEW, the squeeze before and the upsampling after them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config, self.layer_drop = config, config.layer_drop
        self.position = PositionConvolution(
            config.width, config.position_kernel, config.position_groups, config.squeeze
        )
        self.layers = nn.ModuleList(make_layers(config))
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps)  # SEW-D: of the position table
        if config.family == "sew-d":
            self.positions = nn.Embedding(2 * config.position_buckets, config.width)
        if config.family != "wav2vec2":
            self.upsample = Upsample(config.width, config.squeeze)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, T, E) -> (B, T, E); `lengths` (B,) are true frames, None when nothing is padded."""
        config, frames = self.config, x.shape[1]
        if frames < config.squeeze:
            return torch.zeros_like(x)  # not one squeezed frame: all of it is the remainder
        valid, whole = None, None
        if lengths is not None:
            x = x.masked_fill(~frame_mask(lengths, frames).unsqueeze(2), 0.0)
            whole = squeezed_frames(lengths, frames, config)
            valid = frame_mask(whole.clamp(min=1), frames // config.squeeze)
        y = squeeze(x, self.position)
        conditions: tuple[Tensor | None, ...] = (valid,)
        if config.family == "sew-d":
            conditions = (valid, self.norm(self.positions.weight))
        else:
            y = y if config.norm_first else self.norm(y)
            y = functional.dropout(y, config.dropout, self.training)
        y = run_layers(self.layers, y, self.layer_drop, *conditions)
        y = self.norm(y) if config.norm_first else y
        if config.family != "wav2vec2":
            y = self.upsample(y, frames)
        if whole is None or config.compat != "none":
            return y
        return y.masked_fill(~frame_mask(whole * config.squeeze, frames).unsqueeze(2), 0.0)


def squeezed_frames(lengths: Tensor, frames: int, config: ModelConfig) -> Tensor:
    """True squeezed frames (B,) of utterances with `lengths` (B,) true frames in a batch of `frames`.

    Two frames make one, and a last frame without a partner none: that is what every program does to an utterance alone.
    In a batch, transformers 5 counts it, and the authors' SEW (not SEW-D) adds what the longest utterance lacks to all.
    """
    whole = lengths // config.squeeze
    if config.compat == "transformers":
        return (-(-lengths // config.squeeze)).clamp(max=frames // config.squeeze)
    if config.compat == "asapp" and config.family == "sew":
        return whole + (frames // config.squeeze - whole.max())
    return whole


def frames_by_chunks(lengths: Tensor, samples: int, frames: int) -> Tensor:
    """True frames (B,) as the authors' code counts them: cut the batch's `samples` into as many chunks as it has
    `frames`, and keep each chunk that begins with a true sample. A frame or two more than the convolutions see.
    """
    chunk = samples // frames
    return (-(-lengths // chunk)).clamp(max=frames)


def make_extractor(config: ModelConfig) -> WaveExtractor | LogMelExtractor:
    """The front end."""
    chain = (config.extractor_channels, config.extractor_kernels, config.extractor_strides)
    if config.front_end == "log-mel":
        return LogMelExtractor(*chain)
    return WaveExtractor(*chain, config.extractor_norm, config.extractor_bias)


def make_quantizer(config: ModelConfig) -> Quantizer:
    """A quantizer of features."""
    return Quantizer(
        config.feature_width,
        config.codebook_groups,
        config.codebook_entries,
        config.code_width,
        noise=config.gumbel_noise,
    )


def make_layers(config: ModelConfig) -> list[TransformerLayer]:
    """The family's layers. SEW-D's all start as copies of one, as in DeBERTa's code that the authors used."""
    if config.family == "sew-d":
        attention = DisentangledAttention(
            config.width,
            config.heads,
            dropout=config.attention_dropout,
            position_dropout=config.activation_dropout,
            buckets=config.position_buckets,
            max_positions=config.max_positions,
            head_width=config.head_width,
            masks_queries=config.compat == "asapp",
        )
        first = TransformerLayer(
            attention,
            config.width,
            config.feedforward,
            dropout=config.activation_dropout,
            activation_dropout=0.0,
            eps=config.norm_eps,
        )
        return [first, *(copy.deepcopy(first) for _ in range(config.layers - 1))]
    layers = [
        TransformerLayer(
            SelfAttention(config.width, config.heads, config.attention_dropout, config.head_width),
            config.width,
            config.feedforward,
            dropout=config.dropout,
            activation_dropout=config.activation_dropout,
            eps=config.norm_eps,
            norm_first=config.norm_first,
        )
        for _ in range(config.layers)
    ]
    for layer in layers:
        layer.initialise()
    return layers
