"""A student to begin with: layers of a recogniser or of a pre-trained encoder, or a model of the zoo with new weights.

All the rest of its weights come from the same model, the position convolution included (the paper's code leaves that one at
random). Teacher and student must write the same symbols at the same number of frames a second.
"""

from __future__ import annotations

from collections.abc import Sequence

from sewcli.base.errors import UsageError
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.compression.config import DistillConfig
from sewcli.compression.layers import chosen_layers, with_layers
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.opening import open_source
from sewcli.models.source import is_model
from sewcli.models.zoo import lookup, overridden
from sewcli.text.tokens import Vocabulary
from sewcli.training.finetune import new_or_pretrained


def new_student(config: DistillConfig, vocabulary: Vocabulary) -> CTCModel:
    """The student of a run, as it is before the first update.

    Raises:
        UsageError: no such model, or more layers than it has.
        DataError: a file is broken, or the model writes other symbols than `vocabulary`.
    """
    if not is_model(config.model):
        shape = _with_depth(lookup(config.model), config.layers)
        changes = {**config.overrides, "extractor_gradient": config.extractor_gradient}
        return CTCModel(overridden(shape, changes), len(vocabulary))
    larger = new_or_pretrained(config, vocabulary)
    if config.init == "random":
        return CTCModel(_with_depth(larger.config, config.layers), len(vocabulary))
    total = larger.config.layers
    return with_layers(larger, chosen_layers(config.init, total, config.layers or total))


def require_depths(config: DistillConfig, depths: Sequence[int | None]) -> None:
    """Refuse, before the first of several students is trained, more layers than the model has that they begin with.

    Raises:
        UsageError: it has fewer.
    """
    if config.init == "random" or not is_model(config.model):
        return
    total = open_source(config.model).config.layers
    for depth in depths:
        chosen_layers(config.init, total, depth or total)


def require_equal_rates(student: ModelConfig, teacher: ModelConfig) -> None:
    """Frames of the two must mean the same stretches of audio.

    Raises:
        UsageError: they do not.
    """
    ours, theirs = (model.samples_per_frame / model.output_upsample for model in (student, teacher))
    if ours == theirs:
        return
    slower, faster = ("student", "teacher") if ours > theirs else ("teacher", "student")
    factor = max(ours, theirs) / min(ours, theirs)
    hint = "a student of the teacher's frame rate"
    if slower == "student" and factor == int(factor):
        hint += f", or --set overrides.output_upsample={int(factor) * student.output_upsample}"
    slow, fast = SAMPLE_RATE / max(ours, theirs), SAMPLE_RATE / min(ours, theirs)
    raise UsageError(
        "frame-rates-differ",
        f"the {slower} makes {slow:g} frames a second and the {faster} {fast:g}",
        where=student.name,
        hint=hint,
    )


def _with_depth(config: ModelConfig, layers: int | None) -> ModelConfig:
    return config if layers is None else config.model_copy(update={"layers": layers})
