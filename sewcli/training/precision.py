"""The precision of matrix products; norms, softmax and losses stay fp32 in the model, whatever it is."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from sewcli.training.config import LoopConfig


def precision(config: LoopConfig, device: torch.device) -> torch.dtype:
    """The dtype of matrix products."""
    if config.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[config.precision]


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[None]:
    """Matrix products in `dtype`."""
    return nullcontext() if dtype is torch.float32 else torch.autocast(device.type, dtype)
