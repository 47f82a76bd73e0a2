"""What is in a pickle, before anything unpickles it: its opcodes one by one, in bounded time and memory.

PyTorch's own loader (`weights_only`) calls nothing but a short list of functions; this holds what that loader would be asked to
do against a shorter one, and against the file: names, storages, tuples that unfold without end, numbers of opcodes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO, Any

from sewcli.base.errors import DataError, quoted

LARGEST_PICKLE = 1 << 27  # bytes; a pickle holds names and shapes, not values
MOST_OPCODES = 20_000_000
LARGEST_TUPLE, DEEPEST_TUPLE = 10_000, 100  # values that one unfolds to; they are hashed when they are keys
ALL_TUPLES = 20_000_000
HINT = "if you trust where the file comes from, import it with --trust-pickle: that runs the code in it"

CONSTANTS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"}
NAMED = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"}
TAKES = {"APPEND": 1, "SETITEM": 2, "BUILD": 1}  # values that are put into the one below them
TAKES_MANY = {"APPENDS", "SETITEMS"}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
PUT, GET = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
REBUILT = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
MOST_AXES = 16
_MARK, _OBJECT = object(), object()


@dataclass(frozen=True)
class Global:
    """A name that a pickle asks for."""

    name: str


@dataclass(frozen=True, eq=False)
class Group:
    """A tuple: its items, and how much it unfolds to."""

    items: tuple[Any, ...]
    size: int
    depth: int


@dataclass(frozen=True)
class Storage:
    """A run of values in the file."""

    key: str
    values: int


@dataclass
class Scan:
    """One pickle after the other.

    Args:
        path: the file, for errors.
        allowed: whether a name may be asked for.
        storage: what a storage is by its identity; it may refuse it.
    """

    path: Path
    allowed: Callable[[str], bool]
    storage: Callable[[tuple[Any, ...]], Storage]
    names: set[str] = field(default_factory=set)
    """What was asked for."""
    _opcodes: int = 0
    _tuples: int = 0

    def pickle(self, stream: IO[bytes]) -> Any:
        """Read one pickle to its end; its value where that is a constant.

        Raises:
            DataError: it asks for something that is not allowed, or unfolds to too much. Whatever `pickletools` raises of one
                that is not whole.
        """
        stack: list[Any] = []
        memo: dict[int, Any] = {}
        limited: Any = _Limited(stream, self.path)
        for op, argument, _ in pickletools.genops(limited):
            self._opcodes += 1
            if self._opcodes > MOST_OPCODES:
                raise DataError("pickle-absurd", "the list of tensors is absurdly long", where=self.path)
            name = op.name
            if name in PUT:
                memo[int(argument or 0)] = stack[-1]
            elif name in GET:
                stack.append(self._counted(memo[int(argument or 0)]))
            elif name in CONSTANTS:
                stack.append(argument)
            elif name == "STOP":
                return stack.pop()
            elif name != "PROTO":
                self._act(name, argument, stack)
        raise EOFError

    def _act(self, name: str, argument: Any, stack: list[Any]) -> None:
        if name in NAMED:
            stack.append(NAMED[name])
        elif name in EMPTY:
            stack.append(_OBJECT)
        elif name == "MARK":
            stack.append(_MARK)
        elif name in TAKES:
            del stack[-TAKES[name] :]
        elif name in TAKES_MANY:
            _to_mark(stack)
        elif name in TUPLES or name == "TUPLE":
            items = _to_mark(stack) if name == "TUPLE" else _last(stack, TUPLES[name])
            stack.append(self._counted(_group(items)))
        elif name == "GLOBAL":
            stack.append(Global(self._known(argument)))
        elif name in ("REDUCE", "NEWOBJ"):
            function, arguments = _last(stack, 2)
            self._check_call(function, arguments)
            stack.append(_OBJECT)
        elif name == "BINPERSID":
            pid = stack.pop()
            if not isinstance(pid, Group) or not pid.items or _text(pid.items[0]) != "storage":
                raise DataError("not-a-tensor-file", "not a file of tensors", where=self.path)
            stack.append(self.storage(pid.items[1:]))
        else:
            raise DataError(
                "pickle-refused",
                f"refused: a pickle with {name}, which torch.save does not write",
                where=self.path,
                hint=HINT,
            )

    def _known(self, argument: str) -> str:
        module, _, name = argument.partition(" ")
        full = f"{ {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}.get(module, module) }.{name}"
        if not self.allowed(full):
            raise DataError(
                "pickle-refused",
                f"refused: the file is a pickle that asks for {quoted(full)[1:-1]}",
                where=self.path,
                hint=HINT,
            )
        self.names.add(full)
        return full

    def _check_call(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, Global) or not isinstance(arguments, Group):
            raise DataError(
                "pickle-refused", "refused: a pickle that calls what is no name", where=self.path, hint=HINT
            )
        if function.name in REBUILT:
            self._check_tensor(arguments.items)
        if function.name == "_codecs.encode" and arguments.items[1:] not in ((), ("latin1",)):
            raise DataError(
                "pickle-refused", "refused: a pickle that asks for an odd codec", where=self.path, hint=HINT
            )

    def _check_tensor(self, arguments: tuple[Any, ...]) -> None:
        """Held against its storage, so that no shape can ask for more memory than the file holds."""
        storage, offset, shape, strides = arguments[:4]
        if not isinstance(shape, Group) or not isinstance(strides, Group) or not isinstance(storage, Storage):
            raise DataError("pickle-absurd", "a tensor is described in a way that makes no sense", where=self.path)
        sizes, steps = shape.items, strides.items
        whole = all(type(n) is int and 0 <= n < 1 << 48 for n in (offset, *sizes, *steps))
        if not whole or len(sizes) != len(steps) or len(sizes) > MOST_AXES:
            raise DataError("pickle-absurd", "a tensor is described in a way that makes no sense", where=self.path)
        last = sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
        if prod(sizes) > storage.values or (prod(sizes) and offset + last >= storage.values):
            raise DataError(
                "pickle-absurd",
                f"a tensor of shape {quoted(sizes)} does not fit into its {storage.values} values",
                where=self.path,
            )

    def _counted(self, value: Any) -> Any:
        if isinstance(value, Group):
            self._tuples += value.size
            if value.size > LARGEST_TUPLE or value.depth > DEEPEST_TUPLE or self._tuples > ALL_TUPLES:
                raise DataError("pickle-absurd", "nested too deeply, or without end", where=self.path)
        return value


class _Limited:
    """A stream for `genops`, of which only so much may be read."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self.stream, self.path, self.left = stream, path, LARGEST_PICKLE

    def read(self, size: int) -> bytes:
        return self._took(self.stream.read(min(size, self.left + 1)))

    def readline(self) -> bytes:
        return self._took(self.stream.readline(self.left + 1))

    def tell(self) -> int:
        return self.stream.tell()

    def _took(self, content: bytes) -> bytes:
        self.left -= len(content)
        if self.left < 0:
            raise DataError("pickle-absurd", "the list of tensors is absurdly long", where=self.path)
        return content


