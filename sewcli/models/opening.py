"""What a model reference holds: config, vocabulary, and the names and shapes of its weights, held against each other.

Folders of `sew` or `transformers`, fairseq files and Hub ids open the same way. What the files of other folders say is
obeyed. No code in a file is run, nothing large is read before its own list of shapes has been held against the config's, and
PyTorch is imported only for files of its own kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json
from sewcli.models.config import ModelConfig
from sewcli.models.foreign import hint_for, refuse_foreign_file
from sewcli.models.hugging_face import OWN_KEY, class_of, from_hugging_face
from sewcli.models.names import PREFIXES, encoder_names, hugging_face_names
from sewcli.models.processor_files import PREPROCESSOR, wants_normalised
from sewcli.models.source import Source, resolve
from sewcli.models.tensors import Entry, Tensors
from sewcli.models.weights import open_folder
from sewcli.text.tokenizer_files import SYMBOLS
from sewcli.text.tokens import Vocabulary

CONFIG = "config.json"
PROJECTION = ("encoder.projection.weight", "encoder.projection.bias")
NAMED = {"encoder": "an encoder alone", "ctc": "a recogniser", "pretraining": "a pre-trained model"}
HEADS = {"encoder": "Model", "ctc": "ForCTC", "pretraining": "ForPreTraining"}

Kind = Literal["encoder", "ctc", "pretraining"]


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
    from sewcli.models.fairseq import open_fairseq  # which reads files of PyTorch

    source = open_fairseq(path, trust_pickle=trust_pickle, dictionary=dictionary)
    _require(expect, source.kind, NAMED[source.kind], path)
    return source


def read_weights(source: Source, config: ModelConfig, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The weights of a model, by our names.

    Args:
        source: the model.
        config: its architecture, perhaps with other dropouts.
        shapes: of all its parameters and buffers, by our names.

    Raises:
        DataError: missing or extra tensors, shapes that the config does not say, NaN or infinite weights.
    """
    names, tensors = source.names(config, shapes), source.tensors
    mask = names["encoder.mask_vector"]
    if mask not in tensors.entries:  # e.g. facebook/wav2vec2-base-960h; no inference uses it
        log.warn(f"{source.where}: the vector that replaces masked frames is missing; taking a random one")
        vector = np.random.default_rng(0).random(config.width, dtype=np.float32)
        tensors.entries[mask] = Entry(vector.shape, lambda: vector)
    tensors.check({names[name]: shape for name, shape in shapes.items()})
    values = {name: tensors.read(names[name]) for name in shapes}
    tensors.require_finite({names[name]: value for name, value in values.items()})
    return values


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
    names = names_alone if bare else names_in_model
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
    return symbols_of(folder, rows)


def symbols_of(folder: Path, rows: int | None = None) -> Vocabulary:
    """The symbols of a recogniser's folder; that some outputs have none is said.

    Raises:
        DataError: missing, broken, or symbols for less than half of the outputs.
    """
    vocabulary = Vocabulary.load(folder, rows)
    rows = len(vocabulary)
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


def names_in_model(config: ModelConfig, names: Iterable[str]) -> dict[str, str]:
    """Our names -> those in a folder of a model with a head."""
    return hugging_face_names(config.family, names)


def names_alone(config: ModelConfig, names: Iterable[str]) -> dict[str, str]:
    """Our names -> those in a folder of an encoder alone."""
    return encoder_names(config.family, names)
