"""What must hold of a folder with a neural language model before `transformers` gets it, and of what it made of it.

`transformers` runs a folder's own Python after a question on stdout, fills in random numbers for missing weights, builds
whatever number of layers is asked for, and takes encoders that look both ways for language models. None of that here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from sewcli.base.errors import DataError, quoted
from sewcli.base.files import read_json, read_object

CONFIG = "config.json"
CONFIGS = (CONFIG, "tokenizer_config.json", "processor_config.json", "generation_config.json")
ADAPTER = "adapter_config.json"
CLOSED: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""For every `from_pretrained`: no network, no code of the folder, and no question about either."""
ATTENTION = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers")
WIDTHS = ("hidden_size", "n_embd", "d_model")
MOST_LAYERS = 1000
LARGEST_SIZE = 1 << 27
LENGTHS = ("position", "n_ctx", "length", "window")
"""Parts of the names of keys that say how long a text may be: any number is right."""
A_BYTE = 64  # values of a matrix that a byte of the file may stand for: 4-bit weights, and layers that share them
HINT = "give a folder of sew lm train, or of a Hugging Face causal language model (model.safetensors)"
PROBE = 8  # tokens


def check_folder(folder: Path) -> None:
    """Refuse, by its side files alone, what would run code, is not causal, or has an absurd size.

    Raises:
        DataError: any of them, by its key.
    """
    for name in CONFIGS:
        if (folder / name).is_file():
            _check_code(read_json(folder / name), name, folder)
    if (folder / ADAPTER).is_file():
        raise DataError(
            "adapter-alone",
            "an adapter of another model",
            where=folder / ADAPTER,
            hint="merge it into its model (peft)",
        )
    config = read_object(folder / CONFIG)
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise DataError(
            "invalid-model-config", f"model_type is {quoted(kind)}, not a name", where=folder / CONFIG, hint=HINT
        )
    names = architectures(config)
    if names and not any(map(is_causal, names)):
        raise not_a_model(f"its architecture is {quoted(names[0])}", folder)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if not weights:
        raise not_a_model("no model.safetensors", folder)
    for section in _sections(config):
        _check_sizes(section, weights, folder / CONFIG)


def check_loaded(loaded: Mapping[str, Any], folder: Path) -> None:
    """Refuse a model whose weights are not those of the folder, one for one.

    Args:
        loaded: what `output_loading_info` gave; weights that are tied to others are not missing there.
        folder: of the model.

    Raises:
        DataError: missing, unexpected or unfit weights.
    """
    faults = {
        "missing weights": "missing_keys",
        "weights too many": "unexpected_keys",
        "weights of another shape": "mismatched_keys",
        "weights that cannot be converted": "error_msgs",
    }
    found = [(what, sorted(map(str, loaded.get(key) or ()))) for what, key in faults.items()]
    if told := "; ".join(f"{what}: {len(names)} ({quoted(names[0])})" for what, names in found if names):
        raise DataError(
            "weights-misfit",
            told,
            where=folder,
            hint="the weights and the config are of two models: copy the model again",
        )


@torch.inference_mode()
def check_causal(model: Any, folder: Path) -> None:
    """Two texts that differ in their last token must have the same probabilities before it.

    Raises:
        DataError: they have not, or are no numbers.
    """
    vocabulary = int(model.config.get_text_config().vocab_size)
    context = getattr(model.config, "max_position_embeddings", None) or PROBE
    ids = torch.arange(min(PROBE, int(context))).remainder(vocabulary).repeat(2, 1).to(model.device)
    ids[1, -1] = (ids[1, -1] + 1) % vocabulary
    logits = model(input_ids=ids, use_cache=False).logits.float()
    if not bool(torch.isfinite(logits).all()):
        raise DataError(
            "nan-weights", "its probabilities are no numbers (NaN)", where=folder, hint="copy or train the model again"
        )
    before = logits[:, :-1]
    if before.numel() and float((before[0] - before[1]).abs().max()) > 1e-4 * max(float(before.abs().max()), 1e-3):
        raise not_a_model("what it expects depends on the words to come", folder)


def not_a_model(reason: str, folder: Path) -> DataError:
    """The error for a folder that is something else."""
    return DataError(
        "not-a-causal-lm", f"not a causal language model with its tokenizer ({reason[:200]})", where=folder, hint=HINT
    )


def architectures(config: Mapping[str, Any]) -> list[str]:
    """Names of the classes that a config asks for."""
    found = config.get("architectures")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def is_causal(architecture: str) -> bool:
    """Whether a class has the name of a causal language model."""
    return "CausalLM" in architecture or "LMHead" in architecture


def _check_code(content: Any, name: str, folder: Path) -> None:
    """`auto_map` names classes in Python files of the folder, or of another one on the Hub; attention may come from there."""
    if not isinstance(content, dict):
        return
    if code := content.get("auto_map"):
        raise DataError(
            "foreign-code",
            f"refused: auto_map in {name} asks to run Python code that comes with the folder ({quoted(code)})",
            where=folder,
            hint="use a model of an architecture that transformers has itself; sew runs no code of a folder",
        )
    for section in _sections(content):
        for key in ATTENTION:
            if not isinstance(section.get(key, ""), str | None) or "/" in (section.get(key) or ""):
                raise DataError(
                    "foreign-code",
                    f"refused: {key} in {name} asks for code from elsewhere ({quoted(section[key])})",
                    where=folder,
                    hint=f"remove {key}",
                )


def _sections(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A config and those within it (text_config)."""
    yield config
    for value in config.values():
        if isinstance(value, dict):
            yield from _sections(value)


def _check_sizes(config: Mapping[str, Any], weights: int, where: Path) -> None:
    for key, value in config.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and not any(part in key for part in LENGTHS) and abs(value) > LARGEST_SIZE:
            raise DataError("invalid-model-config", f"{key} is {quoted(value)}: no model has that", where=where)
    layers = [config[key] for key in LAYERS if config.get(key) is not None]
    for number in layers:
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MOST_LAYERS:
            raise DataError(
                "invalid-model-config", f"{quoted(number)} layers: at most {MOST_LAYERS:,} can be", where=where
            )
    width = max((n for key in WIDTHS if isinstance(n := config.get(key), int)), default=0)
    rows = config.get("vocab_size")
    least = max(width * width * max(layers, default=0), width * rows if isinstance(rows, int) else 0)
    if least > weights * A_BYTE:
        raise DataError(
            "invalid-model-config",
            f"a model of width {width:,} and {max(layers, default=0):,} layers is not in {weights:,} bytes of weights",
            where=where,
            hint="config and weights are of two models: copy the model again",
        )
