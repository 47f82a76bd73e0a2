"""Weights on disk, unread: names and shapes first, values only when asked for and only once they are known to fit.

Reads safetensors and PyTorch files, whole or in shards with an index, as `transformers` writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json, refuse_pointer
from sewcli.models.foreign import hint_for
from sewcli.models.names import current_name

WEIGHTS = "model.safetensors"
FILES = (WEIGHTS, f"{WEIGHTS}.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""Where the weights of a Hugging Face folder may be, in the order in which they are looked for."""


WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What DistributedDataParallel, torch.compile and trainers put before every name."""


@dataclass(frozen=True)
class Entry:
    """A tensor on disk: its shape, and how to read it."""

    shape: tuple[int, ...]
    read: Callable[[], Tensor]


class Tensors:
    """Named tensors of one model, of one or several files.

    Args:
        where: the file to name in errors.
        entries: by name.
    """

    def __init__(self, where: Path, entries: Mapping[str, Entry]) -> None:
        self.where, self.entries = where, dict(entries)

    def check(self, expected: Mapping[str, Iterable[int]]) -> None:
        """Refuse missing tensors, extra tensors and other shapes.

        Raises:
            DataError: the first of them, and how many there are.
        """
        missing = sorted(expected.keys() - self.entries.keys())
        extra = sorted(self.entries.keys() - expected.keys())
        if missing or extra:
            found = [
                f"{what}: {len(names)} ({names[0]}{', ...' if len(names) > 1 else ''})"
                for what, names in (("missing tensors", missing), ("tensors too many", extra))
                if names
            ]
            raise DataError(
                "weights-misfit",
                "; ".join(found),
                where=self.where,
                hint="the weights and the config are of two models",
            )
        for name, shape in expected.items():
            own = self.entries[name].shape
            if own != tuple(shape):
                raise DataError(
                    "tensor-shape", f"{name} has shape {own}, the config says {tuple(shape)}", where=self.where
                )

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor that must be there.

        Raises:
            DataError: it is missing.
        """
        if name not in self.entries:
            raise DataError("tensor-missing", f"missing tensor {name}", where=self.where)
        return self.entries[name].shape

    def first_axis(self, name: str) -> int:
        """Rows of a tensor that must be there and have some.

        Raises:
            DataError: it is missing, or a single number.
        """
        shape = self.shape(name)
        if not shape or not shape[0]:
            raise DataError("tensor-shape", f"{name} has shape {shape}, where rows are due", where=self.where)
        return shape[0]

    def read(self, name: str) -> Tensor:
        """Values of a tensor."""
        return self.entries[name].read()

    def require_finite(self, values: Mapping[str, Tensor]) -> None:
        """Refuse values that are NaN or infinite: a model of such ones is handed on by everything that only copies it.

        Raises:
            DataError: the first tensor that holds one.
        """
        for name, tensor in values.items():
            if not torch.isfinite(tensor).all():
                what = f"{name} holds weights that are NaN or infinite"
                raise DataError(
                    "nan-weights", what, where=self.where, hint="take an earlier checkpoint, or copy the model again"
                )

    def are_identity(self, weight: str, bias: str) -> bool:
        """Whether a linear layer is absent or changes nothing."""
        if weight not in self.entries or bias not in self.entries:
            return True
        values = self.read(weight)
        return bool(torch.equal(values, torch.eye(len(values), dtype=values.dtype)) and not self.read(bias).any())

    def drop(self, names: Iterable[str]) -> None:
        """Forget tensors."""
        for name in names:
            self.entries.pop(name, None)


def open_folder(folder: Path, *, trust_pickle: bool = False) -> Tensors:
    """The weights of a Hugging Face folder, by the names that transformers 5 uses.

    Raises:
        UsageError: a graph in place of weights.
        DataError: no weights, or a file that is broken or not safe to read.
    """
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None and (folder / "model.xml").is_file():
        raise UsageError(
            "graph-without-weights",
            "a graph, without the weights that it was made of",
            where=folder,
            hint="graphs are for `sew decode` and `sew transcribe`; everything else works with the model before its export",
        )
    if path is None:
        hint = hint_for(folder) or f"the folder needs one of {', '.join(FILES)}"
        raise DataError("file-not-found", "no such file", where=folder / WEIGHTS, hint=hint)
    entries = _sharded(path, trust_pickle) if path.suffix == ".json" else _open(path, trust_pickle)
    return Tensors(path, {current_name(name): entry for name, entry in _unwrapped(entries, path).items()})


def _unwrapped(entries: Mapping[str, Entry], path: Path) -> Mapping[str, Entry]:
    """By the names without what wrappers (data parallelism, compilation) put before all of them."""
    while entries and (wrapper := next((w for w in WRAPPERS if all(n.startswith(w) for n in entries)), None)):
        log.info(f"{path}: all tensors' names begin with {wrapper!r}, which is left out")
        entries = {name.removeprefix(wrapper): entry for name, entry in entries.items()}
    return entries


def _open(path: Path, trust_pickle: bool) -> dict[str, Entry]:
    refuse_pointer(path)
    if path.suffix == ".safetensors":
        return _open_safetensors(path)
    from sewcli.models.torch_files import read_torch_file

    content = read_torch_file(path, trust_pickle=trust_pickle)
    if not isinstance(content, dict) or not all(isinstance(entry, Entry) for entry in content.values()):
        inner = [
            key for key in ("state_dict", "model") if isinstance(content, dict) and isinstance(content.get(key), dict)
        ]
        if inner:
            raise DataError(
                "training-checkpoint",
                f"a checkpoint of a training, with its weights under {inner[0]!r}, in place of the weights alone",
                where=path,
                hint="save the model with save_pretrained of transformers",
            )
        raise DataError("not-a-tensor-file", "not a file of named tensors", where=path)
    return content


def _open_safetensors(path: Path) -> dict[str, Entry]:
    file: Any
    try:
        file = safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(
            "safetensors-damaged", f"not a whole safetensors file ({error})", where=path, hint="copy the model again"
        ) from None
    return {
        name: Entry(tuple(file.get_slice(name).get_shape()), lambda name=name: file.get_tensor(name))  # type: ignore[misc]
        for name in file.keys()  # noqa: SIM118
    }


def _sharded(index: Path, trust_pickle: bool) -> dict[str, Entry]:
    content = read_json(index)
    files = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not files:
        raise DataError("invalid-shard-index", "not an index: no weight_map", where=index)
    kind = Path(index.stem).with_suffix("").suffix  # of model.safetensors.index.json
    for file in files.values():
        if not isinstance(file, str) or Path(file).name != file or Path(file).suffix != kind:
            raise DataError(
                "invalid-shard-index", f"a shard must be a {kind} file beside the index, not {file!r}", where=index
            )
    shards = {}
    for file in sorted(set(files.values())):
        if not (index.parent / file).is_file():
            raise DataError(
                "file-not-found", "no such file", where=index.parent / file, hint=f"a shard that {index.name} names"
            )
        shards[file] = _open(index.parent / file, trust_pickle)
    for name, file in files.items():
        if name not in shards[file]:
            raise DataError("tensor-missing", f"missing tensor {name}", where=index.parent / file)
    return {name: shards[file][name] for name, file in files.items()}
