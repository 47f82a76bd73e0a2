"""Which layers a smaller model takes over from a larger one, and the smaller model with them.

The paper's students begin with every k-th layer (its code: 0, k, 2 k, ..., with k the quotient of the two numbers). Where one
number does not divide the other, floor(i L / l) spreads them evenly and is the same rule where it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sewcli.base.errors import UsageError
from sewcli.models.ctc import CTCModel
from sewcli.models.sparsity import LAYERS

Start = Literal["alternate", "last", "random"]


def chosen_layers(start: Literal["alternate", "last"], total: int, wanted: int) -> list[int]:
    """Numbers of `wanted` of `total` layers, in order.

    Raises:
        UsageError: more than there are.
    """
    if wanted > total:
        raise UsageError(
            "invalid-layers",
            f"{wanted} layers from a model of {total}",
            hint=f"--layers up to {total}, or --init random for a model of another depth with new weights",
        )
    if start == "last":
        return list(range(total - wanted, total))
    return [number * total // wanted for number in range(wanted)]


def with_layers(model: CTCModel, numbers: Sequence[int]) -> CTCModel:
    """A copy that has only these layers, in this order; all the rest of its weights are the model's."""
    config = model.config.model_copy(update={"layers": len(numbers)})
    smaller = CTCModel(config, model.head.out_features)
    state = model.state_dict()
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(LAYERS)}
    for place, number in enumerate(numbers):
        old, new = f"{LAYERS}{number}.", f"{LAYERS}{place}."
        kept |= {new + name.removeprefix(old): tensor for name, tensor in state.items() if name.startswith(old)}
    smaller.load_state_dict(kept)
    return smaller
