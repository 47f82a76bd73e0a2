"""Models in the forms of other programs, known by their names: what they are, and how they become what `sew` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sewcli.base.errors import UsageError

_SAVED = "save the model with save_pretrained of transformers, and give that folder"
_ANOTHER = "sew reads SEW, SEW-D, wav2vec 2.0 and HuBERT, in folders that transformers wrote and in fairseq's .pt files"
FILES: Mapping[str, tuple[str, str]] = {
    ".nemo": ("a model of NVIDIA NeMo", _ANOTHER),
    ".onnx": ("an ONNX graph", "give the model that it was exported from; sew itself runs graphs of OpenVINO"),
    ".gguf": ("a model of llama.cpp or whisper.cpp", _ANOTHER),
    ".tflite": ("a graph of TensorFlow Lite", "give the model that it was exported from"),
    ".h5": ("weights of TensorFlow", f"load them with from_tf=True in transformers 4, {_SAVED}"),
    ".msgpack": ("weights of Flax", f"load them with from_flax=True in transformers 4, {_SAVED}"),
}
_ADAPTER = "adapter_config.json"


def refuse_foreign_file(path: Path) -> None:
    """Refuse a file whose name says that another program wrote it.

    Raises:
        UsageError: what it is.
    """
    if known := FILES.get(path.suffix.lower()):
        what, hint = known
        raise UsageError("foreign-model-file", f"{what}, which sew does not read", where=path, hint=hint)


def hint_for(folder: Path) -> str | None:
    """What to do with a folder that lacks a model's config or weights, by what else is in it; None if nothing tells."""
    if (folder / _ADAPTER).is_file():
        return "it holds an adapter (PEFT) alone: join it with its base model (merge_and_unload), then save_pretrained"
    names = sorted(path.name for path in folder.iterdir())
    below = [name for name in names if name.startswith("checkpoint-") and (folder / name / "config.json").is_file()]
    if below:
        newest = max(below, key=lambda name: (len(name), name))
        return f"checkpoints of a training are in it: give {folder / newest}"
    if found := next((name for name in names if Path(name).suffix.lower() in FILES), None):
        what, hint = FILES[Path(found).suffix.lower()]
        return f"{found} is {what}: {hint}"
    if found := next((name for name in names if name.endswith(".pt")), None):
        return f"give the file: {folder / found}"
    return None
