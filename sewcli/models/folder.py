"""Model folders: what `sew` writes is a Hugging Face folder, and the reverse; fairseq files and Hub ids load the same way.

`config.json`, `model.safetensors` with the names of `transformers`, a model card, `preprocessor_config.json`, and for a
recogniser `vocab.json` and `tokenizer_config.json`. What these files of other folders say is obeyed. No code in a file is
run, and nothing large is allocated before the file's own list of shapes has been held against the config's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from sewcli.base.config import build, merge
from sewcli.base.files import atomic_folder, write_json, write_text
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.models.card import card
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.encoder import Encoder
from sewcli.models.hugging_face import to_hugging_face
from sewcli.models.opening import (
    CONFIG,
    HEADS,
    PROJECTION,
    Kind,
    names_alone,
    names_in_model,
    open_source,
    read_weights,
)
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.processor_files import PREPROCESSOR
from sewcli.models.source import Source
from sewcli.models.weights import WEIGHTS
from sewcli.nn.blank import without_weights
from sewcli.text.tokens import Vocabulary

CARD = "README.md"


class EncoderModel(nn.Module):
    """An encoder alone, under the name that it has in the other models."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)


AnyModel = CTCModel | PretrainingModel | EncoderModel


def save_ctc(
    model: CTCModel, vocabulary: Vocabulary, folder: str | Path, *, facts: Mapping[str, Any] | None = None
) -> None:
    """Write a recogniser; `transformers` reads it with `AutoModelForCTC` and `AutoProcessor`."""
    save_model(model, vocabulary, folder, facts=facts)


def save_pretraining(model: PretrainingModel, folder: str | Path, *, facts: Mapping[str, Any] | None = None) -> None:
    """Write a pre-trained model with its quantizer and heads."""
    save_model(model, None, folder, facts=facts)


def save_model(
    model: AnyModel, vocabulary: Vocabulary | None, folder: str | Path, *, facts: Mapping[str, Any] | None = None
) -> None:
    """Write any model.

    Args:
        model: a recogniser, a pre-trained model or an encoder.
        vocabulary: of a recogniser.
        folder: where to; what was there is replaced.
        facts: what the model card shall say beside the sizes: training data, hours, updates, WER, source.
    """
    kind: Kind = (
        "ctc" if isinstance(model, CTCModel) else "pretraining" if isinstance(model, PretrainingModel) else "encoder"
    )
    config = model.config
    with atomic_folder(folder) as temporary:
        write_json(temporary / CONFIG, to_hugging_face(config, HEADS[kind], vocabulary))
        write_json(temporary / PREPROCESSOR, preprocessor(config))
        if vocabulary:
            vocabulary.save(temporary)
        _save_tensors(model, temporary / WEIGHTS)
        write_text(temporary / CARD, card(config, kind, count(model), vocabulary, facts or {}))


def load_ctc(reference: str | Path, *, overrides: Mapping[str, Any] | None = None) -> tuple[CTCModel, Vocabulary]:
    """Read a recogniser from a folder, a fairseq file or the Hub; `overrides` change its config, e.g. its dropouts.

    Raises:
        UsageError: no such model, or not a recogniser.
        DataError: a file is missing, broken, or does not fit the others.
    """
    model, vocabulary = load_source(open_source(reference, expect="ctc"), overrides)
    assert isinstance(model, CTCModel) and vocabulary is not None
    return model, vocabulary


def load_pretraining(reference: str | Path, *, overrides: Mapping[str, Any] | None = None) -> PretrainingModel:
    """Read a pre-trained model with its quantizer and heads.

    Raises:
        UsageError: no such model, or not a pre-trained one.
        DataError: a file is missing, broken, or does not fit the others.
    """
    model, _ = load_source(open_source(reference, expect="pretraining"), overrides)
    assert isinstance(model, PretrainingModel)
    return model


def load_encoder(reference: str | Path, *, overrides: Mapping[str, Any] | None = None) -> Encoder:
    """The encoder of any model.

    Raises:
        UsageError: no such model.
        DataError: a file is missing, broken, or does not fit the others.
    """
    model, _ = load_source(open_source(reference), overrides)
    return model.encoder


def load_source(source: Source, overrides: Mapping[str, Any] | None = None) -> tuple[AnyModel, Vocabulary | None]:
    """Read the weights.

    Raises:
        DataError: missing or extra tensors, shapes that the config does not say, NaN or infinite weights.
    """
    config, vocabulary = source.config, source.vocabulary
    if overrides:
        config = build(ModelConfig, merge(config.model_dump(), overrides))
    model: AnyModel
    with without_weights():
        if source.kind == "ctc":
            assert vocabulary is not None
            model = CTCModel(config, len(vocabulary))
        else:
            model = PretrainingModel(config) if source.kind == "pretraining" else EncoderModel(config)
    expected = model.state_dict()
    arrays = read_weights(source, config, {name: tuple(tensor.shape) for name, tensor in expected.items()})
    state = {name: torch.from_numpy(arrays[name]).to(tensor.dtype) for name, tensor in expected.items()}
    model.load_state_dict(state, assign=True)
    return model, vocabulary


def _save_tensors(model: AnyModel, path: Path) -> None:
    state, config = model.state_dict(), model.config
    translate = names_alone if isinstance(model, EncoderModel) else names_in_model
    names = translate(config, [*state, *PROJECTION])
    tensors = {names[name]: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    if config.family == "wav2vec2" and not config.projects:
        tensors |= {names[PROJECTION[0]]: torch.eye(config.width), names[PROJECTION[1]]: torch.zeros(config.width)}
    save_file(tensors, path, metadata={"format": "pt"})


def preprocessor(config: ModelConfig) -> dict[str, Any]:
    """The contents of `preprocessor_config.json`."""
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": SAMPLE_RATE,
        "padding_side": "right",
        "padding_value": 0.0,
        "do_normalize": config.normalize_waves,
        "return_attention_mask": config.extractor_norm == "layer",
    }


def count(model: nn.Module) -> int:
    """Parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
