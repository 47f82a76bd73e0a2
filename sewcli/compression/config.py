"""What a distillation is made of: every field of its `config.yaml`.

Defaults are those of the authors' code for "Shrinking Bigfoot" (georgian-io/Knowledge-Distillation-Toolkit,
examples/wav2vec2_compression_demo/demo_config.yaml): AdamW 5e-5, two of sixty epochs of warm-up, then linear to zero,
temperature 1, divergence and feature penalty with weight 1, no CTC, no masks. Dropouts and the extractor's gradient stand in
no file of theirs: here they are those of wav2vec 2.0's pre-training, without layer drop.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from sewcli.compression.layers import Start
from sewcli.training.config import (
    AtLeastOne,
    BatchConfig,
    LinearSchedule,
    OptimConfig,
    Positive,
    RecogniserConfig,
    SpanConfig,
)

Weight = Annotated[float, Field(ge=0)]


class DistillConfig(RecogniserConfig):
    """A student and what it hears of its teacher. `model` is the student: a folder whose layers it takes, or a zoo name."""

    teacher: str
    """A recogniser: folder, fairseq file or Hub id. Its weights never change."""
    layers: AtLeastOne | None = None
    """Transformer layers of the student; those of `model` when not given."""
    init: Start = "alternate"
    """Where its layers come from: alternate or last ones of `model`; random: all weights are new (as of a zoo name)."""
    temperature: Positive = 1.0
    """Divides both models' logits in the divergence."""
    divergence_weight: Weight = 1.0
    """Of the divergence from the teacher's tokens, summed over the frames of an utterance."""
    penalty_weight: Weight = 1.0
    """Of the mean square of the features."""
    ctc_weight: Weight = 0.0
    """Of CTC on the transcripts; 0 needs none."""
    updates: AtLeastOne = 100_000
    batch: BatchConfig = BatchConfig(seconds=50, micro_seconds=50)
    optim: OptimConfig = OptimConfig(lr=5e-5, eps=1e-6, weight_decay=0.01)
    schedule: LinearSchedule = LinearSchedule(warmup=1 / 30)
    overrides: dict[str, Any] = {
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "activation_dropout": 0.0,
        "input_dropout": 0.1,
        "final_dropout": 0.0,
        "layer_drop": 0.0,
    }
    extractor_gradient: Weight = 0.1
    """Scale of the gradient into the wave feature extractor, the penalty's included; 0 leaves it as it is."""
    time_mask: SpanConfig = SpanConfig(probability=0.0, length=10)
    channel_mask: SpanConfig = SpanConfig(probability=0.0, length=64)

    @model_validator(mode="after")
    def _learns_something(self) -> DistillConfig:
        if not self.divergence_weight and not self.ctc_weight:
            raise ValueError("divergence_weight and ctc_weight are both 0: there is nothing to learn")
        return self
