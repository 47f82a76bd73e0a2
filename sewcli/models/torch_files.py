"""PyTorch's own files (`.pt`, `.bin`) without running what is in them.

They are pickles, and a pickle names the functions that it wants called. Here it gets none: tensors become `Entry`s that
read their bytes later, known classes of configs (argparse, omegaconf, fairseq) become plain data, and any other name is
refused. Both layouts of `torch.save` are read: the zip file, and the older one of PyTorch before 1.6.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.base.regular import require_regular
from sewcli.models.tensors import Entry

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the older layout
LARGEST_PICKLE = 1 << 28  # bytes; the pickle holds names and shapes, not values
DEEPEST = 100
DATA_ROOTS = {"argparse", "antlr4", "enum", "fairseq", "hydra", "numpy", "omegaconf", "pathlib", "sew_asapp", "typing"}
"""Packages whose objects are kept as inert data."""
DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
DATA_TYPES = {"bool", "bytes", "complex", "float", "int", "object", "str", "tuple", "type"}
MEND = "if you trust where the file comes from, import it with --trust-pickle: that runs the code in it"


def read_torch_file(path: Path, *, trust_pickle: bool = False) -> Any:
    """What `torch.save` wrote, with an `Entry` for each tensor and plain data for everything else.

    Args:
        path: the file.
        trust_pickle: unpickle in earnest, which lets the file run any code.

    Raises:
        DataError: not a PyTorch file, not whole, or it names something that is not data.
        UsageError: trusted, but it needs a package that is not there.
    """
    try:
        require_regular(path)
        return plain(_trusted(path) if trust_pickle else _restricted(path), path)
    except SewError:
        raise
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", where=path) from None
    except ImportError as error:
        raise UsageError(f"the file needs a package that is not installed ({error})", where=path) from None
    except Exception as error:  # damaged or hostile bytes can raise anything inside an unpickler
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"not a whole PyTorch file ({reason})", where=path, mend="copy it again") from None


def plain(value: Any, where: Path, depth: int = 0) -> Any:
    """Configs of argparse, omegaconf and fairseq as mappings, lists and scalars; tensors as entries."""
    if depth > DEEPEST:
        raise DataError("nested too deeply", where=where)
    if isinstance(value, Tensor):
        return Entry(tuple(value.shape), lambda: value.detach().cpu())
    if value is None or isinstance(value, bool | int | float | str | bytes | Entry):
        return value
    if isinstance(value, Mapping):
        return {_text(key): plain(each, where, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each, where, depth + 1) for each in value]
    return plain(_state_of(value), where, depth + 1)


def _state_of(value: Any) -> Any:
    """What an object is about: an omegaconf node's content, a namespace's attributes, an enum's only argument."""
    state = value.state if isinstance(value, StandIn) else getattr(value, "__dict__", None)
    if isinstance(state, tuple) and len(state) == 2:  # (attributes, slots)
        state = {**(state[0] or {}), **(state[1] or {})}
    if isinstance(state, dict):
        for inner in ("_content", "_val"):
            if inner in state:
                return state[inner]
    arguments = value.arguments if isinstance(value, StandIn) else ()
    return state or (arguments[0] if len(arguments) == 1 else None)


class StandIn:
    """An object of a class that was not loaded: what it was made from, and its state."""

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any, **_named: Any) -> StandIn:
        """All is done here: a pickle may make an object without its __init__."""
        self = super().__new__(cls)
        self.arguments, self.state = arguments, None
        return self

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        """Nothing more."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, value: Any) -> None:
        """Items of a list's subclass: not needed."""

    def extend(self, values: Any) -> None:
        """Items of a list's subclass: not needed."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Items of a mapping's subclass."""
        if not isinstance(self.state, dict):
            self.state = {}
        self.state[key] = value


@dataclass(frozen=True)
class _Storage:
    """A run of values in the file."""

    dtype: torch.dtype
    values: int
    read: Callable[[], bytes]
    offset: int = 0
    """Values to skip: of a view in the older layout."""