def storage_of(pid: tuple[Any, ...], widths: Mapping[str, int], path: Path) -> tuple[Storage, int]:
    """A storage by its identity (its class, key, device and number of values), and the bytes of a value.

    Raises:
        DataError: an unknown type, or no number of values.
    """
    kind, key, _device, values = pid[:4]
    name = kind.name.rpartition(".")[2] if isinstance(kind, Global) else ""
    if name not in widths:
        raise DataError("tensor-type-unknown", f"tensors of an unknown type {quoted(name)}", where=path)
    if not isinstance(values, int) or isinstance(values, bool) or not 0 <= values < 1 << 62:
        raise DataError("pickle-absurd", "a storage is described in a way that makes no sense", where=path)
    return Storage(_text(key), values), widths[name]


def _group(items: list[Any]) -> Group:
    inner = [item for item in items if isinstance(item, Group)]
    return Group(
        tuple(items),
        1 + len(items) + sum(group.size for group in inner),
        1 + max((group.depth for group in inner), default=0),
    )


def _to_mark(stack: list[Any]) -> list[Any]:
    place = len(stack) - 1
    while stack[place] is not _MARK:
        place -= 1
        if place < 0:
            raise EOFError
    items = stack[place + 1 :]
    del stack[place:]
    return items


def _last(stack: list[Any], count: int) -> list[Any]:
    if len(stack) < count:
        raise EOFError
    items = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return items


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
