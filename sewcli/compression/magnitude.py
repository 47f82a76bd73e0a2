"""Magnitude pruning: the smallest weights of the transformer layers' matrices become zero (Han et al. 2015).

Which are the smallest is asked of all matrices together (global), of each layer alone (layer), or of each layer with a share
of its own such that all layers are hurt alike (sensitivity; see `sensitivity.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from sewcli.models.ctc import CTCModel
from sewcli.models.sparsity import layer_of, prunable

Scope = Literal["global", "layer", "sensitivity"]


def prune_globally(model: CTCModel, share: float) -> None:
    """Put zeros in place of the smallest `share` of all prunable weights."""
    zero_smallest(list(prunable(model).values()), share)


def prune_layers(model: CTCModel, shares: Mapping[int, float]) -> None:
    """Put zeros in place of the smallest weights of each layer, its own share of them."""
    for layer, share in shares.items():
        zero_smallest(matrices_of(model, layer), share)


def matrices_of(model: CTCModel, layer: int) -> list[Tensor]:
    """The prunable matrices of one layer."""
    return [matrix for name, matrix in prunable(model).items() if layer_of(name) == layer]


@torch.no_grad()
def zero_smallest(matrices: Sequence[Tensor], share: float) -> None:
    """Put zeros in place of the smallest `share` of all weights together, in place."""
    sizes = torch.cat([matrix.abs().flatten() for matrix in matrices])
    number = round(share * sizes.numel())
    if number == 0:
        return
    threshold = sizes.kthvalue(number).values
    for matrix in matrices:
        matrix.masked_fill_(matrix.abs() <= threshold, 0.0)
