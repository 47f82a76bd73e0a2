"""How much the loss would change without a head, a feed-forward unit or a whole layer: first-order estimates.

For a part that a gate of 1 multiplies, closing the gate changes the CTC loss of an utterance by about its derivative with
respect to the gate: the sum over frames of activation times gradient (Molchanov et al. 2017; for heads Michel et al. 2019).
A layer's gate mixes its output with its input, which is what would be left. Absolute values are summed over utterances.
Shapes: B batch, U frames, E width, H heads, D of a head, F feed-forward units, L layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sewcli.compression.calibration import Calibration
from sewcli.data.loading import LabelledBatch, to_device
from sewcli.models.ctc import CTCModel
from sewcli.training.recogniser_task import ctc_loss


@dataclass(frozen=True)
class Importance:
    """Changes of the loss: heads (L, H), units (L, F), layers (L,)."""

    heads: Tensor
    units: Tensor
    layers: Tensor


def importance(model: CTCModel, data: Calibration, blank: int, device: torch.device) -> Importance:
    """Estimate what every part is worth on some audio."""
    model.eval()
    sums: list[Tensor] = []
    for batch in data.batches():
        found = _of_batch(model, batch, blank, device)
        sums = [old + new for old, new in zip(sums, found, strict=True)] if sums else found
    return Importance(*sums)


@dataclass
class _Seen:
    """What went through each layer: into the attention's output matrix, into the contraction, into and out of the layer."""

    mixed: list[Tensor] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)


def _of_batch(model: CTCModel, batch: LabelledBatch, blank: int, device: torch.device) -> list[Tensor]:
    encoder, heads = model.encoder, model.config.heads
    waves, lengths = to_device(batch.waves, device), torch.from_numpy(batch.lengths)
    with torch.no_grad():
        features = encoder.extract(waves, lengths)
    features.requires_grad_()
    with _watched(model) as seen:
        encoded = encoder.contextualise(encoder.feature_norm(features), encoder.frames(lengths), None, None)
    loss = ctc_loss(model.classify(encoded), batch, blank, device)
    gates = [seen.mixed, seen.hidden, seen.outputs]
    number = len(seen.mixed)
    gradients = torch.autograd.grad(loss, [tensor for each in gates for tensor in each])
    changes: list[list[Tensor]] = [[], [], []]
    for layer in range(number):
        of_mixed, of_hidden, of_output = (gradients[layer + kind * number] for kind in range(3))
        by_head = (seen.mixed[layer] * of_mixed).unflatten(2, (heads, -1)).sum(dim=(1, 3))  # (B, H)
        by_unit = (seen.hidden[layer] * of_hidden).sum(dim=1)  # (B, F)
        by_layer = ((seen.outputs[layer] - seen.inputs[layer]) * of_output).sum(dim=(1, 2))  # (B,)
        for kind, change in zip(changes, (by_head, by_unit, by_layer), strict=True):
            kind.append(change.detach().abs().sum(dim=0).cpu())
    return [torch.stack(kind) for kind in changes]


@contextmanager
def _watched(model: CTCModel) -> Iterator[_Seen]:
    seen = _Seen()

    def layer_passed(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        seen.inputs.append(inputs[0])
        seen.outputs.append(output)

    hooks = []
    for layer in model.encoder.context.layers:
        assert isinstance(layer, nn.Module)
        attention, contract = layer.get_submodule("attention.output"), layer.get_submodule("contract")
        hooks += [
            attention.register_forward_pre_hook(lambda _, inputs: seen.mixed.append(inputs[0])),
            contract.register_forward_pre_hook(lambda _, inputs: seen.hidden.append(inputs[0])),
            layer.register_forward_hook(layer_passed),
        ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
