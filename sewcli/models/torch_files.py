"""PyTorch's own files (`.pt`, `.bin`, `.ckpt`) without running what is in them.

They are pickles, and a pickle names the functions that it wants called. `torch.load(weights_only=True)` calls few; `pickles`
holds each file against a shorter list first, because that loader reads sizes on trust. Known classes of configs (argparse,
omegaconf, fairseq) become inert stand-ins and then plain data, tensors become `Entry`s, and any other name is refused. Both
layouts of `torch.save` are read: the zip file, whose tensors stay on disk until they are asked for, and the older one.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.base.regular import require_regular
from sewcli.models.pickles import LARGEST_PICKLE, Group, Scan, Storage, storage_of
from sewcli.models.tensors import Entry

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the older layout
LARGEST_RECORD = 1 << 16  # bytes of what is in a zip file beside the pickle and the tensors
DEEPEST = 100
UNFOLDED = 5_000_000  # values that all lists and mappings of a file may unfold to
DATA_ROOTS = {"argparse", "antlr4", "enum", "fairseq", "hydra", "numpy", "omegaconf", "pathlib", "sew_asapp", "typing"}
"""Packages whose objects are kept as inert data."""
DATA_TYPES = {"bool", "bytes", "complex", "float", "int", "object", "str", "tuple", "type"}
WIDTHS = {  # bytes of a value, by the class of its storage
    "DoubleStorage": 8,
    "LongStorage": 8,
    "FloatStorage": 4,
    "IntStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
}
OF_TORCH = {
    "_codecs.encode",
    "builtins.set",
    "collections.OrderedDict",
    "torch.Size",
    "torch.device",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    *(f"torch.{storage}" for storage in WIDTHS),
    *(str(value) for value in vars(torch).values() if isinstance(value, torch.dtype)),
}
"""Names that `torch.load(weights_only=True)` knows by itself, and may be asked for."""


IN_NUMPY = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)


def read_torch_file(path: Path, *, trust_pickle: bool = False) -> Any:
    """What `torch.save` wrote, with an `Entry` for each tensor and plain data for everything else.

    Args:
        path: the file.
        trust_pickle: unpickle in earnest, which lets the file run any code.

    Raises:
        DataError: not a PyTorch file, not whole, it names something that is not data, or it unfolds without end.
        UsageError: trusted, but it needs a package that is not there.
    """
    try:
        require_regular(path)
        content = torch.load(path, map_location="cpu", weights_only=False) if trust_pickle else _closed(path)
        return plain(content, path)
    except SewError:
        raise
    except OSError as error:
        raise DataError("cannot-read", f"cannot be read ({error.strerror or error})", where=path) from None
    except ImportError as error:
        raise UsageError(
            "package-missing", f"the file needs a package that is not installed ({error})", where=path
        ) from None
    except Exception as error:  # damaged or hostile bytes can raise anything inside an unpickler
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(
            "torch-file-damaged", f"not a whole PyTorch file ({reason})", where=path, hint="copy it again"
        ) from None


def plain(value: Any, where: Path) -> Any:
    """Configs of argparse, omegaconf and fairseq as mappings, lists and scalars; tensors as entries.

    Raises:
        DataError: nested too deeply, within itself, or into too much.
    """
    return _Plain(where).of(value, 0)[0]


def _array(tensor: Tensor) -> np.ndarray:
    """Values in memory; in fp32 where NumPy has no such type."""
    dense = tensor.detach().cpu().contiguous()
    array: np.ndarray = (dense if dense.dtype in IN_NUMPY else dense.float()).numpy()
    return array


class _Plain:
    """Converts each object once, however often it is referred to, and counts what that unfolds to."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self._done: dict[int, tuple[Any, int, Any]] = {}  # by identity: plain, unfolded values, what keeps it alive
        self._open: set[int] = set()

    def of(self, value: Any, depth: int) -> tuple[Any, int]:
        if isinstance(value, Tensor):
            return Entry(tuple(value.shape), lambda: _array(value)), 1
        if value is None or isinstance(value, bool | int | float | str | bytes | Entry):
            return value, 1
        if id(value) in self._done:
            return self._done[id(value)][:2]
        if depth > DEEPEST or id(value) in self._open:
            raise DataError("pickle-absurd", "nested too deeply", where=self.where)
        self._open.add(id(value))
        found, size = self._inside(value, depth)
        self._open.discard(id(value))
        if size > UNFOLDED:
            raise DataError("pickle-absurd", "nested without end", where=self.where)
        self._done[id(value)] = (found, size, value)
        return found, size

    def _inside(self, value: Any, depth: int) -> tuple[Any, int]:
        if isinstance(value, Mapping):
            inner = {_text(key): self.of(each, depth + 1) for key, each in value.items()}
            return {key: found for key, (found, _) in inner.items()}, 1 + sum(size for _, size in inner.values())
        if isinstance(value, list | tuple | set | frozenset):
            items = [self.of(each, depth + 1) for each in value]
            return [found for found, _ in items], 1 + sum(size for _, size in items)
        return self.of(_state_of(value), depth + 1)


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


