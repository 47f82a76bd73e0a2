"""How much each layer suffers from zeros, and shares that hurt all layers alike.

A layer's curve: with a share of its smallest weights at zero and all other layers whole, how far the model's tokens are from
the whole model's (divergence, nats a frame). Shares for a sparsity of the whole model are read off all curves at one height.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from sewcli.base import log
from sewcli.base.errors import UsageError
from sewcli.compression.losses import token_divergence
from sewcli.compression.magnitude import matrices_of, zero_smallest
from sewcli.data.utterances import Utterance
from sewcli.decoding.emissions import emissions
from sewcli.models.ctc import CTCModel
from sewcli.models.sparsity import layer_of, prunable
from sewcli.runtimes.torch_runtime import TorchModel

SHARES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
STEPS = 60  # bisections of the height

Curves = dict[int, list[float]]
"""By layer, the divergence at each of `SHARES`."""


def measure(model: CTCModel, utterances: Sequence[Utterance], device: torch.device) -> Curves:
    """Curves of all layers of a model in evaluation mode, which is left as it was."""
    whole = {u.id: torch.from_numpy(e) for u, e in emissions(TorchModel(model, device), utterances)}
    layers = sorted({layer_of(name) for name in prunable(model)})
    curves: Curves = {layer: [] for layer in layers}
    with log.progress("sensitivity (layers x shares)", len(layers) * len(SHARES)) as bar:
        for layer in layers:
            matrices = matrices_of(model, layer)
            before = [matrix.detach().clone() for matrix in matrices]
            for share in SHARES:
                zero_smallest(matrices, share)
                curves[layer].append(_divergence(model, utterances, whole, device))
                with torch.no_grad():
                    for matrix, old in zip(matrices, before, strict=True):
                        matrix.copy_(old)
                bar.advance(note=f"layer {layer + 1}, {100 * share:.0f} % zeros: {curves[layer][-1]:.4f} nats a frame")
    return curves


def equal_damage(curves: Mapping[int, Sequence[float]], sizes: Mapping[int, int], share: float) -> dict[int, float]:
    """Shares by layer whose mean, weighted by the layers' sizes, is `share`, and whose divergences are alike.

    Raises:
        UsageError: more than the curves reach.
    """
    require_reach(share)
    # a curve never falls: what fewer zeros do, more do as well
    rising = {layer: np.maximum.accumulate([0.0, *curve]) for layer, curve in curves.items()}
    low, high = 0.0, max(float(curve[-1]) for curve in rising.values())
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean(_at(rising, middle), sizes) < share else (low, middle)
    return _at(rising, high)


def require_reach(share: float) -> None:
    """Refuse a share of zeros of the whole model that is beyond what is measured.

    Raises:
        UsageError: it is.
    """
    if share > SHARES[-1]:
        raise UsageError(
            "prune-too-much", f"--magnitude {share:g} by sensitivity", hint=f"at most {SHARES[-1]}, or --scope global"
        )


def _at(rising: Mapping[int, np.ndarray], height: float) -> dict[int, float]:
    """The largest share of each layer at which its curve is not above a height, straight between what was measured."""
    grid = (0.0, *SHARES)
    shares = {}
    for layer, curve in rising.items():
        above = int(np.searchsorted(curve, height, side="right"))  # the first that is higher
        if above == len(curve):
            shares[layer] = grid[-1]
        else:
            part = (height - curve[above - 1]) / (curve[above] - curve[above - 1])
            shares[layer] = float(grid[above - 1] + part * (grid[above] - grid[above - 1]))
    return shares


def _mean(shares: Mapping[int, float], sizes: Mapping[int, int]) -> float:
    return sum(share * sizes[layer] for layer, share in shares.items()) / sum(sizes.values())


def _divergence(
    model: CTCModel, utterances: Sequence[Utterance], whole: Mapping[str, torch.Tensor], device: torch.device
) -> float:
    nats, frames = 0.0, 0
    for utterance, emission in emissions(TorchModel(model, device), utterances):
        wanted = whole[utterance.id].unsqueeze(0)
        nats += float(token_divergence(torch.from_numpy(emission).unsqueeze(0), wanted, torch.tensor([len(emission)])))
        frames += len(emission)
    return nats / max(frames, 1)
