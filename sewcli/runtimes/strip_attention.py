"""SEW-D's attention by strips, for inference on a CPU: what relative positions add to the scores (DeBERTa section 3).

bias(i, j) = Qc_i . Kp[b] + Kc_j . Qp[b] with b the bucket of i - j. A strip of n frames and m others has n + m - 1 offsets:
it is multiplied with these and read along the diagonals, so that nothing is gathered. Where all offsets are so far that they
share a bucket, one product a frame is enough. Shapes: B batch, H heads, U frames, D width of a head, W reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sewcli.nn.attention import join_heads
from sewcli.nn.disentangled import DisentangledAttention, offset_buckets, rows_of, shear

STRIP = 128  # frames of a strip: few wasted offsets, and still a product that a CPU is fast at
QUERIES = 512  # frames whose scores are in memory at a time


def use_strips(model: nn.Module) -> None:
    """Have SEW-D's layers of a model, if it has some, compute their scores so."""
    for module in model.modules():
        if isinstance(module, DisentangledAttention):
            vars(module)["mix"] = StripMix(module)


@dataclass(frozen=True)
class StripMix:
    """In place of `DisentangledAttention.mix`."""

    attention: DisentangledAttention

    def __call__(self, x: Tensor, valid: Tensor | None, positions: Tensor) -> Tensor:
        """Frames (B, U, E), valid ones (B, U) and positions (N, E) to what goes into the output layer, (B, U, H D)."""
        own, frames, far = self.attention, x.shape[1], self.attention.max_positions
        bucket_of, low, high = offset_buckets(min(frames - 1, far + STRIP), own.buckets, far, x.device)
        query, key, value = own.project(x)
        position_query, position_key = own.project_positions(positions, low, high)
        falling, rising = rows_of(position_key, bucket_of), rows_of(position_query, bucket_of.flip(0))
        query, key = (query * own.scale).contiguous(), key.contiguous()
        mixed = []
        for part in strips(0, frames, QUERIES):
            bias = mask_keys(position_bias(query, key, falling, rising, part, far), valid)
            mixed.append(attend(query[:, :, part], key, value, bias))
        return join_heads(torch.cat(mixed, dim=2) if len(mixed) > 1 else mixed[0])


def position_bias(query: Tensor, key: Tensor, falling: Tensor, rising: Tensor, rows: slice, far: int) -> Tensor:
    """The bias (B, H, rows, U) of some query frames towards all keys.

    Args:
        query, key: (B, H, U, D), contiguous, scaled as the scores shall be.
        falling: (H, 2 W + 1, D), positions' keys of the offsets W down to -W; W is U - 1 or at least `far` + STRIP.
        rising: (H, 2 W + 1, D), positions' queries (scaled) of the offsets -W up to W.
        rows: of the queries.
        far: offsets from here on share a bucket.
    """
    frames = key.shape[2]
    bias = query.new_empty(*query.shape[:2], rows.stop - rows.start, frames)
    for strip in strips(rows.start, rows.stop):
        towards = bias[:, :, strip.start - rows.start : strip.stop - rows.start]
        _fill(towards, query[:, :, strip], falling, strip, slice(0, frames), far, add=False)
    for strip in strips(0, frames):
        _fill(bias[:, :, :, strip].transpose(2, 3), key[:, :, strip], rising, strip, rows, far, add=True)
    return bias


def strips(start: int, stop: int, size: int = STRIP) -> list[slice]:
    """Slices of `size` frames."""
    return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]


def _fill(target: Tensor, frames: Tensor, table: Tensor, own: slice, others: slice, far: int, *, add: bool) -> None:
    """Put the products of a strip `frames` (B, H, n, D) with the positions of `others` into `target` (B, H, n, others).

    `table` (H, 2 W + 1, D) is ordered so that the row of (own i, other j) grows with j: row W - i + j.
    """
    reach = table.shape[1] // 2
    low = min(max(own.start - far + 1, others.start), others.stop)
    high = max(min(own.stop - 1 + far, others.stop), low)
    parts = []
    if low > others.start:
        parts.append((slice(others.start, low), frames @ table[:, :1].transpose(1, 2)))
    if high > low:
        first = reach - (own.stop - 1) + low
        offsets = own.stop - own.start + high - low - 1
        parts.append((slice(low, high), shear(frames @ table[:, first : first + offsets].transpose(1, 2))))
    if others.stop > high:
        parts.append((slice(high, others.stop), frames @ table[:, -1:].transpose(1, 2)))
    for part, product in parts:
        place = target[..., part.start - others.start : part.stop - others.start]
        if add:
            place.add_(product)
        else:
            place.copy_(product)


def mask_keys(bias: Tensor, valid: Tensor | None) -> Tensor:
    """Minus infinity, in place, for keys outside `valid` (B, U)."""
    return bias if valid is None else bias.masked_fill_(~valid[:, None, None, :], float("-inf"))


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """softmax(query . key + bias) . value, all (B, H, n or U, D); the queries are scaled already."""
    mixed: Tensor = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
    return mixed
