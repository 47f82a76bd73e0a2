"""Which form SEW-D's attention takes in a run: the fused kernels for GPUs, or the plain path."""

from __future__ import annotations

import torch

from sewcli.base.errors import UsageError
from sewcli.nn.disentangled import DisentangledAttention
from sewcli.runtimes import fused_attention as fused
from sewcli.training.config import RunConfig
from sewcli.training.precision import precision


def choose_attention(model: torch.nn.Module, config: RunConfig, device: torch.device) -> None:
    """Hand `attention` of the config to the layers. With `auto` they check the kernels themselves when they first run.

    Raises:
        UsageError: `fused` where no kernel serves.
    """
    layers = [module for module in model.modules() if isinstance(module, DisentangledAttention)]
    if config.attention == "fused":
        _require_kernels(layers, config, device)
    fused.use_kernels(model, config.attention)


def _require_kernels(layers: list[DisentangledAttention], config: RunConfig, device: torch.device) -> None:
    if not layers:
        raise UsageError(
            "no-fused-attention",
            f"attention = fused: {config.model} has no attention with relative positions (SEW-D alone has it)",
            hint="--set attention=auto",
        )
    dtype = precision(config, device)
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    width = layers[0].head_width
    if not fused.serves(device.type, dtype, width, capability, fused.has_triton()):
        raise UsageError(
            "no-fused-attention",
            f"attention = fused: no kernel for {dtype} and heads of {width} on {device}",
            hint="--set attention=auto; the kernels are for bf16 and fp16 on an A100 or newer, and need Triton",
        )
