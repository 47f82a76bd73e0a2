"""Disentangled self-attention of SEW-D: frames and relative positions attend to each other (DeBERTa section 3).

score(i, j) = (Qc_i . Kc_j + Qc_i . Kp[b] + Kc_j . Qp[b]) / sqrt(3 D), with b the bucket of i - j, and Kp, Qp one shared
table of positions through the content projections. Shapes: B batch, U frames, E width, H heads, D = E / H, N buckets.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.nn.attention import join_heads, split_heads

SHEAR_UP_TO = 512  # frames; beyond, multiplying all 2 U - 1 offsets costs more than gathering from the buckets
BLOCK = 128  # queries at a time beyond that, so that memory grows with U and not with its square


class DisentangledAttention(nn.Module):
    """Self-attention with relative positions; PyTorch's default initialisation, as the authors trained it.

    Args:
        width, heads: E and H.
        dropout: on the attention weights.
        position_dropout: on the table of positions, drawn anew in each layer.
        buckets: half of N; offsets up to `buckets` / 2 have one each, farther ones share them, logarithmically.
        max_positions: offsets from here on share the last bucket.
    """

    def __init__(
        self, width: int, heads: int, *, dropout: float, position_dropout: float, buckets: int, max_positions: int
    ) -> None:
        super().__init__()
        self.heads, self.dropout, self.position_dropout = heads, dropout, position_dropout
        self.buckets, self.max_positions = buckets, max_positions
        self.scale = 1 / math.sqrt(3 * (width // heads))
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor, valid: Tensor | None, positions: Tensor) -> Tensor:
        """(B, U, E) -> (B, U, E).

        Args:
            x: frames.
            valid: (B, U) bool, the frames that may be attended to; None for all.
            positions: (N, E), the table of relative positions after its LayerNorm.
        """
        frames = x.shape[1]
        bucket_of, low, high = offset_buckets(frames, self.buckets, self.max_positions, x.device)
        positions = functional.dropout(positions, self.position_dropout, self.training)[low:high].unsqueeze(0)
        query, key, value = (split_heads(linear(x), self.heads) for linear in (self.query, self.key, self.value))
        position_query, position_key = (
            split_heads(linear(positions), self.heads)[0] for linear in (self.query, self.key)
        )
        query, table = query * self.scale, Positions(position_query * self.scale, position_key, bucket_of)
        if frames <= SHEAR_UP_TO:
            mixed = self._mix(sheared_scores(query, key, table), value, valid)
        else:
            of_keys = table.query @ key.transpose(2, 3)  # (B, H, buckets, U)
            blocks = (gathered_scores(query, key, table, of_keys, start) for start in range(0, frames, BLOCK))
            mixed = torch.cat([self._mix(scores, value, valid) for scores in blocks], dim=2)
        joined: Tensor = self.output(join_heads(mixed))
        return joined

    def _mix(self, scores: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
        if valid is not None:
            scores = scores.masked_fill(~valid[:, None, None, :], float("-inf"))
        weights = functional.dropout(scores.softmax(dim=-1), self.dropout, self.training)
        return weights.to(value.dtype) @ value


class Positions(NamedTuple):
    """Projected buckets, query and key (H, buckets, D), and the bucket of each offset U - 1 .. -(U - 1), (2 U - 1,)."""

    query: Tensor
    key: Tensor
    bucket_of: Tensor


def sheared_scores(query: Tensor, key: Tensor, table: Positions) -> Tensor:
    """Scores (B, H, U, U) by products with all 2 U - 1 offsets, read along their diagonals: no gather, no atomics."""
    falling, rising = _rows(table.key, table.bucket_of), _rows(table.query, table.bucket_of.flip(0))  # (H, 2 U - 1, D)
    content_to_position = shear(query @ falling.transpose(1, 2))  # column U - 1 - i + j of row i is offset i - j
    position_to_content = shear(key @ rising.transpose(1, 2)).transpose(2, 3)
    return query @ key.transpose(2, 3) + content_to_position + position_to_content


def gathered_scores(query: Tensor, key: Tensor, table: Positions, of_keys: Tensor, start: int) -> Tensor:
    """Scores (B, H, block, U) of the queries from `start` on, looked up in products with the buckets."""
    frames = query.shape[2]
    query = query[:, :, start : start + BLOCK]
    rows = torch.arange(start, start + query.shape[2], device=query.device).unsqueeze(1)
    columns = torch.arange(frames, device=query.device)
    bucket_of = table.bucket_of[frames - 1 - rows + columns].expand(*query.shape[:3], frames)
    content_to_position = (query @ table.key.transpose(1, 2)).gather(3, bucket_of)
    return query @ key.transpose(2, 3) + content_to_position + of_keys.gather(2, bucket_of)


def shear(x: Tensor) -> Tensor:
    """(..., U, 2 U - 1) -> (..., U, U) with result[i, j] = x[i, U - 1 - i + j], as a view."""
    frames = x.shape[-2]
    if frames == 1:
        return x
    flat = x.flatten(-2)[..., frames - 1 : frames - 1 + frames * (2 * frames - 2)]
    return flat.view(*x.shape[:-1], 2 * frames - 2)[..., :frames]


@lru_cache(maxsize=64)
def offset_buckets(frames: int, buckets: int, max_positions: int, device: torch.device) -> tuple[Tensor, int, int]:
    """Which rows of the position table the offsets from `frames` - 1 down to -(`frames` - 1) use.

    Returns:
        (index, low, high): the rows used are table[low:high]; index (2 frames - 1,) points into these.
    """
    with torch.inference_mode(False):  # a cached tensor must also serve a later backward pass
        offsets = torch.arange(frames - 1, -frames, -1)
        rows = (bucket(offsets, buckets, max_positions) + buckets).clamp(0, 2 * buckets - 1)
        low, high = int(rows[-1]), int(rows[0]) + 1
        return (rows - low).to(device), low, high


def bucket(offsets: Tensor, buckets: int, max_positions: int) -> Tensor:
    """Signed bucket of each offset: itself up to `buckets` / 2, then logarithmic up to `max_positions`."""
    middle = buckets // 2
    size = offsets.double().abs()
    far = torch.ceil((size.clamp(min=middle) / middle).log() / math.log((max_positions - 1) / middle) * (middle - 1))
    return torch.where(size <= middle, offsets.double(), (far + middle) * offsets.sign()).long()


def _rows(table: Tensor, index: Tensor) -> Tensor:
    """Rows of (H, N, D) by index. The backward pass of an embedding is deterministic on a GPU, an index's is not."""
    heads = table.shape[0]
    flat: Tensor = functional.embedding(index, table.transpose(0, 1).flatten(1))
    return flat.view(len(index), heads, -1).transpose(0, 1)
