"""Triton's kernels on the CPU: its interpreter runs them line by line, on numpy."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GPU = Path("/dev/nvidiactl").exists()
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Triton is made for Linux, where PyTorch brings it")


def choose() -> None:
    """Interpret wherever there is no GPU; Triton looks at this when it is first imported."""
    if not GPU:
        os.environ.setdefault("TRITON_INTERPRET", "1")


def patch() -> None:
    """What Triton 3.6's interpreter lacks: the end of a loop from an array of one element (numpy 2.4), dots of bf16."""
    import triton.language as tl
    from triton.runtime import interpreter

    if getattr(interpreter, "patched", False):
        return
    patch, dot = interpreter._patch_lang_tensor, interpreter.InterpreterBuilder.create_dot

    def patch_with_index(tensor: Any, scope: Any) -> None:
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    def widened(x: Any) -> Any:
        if x.dtype.scalar != tl.bfloat16:
            return x
        return interpreter.TensorHandle((x.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    def dot_of_bf16(self: Any, a: Any, b: Any, *others: Any) -> Any:
        return dot(self, widened(a), widened(b), *others)

    interpreter._patch_lang_tensor, interpreter.patched = patch_with_index, True
    interpreter.InterpreterBuilder.create_dot = dot_of_bf16
