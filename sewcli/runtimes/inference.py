"""A recogniser as PyTorch computes it fastest on a device: made of the plain model, for inference only."""

from __future__ import annotations

import torch
from torch import nn

from sewcli.models.constants import hold_constants
from sewcli.models.ctc import CTCModel
from sewcli.nn.extractor import WaveExtractor
from sewcli.runtimes.fused_attention import use_kernels
from sewcli.runtimes.onednn import PackedLinear, PackedPosition, can_pack
from sewcli.runtimes.onednn_extractor import PackedExtractor
from sewcli.runtimes.strip_attention import use_strips


def for_inference(model: CTCModel, device: torch.device, dtype: torch.dtype = torch.float32) -> CTCModel:
    """The model on a device, in evaluation mode and in `dtype`: it can no longer be trained or saved.

    On a CPU its weights lie as oneDNN likes them, where that has products of the type, and SEW-D's scores are made by strips;
    on a GPU SEW-D's attention takes the fused kernels. What depends on weights alone is computed once, in fp32.
    """
    model.to(device)
    packs, context = device.type == "cpu" and can_pack(dtype), model.encoder.context
    if packs:
        context.add_module("position", PackedPosition(context.position, dtype))
    hold_constants(model, dtype)
    if device.type == "cpu":
        use_strips(model)
    else:
        use_kernels(model)
    if packs:
        _pack_children(model, dtype)
    return model.to(dtype)


def _pack_children(module: nn.Module, dtype: torch.dtype) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            module.add_module(name, PackedLinear.of(child, dtype))
        elif isinstance(child, WaveExtractor):
            module.add_module(name, PackedExtractor(child, dtype))
        else:
            _pack_children(child, dtype)