def _mapping(*_arguments: Any) -> dict[Any, Any]:
    """In place of collections.defaultdict."""
    return {}


def _reconstruct(cls: Any, *_base: Any) -> Any:
    """In place of copyreg._reconstructor."""
    if not (isinstance(cls, type) and issubclass(cls, StandIn)):
        raise ValueError("an object without a known class")
    return cls()


OWN: dict[str, Any] = {
    "collections.defaultdict": _mapping,
    "copyreg._reconstructor": _reconstruct,
    "builtins.frozenset": frozenset,
    "builtins.dict": dict,
    "builtins.list": list,
}


def _allowed(name: str) -> bool:
    root, _, rest = name.partition(".")
    return name in OF_TORCH or name in OWN or root in DATA_ROOTS or (root == "builtins" and rest in DATA_TYPES)


def _closed(path: Path) -> Any:
    """Scanned, and then loaded by PyTorch with the names that the scan has met, and no others."""
    with open(path, "rb") as stream:
        zipped = stream.read(2) == b"PK"
    names = _scan_zip(path) if zipped else _scan_older(path)
    stand_ins: list[Any] = [(OWN.get(name) or type(name, (StandIn,), {}), name) for name in names - OF_TORCH]
    with warnings.catch_warnings(), torch.serialization.safe_globals(stand_ins):
        warnings.simplefilter("ignore")  # of TypedStorage, and of other protocols than torch.save's
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


def _scan_zip(path: Path) -> set[str]:
    archive = zipfile.ZipFile(path)
    sizes = {record.filename: record.file_size for record in archive.infolist()}
    pickles = [name for name in sizes if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise DataError("not-a-torch-file", "a zip file, but not one that torch.save wrote", where=path)
    root = pickles[0].removesuffix("data.pkl")
    if sizes[pickles[0]] > LARGEST_PICKLE:
        raise DataError("pickle-absurd", "the list of tensors is absurdly long", where=path)
    for record in archive.infolist():
        data = record.filename == pickles[0] or record.filename.startswith(f"{root}data/")
        if record.compress_type != zipfile.ZIP_STORED or (not data and record.file_size > LARGEST_RECORD):
            raise DataError(
                "not-a-torch-file", f"{record.filename[:80]} in it is not what torch.save writes", where=path
            )
    if f"{root}byteorder" in sizes and archive.read(f"{root}byteorder") != b"little":
        raise DataError("other-byte-order", "written on a machine of the other byte order", where=path)

    def storage(pid: tuple[Any, ...]) -> Storage:
        found, width = storage_of(pid, WIDTHS, path)
        if sizes.get(f"{root}data/{found.key}") != found.values * width:
            name = f"{root}data/{found.key}"
            raise DataError(
                "torch-file-damaged", f"{name[:80]} does not hold the {found.values} values it should", where=path
            )
        return found

    scan = Scan(path, _allowed, storage)
    with archive.open(pickles[0]) as stream:
        scan.pickle(stream)
    return scan.names


def _scan_older(path: Path) -> set[str]:
    """Three pickles of no interest, the object, the keys of the storages, and these in that order."""
    room = path.stat().st_size
    known: dict[str, tuple[int, int]] = {}

    def storage(pid: tuple[Any, ...]) -> Storage:
        found, width = storage_of(pid, WIDTHS, path)
        if known.setdefault(found.key, (found.values, width)) != (found.values, width):
            raise DataError("torch-file-damaged", "a storage is described twice", where=path)
        if found.values * width > room:
            raise DataError("torch-file-damaged", "not a whole PyTorch file", where=path, hint="copy it again")
        return Storage(found.key, pid[4].items[2]) if len(pid) > 4 and isinstance(pid[4], Group) else found

    scan = Scan(path, _allowed, storage)
    with open(path, "rb") as stream:
        if scan.pickle(stream) != MAGIC or scan.pickle(stream) != PROTOCOL:
            raise DataError("not-a-torch-file", "not a PyTorch file", where=path)
        for _ in range(3):
            scan.pickle(stream)
    return scan.names


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
