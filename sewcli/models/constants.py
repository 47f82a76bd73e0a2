"""What depends on weights alone, computed once: for a model whose weights no longer change."""

from __future__ import annotations

import torch
from torch import Tensor

from sewcli.models.ctc import CTCModel
from sewcli.nn.disentangled import DisentangledAttention
from sewcli.nn.squeeze import PositionConvolution


def hold_constants(model: CTCModel, dtype: torch.dtype = torch.float32) -> CTCModel:
    """The model in evaluation mode, for inference only: the normed convolution and SEW-D's projected positions are held.

    Args:
        model: on its device, in the precision of its weights.
        dtype: of what is held.
    """
    model.eval().requires_grad_(False)
    context = model.encoder.context
    for module in context.modules():
        if isinstance(module, PositionConvolution):
            _hold_weight(module, dtype)
        elif isinstance(module, DisentangledAttention):
            _hold_positions(module, context.norm(context.positions.weight), dtype)
    return model


def _hold_weight(convolution: PositionConvolution, dtype: torch.dtype) -> None:
    weight = convolution.normed_weight().to(dtype)
    vars(convolution)["normed_weight"] = lambda: weight


def _hold_positions(attention: DisentangledAttention, positions: Tensor, dtype: torch.dtype) -> None:
    query, key = (rows.to(dtype) for rows in attention.project_positions(positions, 0, len(positions)))

    def project_positions(_: Tensor, low: int, high: int) -> tuple[Tensor, Tensor]:
        return query[:, low:high], key[:, low:high]

    vars(attention)["project_positions"] = project_positions
