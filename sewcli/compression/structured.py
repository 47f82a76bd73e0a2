"""Cutting heads, feed-forward units and layers out of a recogniser, so that it computes less.

Every layer keeps equally many heads and units, each the ones that matter most to it, because a config has one number for all
layers. A model with fewer units or layers is one that `transformers` loads. With fewer heads it is not: there a head's width
is the model's width by the number of heads; `sew` keeps it in `head_width`. SEW-D's positions go through the same query
and key matrices, so their heads go with the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sewcli.models.ctc import CTCModel
from sewcli.models.sparsity import LAYERS


def strongest(importance: Tensor, number: int) -> list[list[int]]:
    """Of each row of (L, parts) the `number` largest, in the order in which they stand."""
    return [sorted(row.topk(number).indices.tolist()) for row in importance]


def keep_heads(model: CTCModel, kept: Sequence[Sequence[int]]) -> CTCModel:
    """A copy that has only these heads, by layer; equally many in each."""
    config = model.config
    width = config.head_width or config.width // config.heads
    rows = [torch.tensor([width * head + place for head in heads for place in range(width)]) for heads in kept]
    cuts = {f"attention.{name}.{part}": 0 for name in ("query", "key", "value") for part in ("weight", "bias")} | {
        "attention.output.weight": 1
    }
    return _cut(model, {"heads": len(kept[0]), "head_width": width}, rows, cuts)


def keep_units(model: CTCModel, kept: Sequence[Sequence[int]]) -> CTCModel:
    """A copy that has only these feed-forward units, by layer; equally many in each."""
    cuts = {"expand.weight": 0, "expand.bias": 0, "contract.weight": 1}
    return _cut(model, {"feedforward": len(kept[0])}, [torch.tensor(units) for units in kept], cuts)


def _cut(model: CTCModel, changes: dict[str, Any], kept: Sequence[Tensor], axes: dict[str, int]) -> CTCModel:
    """A copy whose named tensors of each layer have only the kept places along an axis."""
    smaller = CTCModel(model.config.model_copy(update=changes), model.head.out_features)
    state = model.state_dict()
    for layer, places in enumerate(kept):
        for part, axis in axes.items():
            name = f"{LAYERS}{layer}.{part}"
            state[name] = state[name].index_select(axis, places.to(state[name].device))
    smaller.load_state_dict(state)
    return smaller.to(model.head.weight.device)
