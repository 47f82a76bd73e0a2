"""Disentangled self-attention of SEW-D: frames and relative positions attend to each other (DeBERTa section 3).

score(i, j) = (Qc_i . Kc_j + Qc_i . Kp[b] + Kc_j . Qp[b]) / sqrt(3 D), with b the bucket of i - j, and Kp, Qp one shared
table of positions through the content projections. Shapes: B batch, U frames, E width, H heads, D = E / H, N buckets.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, Self

import torch
from torch import Tensor
from torch.nn import functional

from sewcli.base import log
from sewcli.nn import disentangled_fused as fused
from sewcli.nn.attention import HeadProjections, join_heads, split_heads
from sewcli.nn.position_bias import STRIP, attend, mask_keys, position_bias, shear, strips

Kernels = Literal["auto", "plain", "fused"]
"""auto: the fused kernels where they serve and agree with the plain path; plain: never; fused: wherever they serve."""

APART = 0.05  # largest difference of kernels and plain path, of the largest value, that half precision can explain
WHOLE_UP_TO = 512  # frames whose scores are computed in one piece
BLOCK = 128  # frames a side of a tile beyond that
QUERIES = 512  # frames whose scores are in memory at a time, in inference on a CPU


class DisentangledAttention(HeadProjections):
    """Self-attention with relative positions; PyTorch's default initialisation, as the authors trained it.

    Args:
        width, heads: E and H.
        dropout: on the attention weights.
        position_dropout: on the table of positions, drawn anew in each layer.
        buckets: half of N; offsets up to `buckets` / 2 have one each, farther ones share them, logarithmically.
        max_positions: offsets from here on share the last bucket.
        head_width: D, where it is not E / H.
        masks_queries: whether frames that may not be attended to attend to nothing either, as in DeBERTa's code.
    """

    fixed_query: Tensor | None
    fixed_key: Tensor | None

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
        self.kernels: Kernels = "auto"
        self.dropout, self.position_dropout = dropout, position_dropout
        self.buckets, self.max_positions = buckets, max_positions
        self.scale = 1 / math.sqrt(3 * self.head_width)
        self.register_buffer("fixed_query", None, persistent=False)
        self.register_buffer("fixed_key", None, persistent=False)

    def fix_positions(self, positions: Tensor) -> None:
        """Project the table (N, E) once, for inference with weights that no longer change; `train()` forgets it."""
        with torch.no_grad():
            self.fixed_query, self.fixed_key = self._project(positions)

    def train(self, mode: bool = True) -> Self:
        """Switch modes; training needs the positions projected anew each time."""
        if mode:
            self.fixed_query = self.fixed_key = None
        return super().train(mode)

    def forward(self, x: Tensor, valid: Tensor | None, positions: Tensor) -> Tensor:
        """(B, U, E) -> (B, U, E).

        Args:
            x: frames.
            valid: (B, U) bool, the frames that may be attended to; None for all.
            positions: (N, E), the table of relative positions after its LayerNorm.
        """
        if self._uses_kernels(x):
            return self._output(self._fused(x, valid, positions), valid)
        frames, far = x.shape[1], self.max_positions
        strips_of_bias = self.fixed_query is not None and not torch.is_grad_enabled() and x.device.type == "cpu"
        reach = min(frames - 1, far + STRIP) if strips_of_bias else frames - 1
        bucket_of, low, high = offset_buckets(reach, self.buckets, self.max_positions, x.device)
        query, key, value = self.project(x)
        position_query, position_key = self._positions(positions, low, high)
        query = query * self.scale
        # positions by offset (H, 2 reach + 1, D): those of keys from `reach` down, those of queries from there up
        falling, rising = rows_of(position_key, bucket_of), rows_of(position_query, bucket_of.flip(0))
        mixed = []
        if strips_of_bias:
            query, key = query.contiguous(), key.contiguous()
            for part in strips(0, frames, QUERIES):
                bias = mask_keys(position_bias(query, key, falling, rising, part, far), valid)
                mixed.append(attend(query[:, :, part], key, value, bias))
            return self._join(mixed, valid)
        for part in blocks(frames):
            scores = block_scores(query[:, :, part], key, falling, rising, part.start)
            mixed.append(self._mix(scores, value, valid))
        return self._join(mixed, valid)

    def _uses_kernels(self, x: Tensor) -> bool:
        if self.kernels == "plain" or not fused.serves_here(x, self.head_width):
            return False
        return self.kernels == "fused" or kernels_agree(x.device, fused.dtype_of_products(x), self.head_width)

    def _join(self, mixed: list[Tensor], valid: Tensor | None) -> Tensor:
        return self._output(join_heads(torch.cat(mixed, dim=2) if len(mixed) > 1 else mixed[0]), valid)

    def _output(self, mixed: Tensor, valid: Tensor | None) -> Tensor:
        """Mixed values (B, U, H D) through the output layer."""
        if self.masks_queries and valid is not None:
            mixed = mixed.masked_fill(~valid.unsqueeze(2), 0.0)
        output: Tensor = self.output(mixed)
        return output

    def _fused(self, x: Tensor, valid: Tensor | None, positions: Tensor) -> Tensor:
        """What goes into the output layer, by the kernels for GPUs; `valid` must mark the first frames of each row."""
        columns, low, high = fused_columns(
            x.shape[1], self.buckets, self.max_positions, x.device, by_offset=torch.is_grad_enabled()
        )
        position_query, position_key = (rows_of(y, columns.rows) for y in self._positions(positions, low, high))
        query, key, value = (join_heads(y) for y in self.project(x))
        lengths = torch.full((len(x),), x.shape[1], dtype=torch.int32, device=x.device)
        return fused.attend(
            query,
            key,
            value,
            position_query,
            position_key,
            columns,
            lengths if valid is None else valid.sum(1, dtype=torch.int32),
            self.heads,
            self.dropout if self.training else 0.0,
        )

    def _positions(self, positions: Tensor, low: int, high: int) -> tuple[Tensor, Tensor]:
        """Queries (scaled) and keys of the rows from `low` to `high` of the table, (H, rows, D) each."""
        if self.fixed_query is None or self.fixed_key is None:
            return self._project(functional.dropout(positions, self.position_dropout, self.training)[low:high])
        return self.fixed_query[:, low:high], self.fixed_key[:, low:high]

    def _project(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (scaled) and keys of (N, E) positions, (H, N, D) each."""
        query, key = (split_heads(linear(positions.unsqueeze(0)), self.heads)[0] for linear in (self.query, self.key))
        return query * self.scale, key

    def _mix(self, scores: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
        if valid is not None:
            scores = scores.masked_fill(~valid[:, None, None, :], float("-inf"))
        weights = functional.dropout(scores.softmax(dim=-1), self.dropout, self.training)
        return weights.to(value.dtype) @ value


@lru_cache(maxsize=16)
def kernels_agree(device: torch.device, dtype: torch.dtype, head_width: int) -> bool:
    """Whether the fused kernels compute what the plain path does, in a small case: outputs and gradients, made once.

    They are compiled for the device when they first run, and a fault there would spoil a training without a word. Draws
    no random number of PyTorch's own.
    """
    try:
        apart = _largest_difference(device, dtype, head_width)
        reason = f"they differ from the plain path by {apart:.1%} of the largest value"
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a compiler or a driver may raise
        apart, reason = math.inf, f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"
    if apart < APART:  # a NaN is not
        return True
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    log.warn(
        f"SEW-D's fused attention kernels do not work on {kind} in {dtype} ({reason}); the plain path is used\n"
        "  hint: --set attention=plain leaves out this check; please report the message"
    )
    return False


def _largest_difference(device: torch.device, dtype: torch.dtype, head_width: int) -> float:
    """Of outputs in inference, outputs in training and all gradients, in units of the largest value of each."""
    heads, lengths, generator = 2, (70, 41), torch.Generator().manual_seed(0)  # more than a tile, and padding
    width, frames = heads * head_width, max(lengths)
    layers = []
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        for kernels in ("plain", "fused"):
            with torch.device("meta"):
                layer = DisentangledAttention(
                    width, heads, dropout=0.0, position_dropout=0.0, buckets=16, max_positions=40
                )
            layers.append(layer.to_empty(device=device).eval())
            layer.kernels = "fused" if kernels == "fused" else "plain"
        for ours, theirs in zip(*(layer.parameters() for layer in layers), strict=True):
            values = torch.randn(ours.shape, generator=generator) / math.sqrt(width)
            ours.data, theirs.data = (values.to(device, dtype).to(kind) for kind in (torch.float32, dtype))
        x, table, gradient = (
            torch.randn(shape, generator=generator).to(device, dtype)
            for shape in ((len(lengths), frames, width), (32, width), (len(lengths), frames, width))
        )
        valid = torch.arange(frames, device=device) < torch.tensor(lengths, device=device).unsqueeze(1)
        found = [_outputs_and_gradients(layer, x, table, gradient, valid) for layer in layers]
    return max(float((b.float() - a).abs().max() / a.abs().max().clamp(min=1e-6)) for a, b in zip(*found, strict=True))


def _outputs_and_gradients(
    layer: DisentangledAttention, x: Tensor, table: Tensor, gradient: Tensor, valid: Tensor
) -> list[Tensor]:
    kind = next(layer.parameters()).dtype
    inside = valid.unsqueeze(2)
    with torch.no_grad():
        inferred = layer(x.to(kind), valid, table.to(kind)) * inside
    own, positions = (y.to(kind, copy=True).requires_grad_() for y in (x, table))
    output = layer(own, valid, positions) * inside
    leaves = (own, positions, *layer.parameters())
    return [inferred, output.detach(), *torch.autograd.grad(output, leaves, gradient.to(kind))]


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
        offsets = torch.arange(reach, -reach - 1, -1)
        rows = (bucket(offsets, buckets, max_positions) + buckets).clamp(0, 2 * buckets - 1)
        low, high = int(rows[-1]), int(rows[0]) + 1
        return (rows - low).to(device, non_blocking=True), low, high


@lru_cache(maxsize=1024)
def fused_columns(
    frames: int, buckets: int, max_positions: int, device: torch.device, *, by_offset: bool
) -> tuple[fused.Columns, int, int]:
    """(columns of the kernels' products, low, high), for rows of table[low:high]."""
    index, low, high = offset_buckets(frames - 1, buckets, max_positions, torch.device("cpu"))
    with torch.inference_mode(False):
        columns = fused.columns_by_offset(index) if by_offset else fused.columns_by_bucket(index, high - low)
        return fused.to_device(columns, device), low, high


def bucket(offsets: Tensor, buckets: int, max_positions: int) -> Tensor:
    """Signed bucket of each offset: itself up to `buckets` / 2, then logarithmic up to `max_positions`."""
    middle = buckets // 2
    size = offsets.double().abs()
    far = torch.ceil((size.clamp(min=middle) / middle).log() / math.log((max_positions - 1) / middle) * (middle - 1))
    return torch.where(size <= middle, offsets.double(), (far + middle) * offsets.sign()).long()


def rows_of(table: Tensor, index: Tensor) -> Tensor:
    """Rows of (H, N, D) by index. The backward pass of an embedding is deterministic on a GPU, an index's is not."""
    heads = table.shape[0]
    flat: Tensor = functional.embedding(index, table.transpose(0, 1).flatten(1))
    return flat.view(len(index), heads, -1).transpose(0, 1)
