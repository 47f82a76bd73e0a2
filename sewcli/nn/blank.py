"""Modules without numbers: shapes and names only, for what reads weights, counts them or shows their sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

DRAWING = {torch.Tensor.normal_, torch.Tensor.uniform_}


class NothingDrawn(TorchFunctionMode):
    """Initialisers leave their tensor as it is.

    On the meta device they would compute nothing anyway, but go through PyTorch's reference functions, whose import takes
    longer than that of all the rest.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in DRAWING or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def without_weights() -> Iterator[None]:
    """Modules made inside have parameters on the meta device: shapes and types, no memory and no values."""
    with torch.device("meta"), NothingDrawn():
        yield