@dataclass
class _Unpickler:
    """What a pickle gets instead of the functions that it names. Bound methods: a pickle cannot alter them."""

    path: Path
    storage: Callable[[tuple[Any, ...]], _Storage]
    classes: dict[str, type] = field(default_factory=dict)

    def load(self, stream: IO[bytes]) -> Any:
        """One object."""
        outer = self

        class Restricted(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                return outer.find(module, name)

            def persistent_load(self, pid: Any) -> Any:
                if not isinstance(pid, tuple) or not pid or _text(pid[0]) != "storage":
                    raise DataError("not a file of tensors", where=outer.path)
                return outer.storage(pid[1:])

        return Restricted(stream, encoding="utf-8").load()

    def find(self, module: str, name: str) -> Any:
        known: dict[str, Any] = {
            "collections.OrderedDict": OrderedDict,
            "collections.defaultdict": self.mapping,
            "builtins.set": set,
            "builtins.frozenset": frozenset,
            "builtins.dict": dict,
            "builtins.list": list,
            "_codecs.encode": self.encode,
            "copyreg._reconstructor": self.reconstruct,
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_parameter": self.parameter,
            "torch._utils._rebuild_parameter_with_state": self.parameter,
            "torch.Size": self.size,
        }
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        full = f"{module}.{name}"
        if full in known:
            return known[full]
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return self.stand_in(full)
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if module.partition(".")[0] in DATA_ROOTS or (module == "builtins" and name in DATA_TYPES):
            return self.stand_in(full)
        if full == "torch.device":
            return self.stand_in(full)
        raise DataError(f"refused: the file is a pickle that asks for {full}", where=self.path, mend=MEND)

    def stand_in(self, full: str) -> type:
        return self.classes.setdefault(full, type(full, (StandIn,), {"full_name": full}))

    def mapping(self, *_arguments: Any) -> dict[Any, Any]:
        return {}

    def encode(self, text: str, *_encoding: Any) -> bytes:
        return str(text).encode("latin1")

    def reconstruct(self, cls: Any, *_base: Any) -> Any:
        if not (isinstance(cls, type) and issubclass(cls, StandIn)):
            raise DataError("refused: an object without a known class", where=self.path, mend=MEND)
        return cls()

    def size(self, values: Any = ()) -> tuple[Any, ...]:
        return tuple(values)

    def parameter(self, entry: Any, *_flags: Any) -> Any:
        return entry

    def tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, *_flags: Any) -> Entry:
        """Held against its storage, so that no shape can ask for more memory than the file holds."""
        whole = all(isinstance(n, int) and 0 <= n < 1 << 48 for n in (offset, *shape, *strides))
        if not isinstance(storage, _Storage) or not whole or len(shape) != len(strides) or len(shape) > 16:
            raise DataError("a tensor is described in a way that makes no sense", where=self.path)
        shape, strides = tuple(shape), tuple(strides)
        last = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if prod(shape) > storage.values or (prod(shape) and offset + last >= storage.values):
            raise DataError(f"a tensor of shape {shape} does not fit into its {storage.values} values", where=self.path)

        def read() -> Tensor:
            content = bytearray(storage.read())
            if not content:
                return torch.empty(shape, dtype=storage.dtype)
            flat = torch.frombuffer(content, dtype=storage.dtype)
            return flat.as_strided(shape, strides, storage.offset + offset).clone(memory_format=torch.contiguous_format)

        return Entry(shape, read)


def _restricted(path: Path) -> Any:
    with open(path, "rb") as stream:
        start = stream.read(4)
    return _zip_layout(path) if start[:2] == b"PK" else _older_layout(path)


def _trusted(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=False)


def _zip_layout(path: Path) -> Any:
    archive = zipfile.ZipFile(path)
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise DataError("a zip file, but not one that torch.save wrote", where=path)
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
        raise DataError("written on a machine of the other byte order", where=path)

    def storage(pid: tuple[Any, ...]) -> _Storage:
        kind, key, _device, values = pid
        dtype, name = _dtype(kind, path), f"{root}data/{_text(key)}"
        record = archive.getinfo(name)
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != values * dtype.itemsize:
            raise DataError(f"{name} does not hold the {values} values it should", where=path)
        return _Storage(dtype, values, lambda: _read_record(archive, name, path))

    record = archive.getinfo(pickles[0])
    if record.file_size > LARGEST_PICKLE:
        raise DataError("the list of tensors is absurdly long", where=path)
    with archive.open(record) as stream:
        return _Unpickler(path, storage).load(stream)


def _read_record(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        return archive.read(name)
    except Exception as error:  # damaged bytes can raise anything inside zipfile
        raise DataError(f"not a whole PyTorch file ({error})", where=path, mend="copy it again") from None


def _older_layout(path: Path) -> Any:
    """Three pickles of no interest, the object, the keys of the storages, and these in that order."""
    places: dict[str, tuple[int, int]] = {}  # key -> bytes from the start, values
    wanted: dict[str, tuple[torch.dtype, int]] = {}

    def storage(pid: tuple[Any, ...]) -> _Storage:
        kind, key, _device, values, view = (*pid, None)[:5]
        key, dtype = _text(key), _dtype(kind, path)
        if wanted.setdefault(key, (dtype, values)) != (dtype, values) or not isinstance(values, int):
            raise DataError("a storage is described twice", where=path)

        def read() -> bytes:
            start, size = places[key]
            with open(path, "rb") as file:
                file.seek(start)
                return file.read(size * dtype.itemsize)

        if view is None:
            return _Storage(dtype, values, read)
        _key, offset, length = view
        if not 0 <= offset <= offset + length <= values:
            raise DataError("a view lies outside its storage", where=path)
        return _Storage(dtype, length, read, offset)

    with open(path, "rb") as stream:
        unpickler = _Unpickler(path, storage)
        if unpickler.load(stream) != MAGIC or unpickler.load(stream) != PROTOCOL:
            raise DataError("not a PyTorch file", where=path)
        if not unpickler.load(stream).get("little_endian", True):
            raise DataError("written on a machine of the other byte order", where=path)
        content, keys = unpickler.load(stream), [_text(key) for key in unpickler.load(stream)]
        end = path.stat().st_size
        for key in keys:
            (values,) = struct.unpack("<q", stream.read(8))
            dtype, expected = wanted[key]
            places[key] = (stream.tell(), values)
            if values != expected or stream.tell() + values * dtype.itemsize > end:
                raise DataError("not a whole PyTorch file", where=path, mend="copy it again")
            stream.seek(values * dtype.itemsize, 1)
    if wanted.keys() - places.keys():
        raise DataError("not a whole PyTorch file", where=path, mend="copy it again")
    return content


def _dtype(kind: Any, path: Path) -> torch.dtype:
    """Of a storage class, e.g. torch.HalfStorage."""
    name = str(getattr(kind, "full_name", "")).rpartition(".")[2]
    dtype = DTYPES.get(name)
    if dtype is None:
        raise DataError(f"tensors of an unknown type {name!r}", where=path)
    return dtype


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
