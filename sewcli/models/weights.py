"""The weights of a Hugging Face folder: safetensors and PyTorch files, whole or in shards with an index."""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json, refuse_pointer
from sewcli.models.foreign import hint_for
from sewcli.models.names import current_name
from sewcli.models.tensors import Entry, Tensors

WEIGHTS = "model.safetensors"
FILES = (WEIGHTS, f"{WEIGHTS}.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""Where the weights of a Hugging Face folder may be, in the order in which they are looked for."""
NUMBERS = {
    "BOOL": "?",
    "U8": "u1",
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
}
"""Types of safetensors that weights may have, as NumPy reads them."""
WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What DistributedDataParallel, torch.compile and trainers put before every name."""


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
    from sewcli.models.torch_files import read_torch_file  # PyTorch's own files need PyTorch

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
    try:
        with safe_open(path, framework="np"):  # which refuses what is not whole
            pass
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(
            "safetensors-damaged", f"not a whole safetensors file ({error})", where=path, hint="copy the model again"
        ) from None
    start = 8 + int.from_bytes(content[:8], "little")
    entries = {}
    for name, facts in json.loads(content[8:start]).items():
        if name != "__metadata__":
            if facts["dtype"] not in NUMBERS:
                what = f"{name} has numbers of a type that is not read here ({facts['dtype']})"
                raise DataError("tensor-type-unknown", what, where=path, hint="save the model in float32")
            shape, kind, place = tuple(facts["shape"]), facts["dtype"], start + facts["data_offsets"][0]
            entries[name] = Entry(shape, partial(_values, content, shape, kind, place))
    return entries


def _values(content: mmap.mmap, shape: tuple[int, ...], kind: str, place: int) -> np.ndarray:
    """A tensor as it lies in the file, which is read when its values are looked at; bf16 as fp32."""
    values = np.ndarray(shape, NUMBERS[kind], content, place)
    if kind == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values if values.flags.aligned else values.copy()


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
