"""SEW-D's attention on a GPU: fused kernels after two matrix products with the position table (DeBERTa section 3).

Queries and keys times positions are N columns a frame, by cuBLAS; the kernels of `fused_attention_kernel` gather from them.
Counted for 16 x 15 s and 8 heads in bf16, a layer then moves 0.2 GB in place of 0.9 GB through matrices of scores. A
product a tile (127 offsets for 64 x 64 pairs) would move less, for 1.6 times the work of these products at 15 s and six
times at 60 s, and a shear in registers. Shapes: B batch, U frames, E width, H heads, D = E / H, N columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.base import log
from sewcli.nn.attention import join_heads
from sewcli.nn.disentangled import DisentangledAttention, offset_buckets, rows_of

ALIGNED = 8  # columns are a multiple of this: 16 bytes of bf16, which tensor cores want
FORWARD = {"BLOCK_M": 64, "BLOCK_N": 64, "num_warps": 4, "num_stages": 2}  # queries and keys of a tile;
BACKWARD = {"BLOCK_M": 64, "BLOCK_N": 32, "num_warps": 4, "num_stages": 2}  # on sm_90 no register spills


class Columns(NamedTuple):
    """Which rows of the position table stand in the columns of the products.

    rows: (N,) rows of the table. reach: offsets from here on are alike. table: (2 reach + 1,) column of each offset from
    -reach up; None when the columns are the offsets themselves.
    """

    rows: Tensor
    reach: int
    table: Tensor | None


Kernels = Literal["auto", "plain", "fused"]
"""auto: the fused kernels where they serve and agree with the plain path; plain: never; fused: wherever they serve."""

APART = 0.05  # largest difference of kernels and plain path, of the largest value, that half precision can explain


def use_kernels(model: nn.Module, kernels: Kernels = "auto") -> None:
    """Have SEW-D's layers of a model, if it has some, attend by the kernels on a GPU, or by the plain path alone."""
    for module in model.modules():
        if isinstance(module, DisentangledAttention):
            vars(module).pop("mix", None)
            if kernels != "plain":
                vars(module)["mix"] = FusedMix(module, check=kernels == "auto")


@dataclass(frozen=True)
class FusedMix:
    """In place of `DisentangledAttention.mix`: the kernels where they serve, and the plain path elsewhere."""

    attention: DisentangledAttention
    check: bool = True

    def __call__(self, x: Tensor, valid: Tensor | None, positions: Tensor) -> Tensor:
        """As the plain path; `valid` (B, U) must mark the first frames of each row."""
        own = self.attention
        if not serves_here(x, own.head_width) or (
            self.check and not kernels_agree(x.device, dtype_of_products(x), own.head_width)
        ):
            return DisentangledAttention.mix(own, x, valid, positions)
        return self.by_kernels(x, valid, positions)

    def by_kernels(self, x: Tensor, valid: Tensor | None, positions: Tensor) -> Tensor:
        """Whatever serves: what goes into the output layer, (B, U, H D)."""
        own = self.attention
        columns, low, high = columns_of(
            x.shape[1], own.buckets, own.max_positions, x.device, by_offset=torch.is_grad_enabled()
        )
        position_query, position_key = (rows_of(y, columns.rows) for y in own.project_positions(positions, low, high))
        query, key, value = (join_heads(y) for y in own.project(x))
        lengths = torch.full((len(x),), x.shape[1], dtype=torch.int32, device=x.device)
        return attend(
            query,
            key,
            value,
            position_query,
            position_key,
            columns,
            lengths if valid is None else valid.sum(1, dtype=torch.int32),
            own.heads,
            own.dropout if own.training else 0.0,
        )


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
            use_kernels(layer, "fused" if kernels == "fused" else "plain")
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


def serves(
    device: str, dtype: torch.dtype, head_width: int, capability: tuple[int, int] | None, has_triton: bool
) -> bool:
    """Whether the kernels compute this attention.

    In fp32 the matrix products of the plain path are exact and cuBLAS's; the kernels are for the half precisions of tensor
    cores. Tiles need a power of two of at least 16.

    Args:
        device: "cuda" or another type.
        dtype: of the queries.
        head_width: D.
        capability: of the GPU; from 8.0 on (A100) it has what Triton needs for bf16.
        has_triton: whether Triton can be imported.
    """
    fits = dtype in (torch.bfloat16, torch.float16) and head_width in (16, 32, 64, 128)
    return device == "cuda" and has_triton and fits and (capability or (0, 0)) >= (8, 0)


