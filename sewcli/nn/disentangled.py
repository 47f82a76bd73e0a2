"""Disentangled self-attention of SEW-D: frames and relative positions attend to each other (DeBERTa section 3).

score(i, j) = (Qc_i . Kc_j + Qc_i . Kp[b] + Kc_j . Qp[b]) / sqrt(3 D), with b the bucket of i - j, and Kp, Qp one shared
table of positions through the content projections. Shapes: B batch, U frames, E width, H heads, D = E / H, N buckets.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sewcli.nn.attention import HeadProjections, join_heads, split_heads
from sewcli.nn.buckets import rows_of_offsets

WHOLE_UP_TO = 512  # frames whose scores are computed in one piece
BLOCK = 128  # frames a side of a tile beyond that


class DisentangledAttention(HeadProjections):
    """Self-attention with relative positions; PyTorch's default initialisation, as the authors trained it.

    Args:
        width, heads: E and H.
        dropout: on the attention weights.
        position_dropout: on the table of positions, drawn again in each layer.
        buckets: half of N; offsets up to `buckets` / 2 have one each, farther ones share them, logarithmically.
        max_positions: offsets from here on share the last bucket.
        head_width: D, where it is not E / H.
        masks_queries: whether frames that may not be attended to attend to nothing either, as in DeBERTa's code.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        dropout: float,
        position_dropout: float,
        buckets: int,
        max_positions: int,
        head_width: int | None = None,
        masks_queries: bool = False,
    ) -> None:
        super().__init__(width, heads, head_width)
        self.head_width = head_width or width // heads
        self.masks_queries = masks_queries
        self.dropout, self.position_dropout = dropout, position_dropout
        self.buckets, self.max_positions = buckets, max_positions
        self.scale = 1 / math.sqrt(3 * self.head_width)

    def forward(self, x: Tensor, valid: Tensor | None, positions: Tensor) -> Tensor:
        """(B, U, E) -> (B, U, E).

        Args:
            x: frames.
            valid: (B, U) bool, the frames that may be attended to; None for all.
            positions: (N, E), the table of relative positions after its LayerNorm.
        """
        mixed = self.mix(x, valid, positions)
        if self.masks_queries and valid is not None:
            mixed = mixed.masked_fill(~valid.unsqueeze(2), 0.0)
        output: Tensor = self.output(mixed)
        return output

    def mix(self, x: Tensor, valid: Tensor | None, positions: Tensor) -> Tensor:
        """What goes into the output layer, (B, U, H D)."""
        frames = x.shape[1]
        bucket_of, low, high = offset_buckets(frames - 1, self.buckets, self.max_positions, x.device)
        query, key, value = self.project(x)
        position_query, position_key = self.project_positions(positions, low, high)
        query = query * self.scale
        # positions by offset (H, 2 U - 1, D): those of keys from U - 1 down, those of queries from there up
        falling, rising = rows_of(position_key, bucket_of), rows_of(position_query, bucket_of.flip(0))
        mixed = []
        for part in blocks(frames):
            scores = block_scores(query[:, :, part], key, falling, rising, part.start)
            mixed.append(self._weighted(scores, value, valid))
        return join_heads(torch.cat(mixed, dim=2) if len(mixed) > 1 else mixed[0])

    def project_positions(self, positions: Tensor, low: int, high: int) -> tuple[Tensor, Tensor]:
        """Queries (scaled) and keys of the rows from `low` to `high` of the table, (H, rows, D) each."""
        rows = functional.dropout(positions, self.position_dropout, self.training)[low:high].unsqueeze(0)
        query, key = (split_heads(linear(rows), self.heads)[0] for linear in (self.query, self.key))
        return query * self.scale, key

    def _weighted(self, scores: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
        if valid is not None:
            scores = scores.masked_fill(~valid[:, None, None, :], float("-inf"))
        weights = functional.dropout(scores.softmax(dim=-1), self.dropout, self.training)
        return weights.to(value.dtype) @ value


def block_scores(query: Tensor, key: Tensor, falling: Tensor, rising: Tensor, start: int) -> Tensor:
    """Scores (B, H, block, U) of the queries (B, H, block, D) that begin at frame `start`, with all keys.

    A tile of n queries and m keys has n + m - 1 offsets: it is multiplied with these, and read along the diagonals.
    """
    rows, frames = query.shape[2], key.shape[2]
    tiles = []
    for part in blocks(frames):
        keys = key[:, :, part]
        offsets = rows + keys.shape[2] - 1
        first, last = frames - start - rows + part.start, frames + start - part.start - keys.shape[2]
        content_to_position = shear(query @ falling[:, first : first + offsets].transpose(1, 2))
        position_to_content = shear(keys @ rising[:, last : last + offsets].transpose(1, 2)).transpose(2, 3)
        tiles.append(query @ keys.transpose(2, 3) + content_to_position + position_to_content)
    return torch.cat(tiles, dim=3)


def shear(x: Tensor) -> Tensor:
    """(..., n, n + m - 1) -> (..., n, m) with result[i, j] = x[i, n - 1 - i + j], as a view: no gather, no atomics."""
    rows, wide = x.shape[-2:]
    if rows == 1:
        return x
    flat = x.flatten(-2)[..., rows - 1 : rows - 1 + rows * (wide - 1)]
    return flat.view(*x.shape[:-1], wide - 1)[..., : wide - rows + 1]


def blocks(frames: int) -> list[slice]:
    """All frames at once, or in blocks that stay in the cache and let memory grow with U, not with its square."""
    size = frames if frames <= WHOLE_UP_TO else BLOCK
    return [slice(start, min(start + size, frames)) for start in range(0, frames, size)]


@lru_cache(maxsize=1024)  # cropped batches have many lengths
def offset_buckets(reach: int, buckets: int, max_positions: int, device: torch.device) -> tuple[Tensor, int, int]:
    """Which rows of the position table the offsets from `reach` down to -`reach` use.

    Returns:
        (index, low, high): the rows used are table[low:high]; index (2 reach + 1,) points into these.
    """
    with torch.inference_mode(False):  # a cached tensor must also serve a later backward pass
        rows = torch.from_numpy(rows_of_offsets(np.arange(reach, -reach - 1, -1), buckets, max_positions))
        low, high = int(rows[-1]), int(rows[0]) + 1
        return (rows - low).to(device, non_blocking=True), low, high


def rows_of(table: Tensor, index: Tensor) -> Tensor:
    """Rows of (H, N, D) by index. The backward pass of an embedding is deterministic on a GPU, an index's is not."""
    heads = table.shape[0]
    flat: Tensor = functional.embedding(index, table.transpose(0, 1).flatten(1))
    return flat.view(len(index), heads, -1).transpose(0, 1)
