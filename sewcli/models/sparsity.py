"""Zeros in a recogniser's weights: where magnitude pruning puts them, how many there are, and how training keeps them.

Only the matrices of the transformer layers are pruned: attention (query, key, value, output) and feed-forward (expand,
contract). They hold nine tenths of the weights; the extractor, norms, biases, position tables and the CTC layer hold little
and are touchy (PARP, Lai et al. 2021, prunes wav2vec 2.0 by magnitude too).
"""

from __future__ import annotations

from torch import Tensor, nn

from sewcli.models.ctc import CTCModel

LAYERS = "encoder.context.layers."


def prunable(model: CTCModel) -> dict[str, nn.Parameter]:
    """The matrices that magnitude pruning may put zeros in, by name."""
    return {name: p for name, p in model.named_parameters() if name.startswith(LAYERS) and p.ndim == 2}


def layer_of(name: str) -> int:
    """Number of the layer that a matrix of `prunable` is in."""
    return int(name.removeprefix(LAYERS).partition(".")[0])


def zeros(model: CTCModel) -> tuple[int, int]:
    """(zeros, all) in the prunable matrices."""
    matrices = prunable(model).values()
    return sum(int((matrix == 0).sum()) for matrix in matrices), sum(matrix.numel() for matrix in matrices)


def zero_facts(model: CTCModel) -> dict[str, str]:
    """What a model card says about zeros."""
    some, of = zeros(model)
    return {"Zero weights": f"{some:,} of {of:,} in the transformer layers' matrices ({100 * some / max(of, 1):.1f} %)"}


def hold_zeros(model: CTCModel) -> None:
    """Let no gradient reach weights of the prunable matrices that are exactly zero: Adam then never moves them.

    Nothing is kept beside the weights, so it holds after a resume, on any device and in any precision.
    """
    for matrix in prunable(model).values():
        matrix.register_hook(lambda gradient, matrix=matrix: _where_alive(gradient, matrix))


def _where_alive(gradient: Tensor, matrix: nn.Parameter) -> Tensor:
    return gradient * (matrix.detach() != 0).to(gradient.dtype)