def serves_here(x: Tensor, head_width: int) -> bool:
    """`serves` for frames (B, U, E) where they are, in the precision of the day."""
    if x.device.type != "cuda":
        return False
    capability = torch.cuda.get_device_capability(x.device)
    return serves("cuda", dtype_of_products(x), head_width, capability, has_triton())


def dtype_of_products(x: Tensor) -> torch.dtype:
    """The precision of matrix products with `x`, where it is."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


@lru_cache(maxsize=1)
def has_triton() -> bool:
    """Whether Triton can be imported."""
    return find_spec("triton") is not None


@lru_cache(maxsize=1024)
def columns_of(
    frames: int, buckets: int, max_positions: int, device: torch.device, *, by_offset: bool
) -> tuple[Columns, int, int]:
    """(columns of the kernels' products, low, high), for rows of table[low:high]."""
    index, low, high = offset_buckets(frames - 1, buckets, max_positions, torch.device("cpu"))
    with torch.inference_mode(False):
        columns = columns_by_offset(index) if by_offset else columns_by_bucket(index, high - low)
        return to_device(columns, device), low, high


def to_device(columns: Columns, device: torch.device) -> Columns:
    """The same columns where the kernels are."""
    table = None if columns.table is None else columns.table.to(device, non_blocking=True)
    return Columns(columns.rows.to(device, non_blocking=True), columns.reach, table)


def columns_by_bucket(index: Tensor, rows: int) -> Columns:
    """A column for each row of the table: fewest columns, for inference.

    Args:
        index: (2 U - 1,) row of each offset from U - 1 down to -(U - 1).
        rows: of the table, R.
    """
    reach = _reach(index)
    every = torch.arange(-(-rows // ALIGNED) * ALIGNED).clamp(max=rows - 1)
    return Columns(every, reach, _window(index, reach).to(torch.int32))


def columns_by_offset(index: Tensor) -> Columns:
    """A column for each offset that differs, so that the gradient of a column comes from one pair of frames a row.

    Only the two outermost have more than one; those are summed in registers. `index` is that of `columns_by_bucket`.
    """
    reach = _reach(index)
    rows = _window(index, reach)
    return Columns(functional.pad(rows, (0, -len(rows) % ALIGNED)), reach, None)


def _window(index: Tensor, reach: int) -> Tensor:
    middle = len(index) // 2
    return index.flip(0)[middle - reach : middle + reach + 1]  # offsets -reach up to reach


def _reach(index: Tensor) -> int:
    """The smallest offset from which on, on both sides, the row no longer changes."""
    middle = len(index) // 2
    changes = (index[1:] != index[:-1]).nonzero()[:, 0]
    if not len(changes):
        return 0
    return max(middle - int(changes[0]), int(changes[-1]) + 1 - middle)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    position_query: Tensor,
    position_key: Tensor,
    columns: Columns,
    lengths: Tensor,
    heads: int,
    dropout: float,
) -> Tensor:
    """Mixed values (B, U, E) of the score softmax, before the output layer.

    Args:
        query, key, value: (B, U, E), one dtype; thirds of one tensor are taken as they are.
        position_query: (H, N, D), scaled by 1 / sqrt(3 D), a row for each of `columns`.
        position_key: (H, N, D), not scaled.
        columns: must be by offset when a gradient is wanted.
        lengths: (B,) int32, keys that may be attended to: the first of each row, at least one.
        heads: H.
        dropout: on the weights; its pattern is a function of one number drawn from PyTorch's generator.
    """
    seed = lengths.new_zeros(1, dtype=torch.int64)
    if dropout:
        seed.random_()
    threshold = round(dropout * 2**32)
    if not _evenly_spaced(query, key, value):
        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
    tables = position_query.to(query.dtype), position_key.to(query.dtype)
    apply: Callable[..., Tensor] = _Attention.apply
    return apply(query, key, value, *tables, columns, lengths, seed, heads, threshold)


def _evenly_spaced(*inputs: Tensor) -> bool:
    """Whether the frames of all of them lie equally far apart, through all rows of the batch."""
    step = inputs[0].stride(1)
    return all(x.stride() == (x.shape[1] * step, step, 1) for x in inputs)


class _Attention(torch.autograd.Function):
    """Saves no product with the table: the way back makes them again."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        position_query: Tensor,
        position_key: Tensor,
        columns: Columns,
        lengths: Tensor,
        seed: Tensor,
        heads: int,
        threshold: int,
    ) -> Tensor:
        from sewcli.runtimes.fused_attention_kernel import forward_kernel

        batch, frames, width = query.shape
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        normaliser = torch.empty(batch * heads, frames, dtype=torch.float32, device=query.device)
        by_query, by_key = _products(query, position_key), _products(key, position_query)
        table = lengths if columns.table is None else columns.table
        with torch.cuda.device_of(query):  # Triton launches on the current device
            forward_kernel[(-(-frames // FORWARD["BLOCK_M"]), batch * heads)](
                query, key, value, by_query, by_key, table, lengths, seed, out, normaliser,
                batch, heads, frames, query.stride(1), by_query.shape[2], columns.reach, 1 / math.sqrt(3 * (width // heads)),
                BUCKETED=columns.table is not None, THRESHOLD=threshold, D=width // heads, **FORWARD,
            )  # fmt: skip
        ctx.save_for_backward(query, key, value, position_query, position_key, lengths, seed, out, normaliser)
        ctx.heads, ctx.threshold, ctx.columns = heads, threshold, columns
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from sewcli.runtimes.fused_attention_kernel import key_gradient_kernel, query_gradient_kernel

        query, key, value, position_query, position_key, lengths, seed, out, normaliser = ctx.saved_tensors
        columns, heads, gradient = ctx.columns, ctx.heads, gradients[0].contiguous()
        assert columns.table is None, "columns by bucket are for inference: several pairs of frames share one"
        batch, frames, width = query.shape
        by_query, by_key = _products(query, position_key), _products(key, position_query)
        of_query, of_key, of_value = (torch.empty_like(out) for _ in range(3))
        of_by_query, of_by_key = torch.zeros_like(by_query), torch.zeros_like(by_key)
        delta = torch.empty_like(normaliser)
        scale = 1 / math.sqrt(3 * (width // heads))
        sizes = (batch, heads, frames, query.stride(1), by_query.shape[2], columns.reach, scale)
        constants = {"SATURATES": columns.reach < frames - 1, "THRESHOLD": ctx.threshold, "D": width // heads}
        inputs = (query, key, value, by_query, by_key, lengths, lengths, seed)
        with torch.cuda.device_of(query):
            query_gradient_kernel[(-(-frames // BACKWARD["BLOCK_M"]), batch * heads)](
                *inputs, out, normaliser, gradient, delta, of_query, of_by_query, *sizes, **constants, **BACKWARD
            )
            key_gradient_kernel[(-(-frames // BACKWARD["BLOCK_N"]), batch * heads)](
                *inputs, normaliser, gradient, delta, of_key, of_value, of_by_key, *sizes, **constants, **BACKWARD
            )
        del by_query, by_key
        _by_head(of_query, heads).baddbmm_(of_by_query, position_key)
        _by_head(of_key, heads).baddbmm_(of_by_key, position_query)
        of_position_key = of_by_query.transpose(1, 2) @ _by_head(query, heads)
        of_position_query = of_by_key.transpose(1, 2) @ _by_head(key, heads)
        return of_query, of_key, of_value, of_position_query, of_position_key, None, None, None, None, None


def _by_head(x: Tensor, heads: int) -> Tensor:
    """(B, U, E) -> (H, B U, D), a view."""
    rows: Tensor = x.unflatten(2, (heads, -1))
    return rows.flatten(0, 1).transpose(0, 1)


def _products(x: Tensor, positions: Tensor) -> Tensor:
    """(B, U, E) with (H, N, D) -> (H, B U, N)."""
    products: Tensor = _by_head(x, len(positions)) @ positions.transpose(1, 2)
    return products
