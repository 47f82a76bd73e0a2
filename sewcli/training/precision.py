"""The precision of matrix products; norms, softmax and losses stay fp32 in the model, whatever it is."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from sewcli.training.config import LoopConfig


def precision(config: LoopConfig, device: torch.device) -> torch.dtype:
    """The dtype of matrix products; `auto` is bf16 on a GPU that computes in it, fp16 on another GPU, else fp32.

    PyTorch also calls bf16 supported where it is emulated, slowly and not for every convolution (V100, T4).
    """
    if config.precision == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[config.precision]


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[None]:
    """Matrix products in `dtype`."""
    return nullcontext() if dtype is torch.float32 else torch.autocast(device.type, dtype)
