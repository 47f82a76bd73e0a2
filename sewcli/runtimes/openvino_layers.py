"""Pieces of `openvino_graph` in OpenVINO's operations: constants, shapes, masks, linear layers and norms.

Shapes: B batch, T frames, C channels, E width, H heads, D = E / H.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from openvino import opset13 as op

Node = Any  # of a package without types
Weights = Mapping[str, np.ndarray]
"""Arrays by our own names."""


def numbers(values: Any) -> Node:
    """A constant in fp32; what is fp32 already is not copied."""
    return op.constant(np.asarray(values, dtype=np.float32, order="C"), shared_memory=True)


def integers(*values: int) -> Node:
    """A constant (n,) of int64."""
    return op.constant(np.array(values, dtype=np.int64))


def integer(value: int) -> Node:
    """A constant () of int64."""
    return op.constant(np.array(value, dtype=np.int64))


def size(x: Node, axis: int) -> Node:
    """The size of an axis, ()."""
    return op.gather(op.shape_of(x), integer(axis), integer(0))


def cut(x: Node, axis: int, stop: Node, start: int = 0) -> Node:
    """x[start:stop] along an axis; `stop` is ()."""
    return op.slice(x, integers(start), op.unsqueeze(stop, integer(0)), integers(1), integers(axis))


def pad_end(x: Node, axis: int, count: int) -> Node:
    """So many zeros behind the last of an axis."""
    none = [0] * len(x.get_output_partial_shape(0))
    behind = [count if place == axis else 0 for place in range(len(none))]
    return op.pad(x, integers(*none), integers(*behind), "constant", numbers(0.0))


def moved(x: Node, *axes: int) -> Node:
    """The axes in another order."""
    return op.transpose(x, integers(*axes))


def reshaped(x: Node, *sizes: int) -> Node:
    """0 is the size that there is, -1 what is left."""
    return op.reshape(x, integers(*sizes), True)


def inside(lengths: Node, frames: Node) -> Node:
    """Lengths (B,) and a number of frames () -> (B, frames) bool, true where a frame is not padding."""
    return op.less(op.range(integer(0), frames, integer(1), "i64"), op.unsqueeze(lengths, integer(1)))


def ones_of(mask: Node, axis: int) -> Node:
    """A mask as ones and zeros, with one more axis of size 1."""
    return op.unsqueeze(op.convert(mask, "f32"), integer(axis))


def mean_of(x: Node, count: Node, axis: int) -> Node:
    """Sum over an axis, which stays, divided by `count`."""
    return op.divide(op.reduce_sum(x, integers(axis), True), count)


def linear(x: Node, weights: Weights, name: str) -> Node:
    """(..., I) -> (..., O)."""
    product = op.matmul(x, numbers(weights[f"{name}.weight"]), False, True)
    return op.add(product, numbers(weights[f"{name}.bias"]))


def gelu_linear(x: Node, weights: Weights, name: str) -> Node:
    """A linear layer with GELU behind it."""
    return op.gelu(linear(x, weights, name), "erf")


def layer_norm(x: Node, weights: Weights, name: str, eps: float) -> Node:
    """Over the last axis."""
    normed = op.mvn(x, integers(-1), True, eps, "inside_sqrt")
    return op.add(op.multiply(normed, numbers(weights[f"{name}.weight"])), numbers(weights[f"{name}.bias"]))


def split_heads(x: Node, heads: int, head_width: int) -> Node:
    """(B, T, E) -> (B, H, T, D)."""
    return moved(reshaped(x, 0, 0, heads, head_width), 0, 2, 1, 3)


def join_heads(x: Node, heads: int, head_width: int) -> Node:
    """(B, H, T, D) -> (B, T, E)."""
    return reshaped(moved(x, 0, 2, 1, 3), 0, 0, heads * head_width)
