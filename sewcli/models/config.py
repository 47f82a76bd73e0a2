"""What a model is: every size, norm and dropout of wav2vec 2.0, SEW and SEW-D models (SEW table 5, facts in `zoo.py`).

One flat section: a recipe overrides any field by its name. Widths: C of features, E of the context network.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sewcli.base.config import Config
from sewcli.nn.chain import frames_after, samples_under

Size = Annotated[int, Field(ge=1, le=65_536)]
Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Convolutions = Annotated[tuple[Size, ...], Field(min_length=1, max_length=64)]


class ModelConfig(Config):
    """A model's architecture, and what training it needs beside its weights."""

    name: str = "custom"
    """Name in the zoo."""
    family: Literal["wav2vec2", "sew", "sew-d"]
    """wav2vec2: 50 frames a second throughout; sew: squeezed; sew-d: squeezed, with disentangled attention."""

    front_end: Literal["wave", "log-mel"] = "wave"
    """wave: convolutions over samples; log-mel: mel energies, two convolutions and a linear layer (ablation only)."""
    extractor_channels: Convolutions
    """Channels of each convolution of the feature extractor (log-mel: bands first); the last is C."""
    extractor_kernels: Convolutions
    """Samples or frames under each."""
    extractor_strides: Convolutions
    """Step of each; their product is 320 samples a frame in all published models."""
    extractor_norm: Literal["group", "layer"] = "group"
    """group: over time after the first convolution; layer: over channels after every one."""
    extractor_bias: bool = False
    """Whether the convolutions have a bias."""
    normalize_waves: bool = False
    """Each utterance to zero mean and unit variance before the extractor (LV-60k models)."""
    always_project: bool = False
    """A linear layer between extractor and context even when C = E (Hugging Face's wav2vec 2.0 has one)."""

    width: Size
    """E of the context network."""
    layers: Annotated[int, Field(ge=1, le=1024)]
    """Transformer layers."""
    heads: Size
    """Attention heads; E / 64 in all published models."""
    head_width: Size | None = None
    """Width of a head; E / heads when not given (all published models). Models with heads cut off have their own."""
    feedforward: Size
    """Width inside the feed-forward part; 4 E in all published models."""
    norm_first: bool = False
    """LayerNorm before attention and feed-forward (LV-60k models), not after; wav2vec2 only."""
    norm_eps: Positive = 1e-5
    """Epsilon of the context network's LayerNorms (1e-7 in SEW-D)."""
    feature_norm_eps: Positive = 1e-5
    """Epsilon of the LayerNorm over the features."""
    position_kernel: Size
    """Taps of the position convolution, at 50 frames a second."""
    position_groups: Size = 16
    """Groups of its channels."""
    squeeze: Annotated[int, Field(ge=1, le=16)] = 1
    """Frames that become one inside the context network."""
    position_buckets: Annotated[int, Field(ge=4, le=65_536)] = 256
    """Relative-position buckets on each side (sew-d)."""
    max_positions: Annotated[int, Field(ge=4, le=1_000_000)] = 512
    """Offset at which the buckets end (sew-d)."""
    output_upsample: Annotated[int, Field(ge=1, le=16)] = 1
    """Frames that the recogniser makes of one before its CTC layer (fine-tuning of 25 Hz models)."""
    compat: Literal["none", "asapp", "transformers"] = "none"
    """none: padding changes nothing. Others reproduce a program's padded batches: asapp counts a frame or two too many,
    transformers 5 keeps an odd last frame, and in both the extractor's norm over time sees the padding."""

    dropout: Share = 0.1
    """On what attention and feed-forward add; SEW-D has `activation_dropout` in its place, as upstream."""
    attention_dropout: Share = 0.1
    """On attention weights."""
    activation_dropout: Share = 0.0
    """Inside the feed-forward part."""
    input_dropout: Share = 0.1
    """On the features that enter the context network."""
    feature_dropout: Share = 0.1
    """On the features that enter the quantizer."""
    final_dropout: Share = 0.0
    """Before the CTC layer."""
    layer_drop: Share = 0.05
    """Probability with which a whole layer is skipped in training."""
    extractor_gradient: Weight = 0.1
    """Scale of the gradient into the extractor; 0 freezes it."""

    predictor: Literal["linear", "mlp", "mlp-norm", "mlp3-norm"] = "mlp-norm"
    """Both heads of pre-training: wav2vec 2.0's linear layers or SEW's MLP with BatchNorm."""
    target_predictor: Literal["linear", "mlp", "mlp-norm", "mlp3-norm"] | None = None
    """The head on the targets, when it is not like the other."""
    predictor_hidden: Size = 4096
    """Hidden width of the MLP heads."""
    prediction_width: Size = 256
    """Width in which predictions and targets are compared."""
    codebook_groups: Size = 2
    """Codebooks."""
    codebook_entries: Size = 320
    """V, entries of each codebook."""
    code_width: Size = 256
    """Width of the joined entries."""
    negatives: Size = 100
    """Distractors a masked frame, from the same utterance."""
    negatives_from: Literal["masked", "any"] = "masked"
    """Which frames of it may be distractors."""
    batch_negatives: Annotated[int, Field(ge=0, le=65_536)] = 0
    """Distractors more, from all utterances of the micro-batch."""
    logit_temperature: Positive = 0.1
    """Divides the cosine similarities."""
    quantize_targets: bool = True
    """Predict codes, not the features themselves."""
    quantize_inputs: bool = False
    """The context network hears codes, of a quantizer of its own, in place of features."""
    quantizer_gradient: bool = True
    """Whether the extractor learns from the quantizer of the targets."""
    gumbel_noise: bool = True
    """Whether codes are sampled in training; if not, the most probable are taken."""
    separate_target_extractor: bool = False
    """Targets come from an extractor of their own."""
    diversity_weight: Weight = 0.1
    """Of the codebook diversity term."""
    penalty_weight: Weight = 10.0
    """Of the mean square of the features."""

    @property
    def feature_width(self) -> int:
        """C."""
        return self.extractor_channels[-1]

    @property
    def samples_per_frame(self) -> int:
        """Step of the extractor: 320 in all published models, 640 at 25 Hz."""
        return math.prod(self.extractor_strides)

    @property
    def samples_under_frame(self) -> int:
        """Samples that a frame of the extractor sees: 400 in all published models."""
        return samples_under(self.extractor_kernels, self.extractor_strides)

    def frames(self, samples: int) -> int:
        """Frames that the extractor makes of so many samples."""
        return max(frames_after(self.extractor_kernels, self.extractor_strides, samples), 0)

    @property
    def projects(self) -> bool:
        """Whether a linear layer leads from C (or the code width) to E."""
        return self.always_project or self.quantize_inputs or self.feature_width != self.width

    @property
    def standard_encoder(self) -> bool:
        """Whether other programs have such a model, apart from its pre-training."""
        plain = self.front_end == "wave" and self.output_upsample == 1 and not self.quantize_inputs
        return plain and self.head_width is None

    @property
    def standard_targets(self) -> bool:
        """Whether other programs have such targets in pre-training."""
        return self.quantize_targets and not self.separate_target_extractor and self.target_predictor is None

    @model_validator(mode="after")
    def _fits_together(self) -> ModelConfig:
        if not len(self.extractor_channels) == len(self.extractor_kernels) == len(self.extractor_strides):
            raise ValueError("extractor_channels, extractor_kernels and extractor_strides must have one length")
        if self.front_end == "log-mel" and len(self.extractor_channels) != 4:
            raise ValueError("a log-mel front end has 4 stages: windows, two convolutions and a linear layer")
        for name, part in (("heads", self.heads), ("position_groups", self.position_groups)):
            if self.width % part and not (name == "heads" and self.head_width):
                raise ValueError(f"width {self.width} is not a multiple of {name} {part}")
        if self.code_width % self.codebook_groups:
            raise ValueError(
                f"code_width {self.code_width} is not a multiple of codebook_groups {self.codebook_groups}"
            )
        if self.family == "wav2vec2" and self.squeeze != 1:
            raise ValueError("wav2vec2 models do not squeeze: squeeze must be 1")
        if self.family != "wav2vec2" and self.norm_first:
            raise ValueError("norm_first is an option of wav2vec2 models only")
        if self.family != "sew-d" and self.feature_norm_eps != self.norm_eps:
            raise ValueError("feature_norm_eps differs from norm_eps in sew-d models only")
        if self.max_positions <= self.position_buckets // 2 + 1:
            raise ValueError("max_positions must exceed half of position_buckets")
        return self
