"""Attention in OpenVINO's operations: plain, and disentangled by strips (DeBERTa section 3).

Shapes: B batch, U frames, P frames of whole strips, E width, H heads, D = E / H, n frames of a strip, N rows of a table.
"""

from __future__ import annotations

import numpy as np
from openvino import opset13 as op

from sewcli.models.config import ModelConfig
from sewcli.nn.buckets import rows_of_offsets
from sewcli.runtimes.openvino_layers import (
    Node,
    Weights,
    cut,
    integer,
    integers,
    join_heads,
    linear,
    moved,
    numbers,
    ones_of,
    pad_end,
    reshaped,
    size,
    split_heads,
)

STRIP = 64  # frames of a strip: whole ones, so few more than there are
PARTS = ("query", "key", "value")


class SelfAttention:
    """Scaled dot products of all frames with the valid ones.

    Args:
        config: of the model.
        weights: of all its layers.
        valid: (B, U) bool.
    """

    def __init__(self, config: ModelConfig, weights: Weights, valid: Node) -> None:
        self.weights, self.heads = weights, config.heads
        self.width = config.head_width or config.width // config.heads
        self.valid = op.unsqueeze(valid, integers(1, 2))

    def __call__(self, x: Node, name: str) -> Node:
        """(B, U, E) -> (B, U, E), by the weights under `name`."""
        mixed = op.scaled_dot_product_attention(*self.project(x, name), self.valid)
        return linear(join_heads(mixed, self.heads, self.width), self.weights, f"{name}.output")

    def project(self, x: Node, name: str) -> list[Node]:
        """Queries, keys and values, (B, H, U, D) each."""
        return [split_heads(linear(x, self.weights, f"{name}.{part}"), self.heads, self.width) for part in PARTS]


class DisentangledAttention(SelfAttention):
    """SEW-D's, with the positions projected beforehand.

    A strip of n frames is multiplied with the positions of all its offsets and read along the diagonals: slices and
    reshapes, where gathering scores one by one takes longer than the products. Frames are padded to P.
    """

    def __init__(self, config: ModelConfig, weights: Weights, valid: Node) -> None:
        super().__init__(config, weights, valid)
        self.config, self.scale, self.frames = config, (3 * self.width) ** -0.5, size(valid, 1)
        self.table = _normed(weights["encoder.context.positions.weight"], weights, config.norm_eps)
        strips = op.divide(op.add(self.frames, integer(STRIP - 1)), integer(STRIP))
        self.whole = op.multiply(strips, integer(STRIP))  # P
        invalid = op.subtract(numbers(1.0), cut(pad_end(ones_of(valid, 1), 2, STRIP), 2, self.whole))
        never = op.select(op.greater(invalid, numbers(0.5)), numbers(-np.inf), numbers(0.0))
        self.hidden = op.unsqueeze(never, integer(1))  # (B, 1, 1, P)
        firsts = op.multiply(op.range(integer(0), strips, integer(1), "i64"), integer(STRIP))
        ahead = op.range(integer(1 - STRIP), self.whole, integer(1), "i64")
        ahead = op.subtract(ahead, op.unsqueeze(firsts, integer(1)))  # of a strip's first frame, what it looks at
        self.ahead, self.behind = self._rows(ahead), self._rows(op.negative(ahead))  # (strips, P + n - 1)

    def __call__(self, x: Node, name: str) -> Node:
        """(B, U, E) -> (B, U, E), by the weights under `name`."""
        query, key, value = self.project(cut(pad_end(x, 1, STRIP), 1, self.whole), name)
        query = op.multiply(query, numbers(self.scale))
        content_to_position = self._bias(query, self._positions(f"{name}.key"), self.behind)
        position_to_content = self._bias(key, self._positions(f"{name}.query") * self.scale, self.ahead)
        scores = op.add(op.matmul(query, key, False, True), content_to_position)
        scores = op.add(op.add(scores, moved(position_to_content, 0, 1, 3, 2)), self.hidden)
        mixed = join_heads(op.matmul(op.softmax(scores, 3), value, False, False), self.heads, self.width)
        return linear(cut(mixed, 1, self.frames), self.weights, f"{name}.output")

    def _positions(self, name: str) -> np.ndarray:
        """The table through a projection, (H, N, D)."""
        rows = self.table @ self.weights[f"{name}.weight"].astype(np.float64).T + self.weights[f"{name}.bias"]
        return rows.reshape(len(rows), self.heads, self.width).swapaxes(0, 1)

    def _rows(self, offsets: Node) -> Node:
        """The row of the table of each offset; beyond the farthest, all share one."""
        farthest = self.config.max_positions
        rows = rows_of_offsets(np.arange(-farthest, farthest + 1), self.config.position_buckets, farthest)
        place = op.add(op.clamp(offsets, -farthest, farthest), integer(farthest))
        return op.gather(integers(*rows), place, integer(0))

    def _bias(self, own: Node, table: np.ndarray, rows: Node) -> Node:
        """Products (B, H, P, P) of frames (B, H, P, D) with the positions `rows` (strips, P + n - 1) of a table (H, N, D)."""
        strips = op.reshape(own, integers(0, self.heads, -1, STRIP, self.width), True)
        products = op.matmul(strips, op.gather(numbers(table), rows, integer(1)), False, True)  # (B, H, strips, n, ...)
        flat = op.reshape(products, op.concat([_first_sizes(products, 3), integers(-1)], 0), False)
        wide = op.add(self.whole, integer(STRIP - 2))
        flat = cut(flat, 3, op.add(op.multiply(wide, integer(STRIP)), integer(STRIP - 1)), STRIP - 1)
        diagonals = cut(reshaped(flat, 0, 0, 0, STRIP, -1), 4, self.whole)
        whole = op.unsqueeze(self.whole, integer(0))
        return op.reshape(diagonals, op.concat([_first_sizes(products, 2), whole, whole], 0), False)


def _first_sizes(x: Node, count: int) -> Node:
    """The first sizes of a shape, (count,)."""
    return op.slice(op.shape_of(x), integers(0), integers(count), integers(1))


def _normed(table: np.ndarray, weights: Weights, eps: float) -> np.ndarray:
    """The table of positions after its LayerNorm, in float64."""
    centred = table - table.mean(1, keepdims=True, dtype=np.float64)
    scaled = centred / np.sqrt(np.square(centred).mean(1, keepdims=True) + eps)
    normed: np.ndarray = scaled * weights["encoder.context.norm.weight"] + weights["encoder.context.norm.bias"]
    return normed
