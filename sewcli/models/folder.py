"""Model folders: what `sew` writes is a Hugging Face folder, and the reverse.

`config.json`, `model.safetensors` with the names of `transformers`, and for a recogniser `vocab.json`,
`preprocessor_config.json` and `tokenizer_config.json`. Nothing is unpickled, and nothing large is allocated before the
file's own list of shapes has been held against the config's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sewcli.base.config import build, merge
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import atomic_folder, read_json, write_json
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.hugging_face import from_hugging_face, to_hugging_face
from sewcli.models.names import current_name, hugging_face_names
from sewcli.models.pretraining import PretrainingModel
from sewcli.text.tokens import Vocabulary

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SAMPLE_RATE = 16_000

M = TypeVar("M", CTCModel, PretrainingModel)


def save_ctc(model: CTCModel, vocabulary: Vocabulary, folder: str | Path) -> None:
    """Write a recogniser; `transformers` reads it with `AutoModelForCTC` and `AutoProcessor`."""
    with atomic_folder(folder) as temporary:
        write_json(temporary / CONFIG, to_hugging_face(model.config, "ForCTC", len(vocabulary)))
        vocabulary.save(temporary)
        write_json(temporary / "preprocessor_config.json", _preprocessor(model.config))
        write_json(temporary / "tokenizer_config.json", _tokenizer(vocabulary))
        _save_tensors(model, temporary / WEIGHTS)


def save_pretraining(model: PretrainingModel, folder: str | Path) -> None:
    """Write a pre-trained model with its quantizer and heads."""
    with atomic_folder(folder) as temporary:
        write_json(temporary / CONFIG, to_hugging_face(model.config, "ForPreTraining", None))
        write_json(temporary / "preprocessor_config.json", _preprocessor(model.config))
        _save_tensors(model, temporary / WEIGHTS)


def load_ctc(folder: str | Path, *, overrides: Mapping[str, Any] | None = None) -> tuple[CTCModel, Vocabulary]:
    """Read a recogniser; `overrides` change fields of its config, e.g. its dropouts.

    Raises:
        UsageError: no such folder, or not a recogniser.
        DataError: a file is missing, broken, or does not fit the others.
    """
    architecture = read_architecture(folder)
    if not architecture.endswith("ForCTC"):
        raise UsageError(f"not a recogniser but {architecture}", where=folder, mend="`sew finetune --model` makes one")
    vocabulary = Vocabulary.load(folder)
    return _load(folder, overrides, lambda config: CTCModel(config, len(vocabulary))), vocabulary


def load_pretraining(folder: str | Path, *, overrides: Mapping[str, Any] | None = None) -> PretrainingModel:
    """Read a pre-trained model.

    Raises:
        UsageError: no such folder, or not a pre-trained model.
        DataError: a file is missing, broken, or does not fit the others.
    """
    architecture = read_architecture(folder)
    if not architecture.endswith("ForPreTraining"):
        raise UsageError(f"not a pre-trained model but {architecture}", where=folder, mend="`sew pretrain` makes one")
    return _load(folder, overrides, PretrainingModel)


def read_config(folder: str | Path) -> ModelConfig:
    """The config of a model folder.

    Raises:
        UsageError: no such folder.
        DataError: `config.json` is missing, broken, or of another kind of model.
    """
    return from_hugging_face(_read_config_file(folder), Path(folder) / CONFIG)


def read_architecture(folder: str | Path) -> str:
    """The class that a model folder names, e.g. SEWDForCTC.

    Raises:
        UsageError: no such folder.
        DataError: `config.json` is missing or broken.
    """
    named = _read_config_file(folder).get("architectures")
    if not isinstance(named, list) or not named:
        raise DataError("no architecture is named", where=Path(folder) / CONFIG)
    return str(named[0])


def _read_config_file(folder: str | Path) -> dict[str, Any]:
    if not Path(folder).is_dir():
        raise UsageError(
            "no such model folder", where=folder, mend="a folder that `sew pretrain` or `sew finetune` wrote"
        )
    content = read_json(Path(folder) / CONFIG)
    if not isinstance(content, dict):
        raise DataError("not a mapping", where=Path(folder) / CONFIG)
    return content


def _save_tensors(model: CTCModel | PretrainingModel, path: Path) -> None:
    state = model.state_dict()
    names = hugging_face_names(model.config.family, state)
    tensors = {names[name]: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    if model.config.family == "wav2vec2" and not model.config.projects:  # transformers has a projection in any case
        width = model.config.width
        tensors |= dict(zip(_projection_names(), (torch.eye(width), torch.zeros(width)), strict=True))
    save_file(tensors, path, metadata={"format": "pt"})


def _load(folder: str | Path, overrides: Mapping[str, Any] | None, make: Callable[[ModelConfig], M]) -> M:
    path = Path(folder) / WEIGHTS
    config = read_config(folder)
    tensors = _Tensors(path)
    if config.family == "wav2vec2" and not config.projects:
        if tensors.are_identity(*_projection_names()):
            tensors.drop(_projection_names())
        else:
            config = config.model_copy(update={"always_project": True})
    if overrides:
        config = build(ModelConfig, merge(config.model_dump(), overrides))
    with torch.device("meta"):
        model = make(config)
    expected = model.state_dict()
    names = hugging_face_names(config.family, expected)
    tensors.check({names[name]: tensor.shape for name, tensor in expected.items()})
    state = {name: tensors.read(names[name]).to(tensor.dtype) for name, tensor in expected.items()}
    model.load_state_dict(state, assign=True)
    return model


def _projection_names() -> list[str]:
    names = hugging_face_names("wav2vec2", ["encoder.projection.weight", "encoder.projection.bias"])
    return list(names.values())


class _Tensors:
    """A safetensors file: its names and shapes first, its values only when asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise DataError(
                "no such file",
                where=path,
                mend="older folders hold pytorch_model.bin: load and save them once with transformers to convert",
            )
        self.file: Any
        try:
            self.file = safe_open(path, framework="pt")
        except (SafetensorError, OSError, ValueError) as error:
            raise DataError(
                f"not a whole safetensors file ({error})", where=path, mend="copy the model again"
            ) from None
        self.stored = {current_name(name): name for name in self.file.keys()}  # noqa: SIM118

    def check(self, expected: Mapping[str, torch.Size]) -> None:
        """Refuse missing tensors, extra tensors and other shapes."""
        missing = sorted(expected.keys() - self.stored.keys())
        extra = sorted(self.stored.keys() - expected.keys())
        if missing or extra:
            found = [
                f"{what}: {len(names)} ({names[0]}{', ...' if len(names) > 1 else ''})"
                for what, names in (("missing tensors", missing), ("tensors too many", extra))
                if names
            ]
            raise DataError("; ".join(found), where=self.path, mend="the weights and config.json are of two models")
        for name, shape in expected.items():
            own = tuple(self.file.get_slice(self.stored[name]).get_shape())
            if own != tuple(shape):
                raise DataError(f"{name} has shape {own}, the config says {tuple(shape)}", where=self.path)

    def read(self, name: str) -> Tensor:
        """One tensor."""
        tensor: Tensor = self.file.get_tensor(self.stored[name])
        return tensor

    def are_identity(self, weight: str, bias: str) -> bool:
        """Whether a linear layer is absent or changes nothing."""
        if weight not in self.stored or bias not in self.stored:
            return True
        values = self.read(weight)
        return bool(torch.equal(values, torch.eye(len(values), dtype=values.dtype)) and not self.read(bias).any())

    def drop(self, names: list[str]) -> None:
        """Forget tensors."""
        for name in names:
            self.stored.pop(name, None)


def _preprocessor(config: ModelConfig) -> dict[str, Any]:
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": SAMPLE_RATE,
        "padding_side": "right",
        "padding_value": 0.0,
        "do_normalize": False,  # trained on raw samples, as the papers' models were
        "return_attention_mask": config.extractor_norm == "layer",
    }


def _tokenizer(vocabulary: Vocabulary) -> dict[str, Any]:
    special = {"pad_token": vocabulary.tokens[0], "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        **{name: token for name, token in special.items() if token in vocabulary.tokens},
        "word_delimiter_token": "|",
        "do_lower_case": False,
        "replace_word_delimiter_char": " ",
    }


def count(model: nn.Module) -> int:
    """Parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
