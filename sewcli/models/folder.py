"""Model folders: what `sew` writes is a Hugging Face folder, and the reverse; fairseq files and Hub ids load the same way.

`config.json`, `model.safetensors` with the names of `transformers`, a model card, `preprocessor_config.json`, and for a
recogniser `vocab.json` and `tokenizer_config.json`. What these files of other folders say is obeyed. No code in a file is
run, and nothing large is allocated before the file's own list of shapes has been held against the config's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import nn

from sewcli.base import log
from sewcli.base.config import build, merge
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import atomic_folder, read_json, write_json, write_text
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.models.card import card
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.encoder import Encoder
from sewcli.models.fairseq import open_fairseq
from sewcli.models.foreign import hint_for, refuse_foreign_file
from sewcli.models.hugging_face import OWN_KEY, class_of, from_hugging_face, to_hugging_face
from sewcli.models.names import PREFIXES, encoder_names, hugging_face_names
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.processor_files import PREPROCESSOR, wants_normalised
from sewcli.models.source import Source, resolve
from sewcli.models.tensors import Entry, Tensors
from sewcli.models.weights import WEIGHTS, open_folder
from sewcli.nn.blank import without_weights
from sewcli.text.tokenizer_files import SYMBOLS
from sewcli.text.tokens import Vocabulary

CONFIG = "config.json"
CARD = "README.md"
PROJECTION = ("encoder.projection.weight", "encoder.projection.bias")
NAMED = {"encoder": "an encoder alone", "ctc": "a recogniser", "pretraining": "a pre-trained model"}
HEADS = {"encoder": "Model", "ctc": "ForCTC", "pretraining": "ForPreTraining"}

Kind = Literal["encoder", "ctc", "pretraining"]


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


def open_source(
    reference: str | Path,
    *,
    expect: Literal["ctc", "pretraining"] | None = None,
    trust_pickle: bool = False,
    dictionary: Path | None = None,
) -> Source:
    """Find a model and hold its parts against each other, without reading the weights yet.

    Args:
        reference: a folder that `sew` or `transformers` wrote, a fairseq file, or a Hub id.
        expect: what it must be.
        trust_pickle: let PyTorch files run code (see `torch_files`).
        dictionary: `dict.ltr.txt` of a fine-tuned fairseq model.

    Raises:
        UsageError: no such model, or of another kind.
        DataError: a file is missing, broken, or does not fit the others.
    """
    path = resolve(reference)
    if path.is_dir():
        architecture = read_architecture(path)
        kind = kind_of(architecture)
        _require(expect, kind, architecture, path)
        return _open_folder(path, kind, trust_pickle)
    if path.suffix in (".json", ".safetensors", ".bin"):
        raise UsageError("file-for-folder", "one file of a model", where=path, hint="give the folder that it is in")
    refuse_foreign_file(path)
    source = open_fairseq(path, trust_pickle=trust_pickle, dictionary=dictionary)
    _require(expect, source.kind, NAMED[source.kind], path)
    return source


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
    names = source.names(config, expected)
    mask = names["encoder.mask_vector"]
    if mask not in source.tensors.entries:  # e.g. facebook/wav2vec2-base-960h; no inference uses it
        log.warn(f"{source.where}: the vector that replaces masked frames is missing; taking a random one")
        generator = torch.Generator().manual_seed(0)
        vector = torch.rand(config.width, generator=generator)
        source.tensors.entries[mask] = Entry(tuple(vector.shape), lambda: vector)
    source.tensors.check({names[name]: tensor.shape for name, tensor in expected.items()})
    state = {name: source.tensors.read(names[name]).to(tensor.dtype) for name, tensor in expected.items()}
    source.tensors.require_finite({names[name]: tensor for name, tensor in state.items()})
    model.load_state_dict(state, assign=True)
    return model, vocabulary


def read_config(folder: str | Path) -> ModelConfig:
    """The config of a model folder.

    Raises:
        UsageError: no such folder.
        DataError: `config.json` is missing, broken, or of another kind of model.
    """
    content = _read_config_file(folder)
    config = from_hugging_face(content, Path(folder) / CONFIG)
    normalised = wants_normalised(Path(folder))
    if normalised is None and OWN_KEY not in content:
        normalised = config.extractor_norm == "layer"
        taken = "waves of zero mean and unit variance" if normalised else "waves as they are"
        log.warn(
            f"{folder}: no {PREPROCESSOR} says whether waves are normalised; taking {taken}, as published models with a "
            f"{config.extractor_norm} norm do"
        )
    return config if normalised is None else config.model_copy(update={"normalize_waves": normalised})


def read_architecture(folder: str | Path) -> str:
    """The class of `transformers` that a model folder holds, e.g. SEWDForCTC: by its config, else by its weights.

    Raises:
        UsageError: no such folder.
        DataError: `config.json` is missing or broken, or there are no weights.
    """
    content = _read_config_file(folder)
    named = content.get("architectures")
    if isinstance(named, list) and named and kind_of(str(named[0])) != "encoder":
        return str(named[0])
    held = open_folder(
        Path(folder)
    ).entries  # no class, or one of another task, e.g. Wav2Vec2ForMaskedLM of old folders
    head: Kind = "ctc" if "lm_head.weight" in held else "pretraining" if "project_q.weight" in held else "encoder"
    if head == "encoder" and isinstance(named, list) and named:
        return str(named[0])
    return class_of(content, Path(folder) / CONFIG) + HEADS[head]


def kind_of(architecture: str) -> Kind:
    """What a class of `transformers` holds."""
    return (
        "ctc"
        if architecture.endswith("ForCTC")
        else "pretraining"
        if architecture.endswith("PreTraining")
        else "encoder"
    )


def _require(expect: str | None, kind: str, named: str, path: Path) -> None:
    if expect == "ctc" and kind != "ctc":
        raise UsageError(
            "not-a-recogniser", f"not a recogniser but {named}", where=path, hint="`sew finetune --model` makes one"
        )
    if expect == "pretraining" and kind != "pretraining":
        raise UsageError(
            "not-a-pretrained-model",
            f"not a pre-trained model but {named}",
            where=path,
            hint="`sew pretrain` makes one",
        )


def _open_folder(folder: Path, kind: Kind, trust_pickle: bool) -> Source:
    config = read_config(folder)
    tensors = open_folder(folder, trust_pickle=trust_pickle)
    vocabulary = _vocabulary(folder, tensors) if kind == "ctc" else None
    prefix = f"{PREFIXES[config.family]}."
    bare = kind == "encoder" and not any(name.startswith(prefix) for name in tensors.entries)
    names = _encoder_names if bare else _full_names
    if kind == "encoder" and not bare:
        _leave_out_heads(tensors, prefix)
    if config.family == "wav2vec2" and not config.projects:  # transformers has a projection in any case
        projection = list(names(config, PROJECTION).values())
        if tensors.are_identity(*projection):
            tensors.drop(projection)
        else:
            config = config.model_copy(update={"always_project": True})
    return Source(folder, kind, config, tensors, names, vocabulary)


def _vocabulary(folder: Path, tensors: Tensors) -> Vocabulary:
    """The symbols of a recogniser, one for each output of its CTC layer."""
    rows = tensors.first_axis("lm_head.weight")
    stated = _read_config_file(folder).get("vocab_size", rows)
    if stated != rows:
        raise DataError(
            "vocabulary-size", f"lm_head has {rows} outputs, vocab_size is {stated!r}", where=folder / CONFIG
        )
    vocabulary = Vocabulary.load(folder, rows)
    if missing := sorted(vocabulary.roles.unused):
        if 2 * len(missing) > rows:
            raise DataError(
                "vocabulary-size",
                f"{rows - len(missing)} symbols for the {rows} outputs of the model",
                where=folder / SYMBOLS,
                hint="it belongs to another model: take the one of this model",
            )
        log.info(f"{folder}: {len(missing)} of {rows} outputs have no symbol and are never written")
    return vocabulary


def _leave_out_heads(tensors: Tensors, prefix: str) -> None:
    """What classifiers of other tasks stand on is an encoder."""
    heads = sorted(name for name in tensors.entries if not name.startswith(prefix))
    if heads:
        log.info(f"{tensors.where}: {len(heads)} tensors beside the encoder are left out ({heads[0]}, ...)")
        tensors.drop(heads)


def _read_config_file(folder: str | Path) -> dict[str, Any]:
    if not Path(folder).is_dir():
        raise UsageError(
            "model-not-found",
            "no such model folder",
            where=folder,
            hint="a folder that `sew pretrain` or `sew finetune` wrote",
        )
    if not (Path(folder) / CONFIG).exists():
        raise DataError("file-not-found", "no such file", where=Path(folder) / CONFIG, hint=hint_for(Path(folder)))
    content = read_json(Path(folder) / CONFIG)
    if not isinstance(content, dict):
        raise DataError("invalid-model-config", "not a mapping", where=Path(folder) / CONFIG)
    return content


def _full_names(config: ModelConfig, names: Iterable[str]) -> dict[str, str]:
    return hugging_face_names(config.family, names)


def _encoder_names(config: ModelConfig, names: Iterable[str]) -> dict[str, str]:
    return encoder_names(config.family, names)


def _save_tensors(model: AnyModel, path: Path) -> None:
    state, config = model.state_dict(), model.config
    translate = _encoder_names if isinstance(model, EncoderModel) else _full_names
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
