"""Disentangled attention a tile at a time in Triton: no matrix of scores is ever in memory (Dao et al. 2022, 2023).

A tile's scores are q k^T plus two gathered terms: row i of `by_query` (queries times positions) and row j of `by_key`
(keys times positions), both at the column of i - j. Every number is written by one program, in a fixed order: no atomics,
so that gradients are the same in every run. Shapes: B batch, U frames, H heads, D head width, E = H D, N columns; inputs
(B, U, E) have their frames `step` numbers apart.
"""

import triton
import triton.language as tl

LOG2E: tl.constexpr = tl.constexpr(1.4426950408889634)
ROUNDS: tl.constexpr = tl.constexpr(7)  # of philox, as many as pass the tests of randomness (Salmon et al. 2011)


@triton.jit
def column_of(offset, table, reach, BUCKETED: tl.constexpr):
    """Column of i - j: itself from -`reach` up, where farther ones share the last, or what `table` has there."""
    column = tl.minimum(tl.maximum(offset, -reach), reach) + reach
    if BUCKETED:
        column = tl.load(table + column)
    return column


@triton.jit
def random_words(seed, i, start, frames, BLOCK_N: tl.constexpr):
    """32 random bits for each of the queries `i` and the keys from `start` (a multiple of 4) up, whatever the tiles."""
    groups = start // 4 + tl.arange(0, BLOCK_N // 4)
    counter = i[:, None] * tl.cdiv(frames, 4) + groups[None, :]
    a, b, c, d = tl.randint4x(seed, counter, ROUNDS)
    return tl.reshape(tl.join(tl.join(a, c), tl.join(b, d)), (i.shape[0], BLOCK_N))


@triton.jit
def scores_of(q, k, by_query, by_key, table, i, j, frames, length, columns, reach, scale, BUCKETED: tl.constexpr):
    """Scores (BLOCK_M, BLOCK_N) in units of log 2; minus infinity where there is no key."""
    inside = (i < frames)[:, None] & (j < length)[None, :]
    column = column_of(i[:, None] - j[None, :], table, reach, BUCKETED)
    from_query = tl.load(by_query + i[:, None].to(tl.int64) * columns + column, mask=inside, other=0.0).to(tl.float32)
    across = (j < length)[:, None] & (i < frames)[None, :]  # a row of `by_key` is read along i
    column = column_of(i[None, :] - j[:, None], table, reach, BUCKETED)
    from_key = tl.load(by_key + j[:, None].to(tl.int64) * columns + column, mask=across, other=0.0).to(tl.float32)
    scores = tl.dot(q, tl.trans(k), input_precision="ieee") + from_query
    scores = scores * (scale * LOG2E) + tl.trans(from_key) * LOG2E
    return tl.where((j < length)[None, :], scores, float("-inf"))


@triton.jit
def rows_at(base, index, limit, width, D: tl.constexpr):
    """Rows (BLOCK, D) of one head; zero from `limit` on."""
    place = index[:, None].to(tl.int64) * width + tl.arange(0, D)[None, :]
    return tl.load(base + place, mask=(index < limit)[:, None], other=0.0)


@triton.jit
def put_rows(base, index, limit, width, x, D: tl.constexpr):
    """Write rows (BLOCK, D) of one head."""
    place = index[:, None].to(tl.int64) * width + tl.arange(0, D)[None, :]
    tl.store(base + place, x.to(base.dtype.element_ty), mask=(index < limit)[:, None])


@triton.jit
def place_of(batch, heads, frames, step, D: tl.constexpr):
    """This program's head: (batch row b, start in the inputs, start in (B, U, E), row in (H, B U, N), row in (B H, U))."""
    pair = tl.program_id(1)
    b, h = pair // heads, pair % heads
    row = b.to(tl.int64) * frames
    return b, row * step + h * D, row * heads * D + h * D, (h * batch + b).to(tl.int64) * frames, pair * frames


@triton.jit
def forward_kernel(
    query, key, value, by_query, by_key, table, lengths, seed, out, normaliser,
    batch, heads, frames, step, columns, reach, scale,
    BUCKETED: tl.constexpr, THRESHOLD: tl.constexpr, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """out = dropout(softmax(scores)) value, and log2 of each softmax's sum for the way back."""
    b, given, head, first, row = place_of(batch, heads, frames, step, D)
    width, length = heads * D, tl.load(lengths + b)
    i = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    q = rows_at(query + given, i, frames, step, D)
    stream = tl.load(seed) + tl.program_id(1)
    best = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    mixed = tl.zeros((BLOCK_M, D), tl.float32)
    for start in range(0, length, BLOCK_N):
        j = start + tl.arange(0, BLOCK_N)
        k = rows_at(key + given, j, length, step, D)
        v = rows_at(value + given, j, length, step, D)
        scores = scores_of(
            q, k, by_query + first * columns, by_key + first * columns, table,
            i, j, frames, length, columns, reach, scale, BUCKETED,
        )  # fmt: skip
        higher = tl.maximum(best, tl.max(scores, 1))
        weights = tl.exp2(scores - higher[:, None])
        shrink = tl.exp2(best - higher)
        total = total * shrink + tl.sum(weights, 1)
        if THRESHOLD > 0:
            weights = tl.where(random_words(stream, i, start, frames, BLOCK_N) >= THRESHOLD, weights, 0.0)
        mixed = mixed * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision="ieee")
        best = higher
    mixed = mixed / (total * (1 - THRESHOLD / 4294967296.0))[:, None]
    put_rows(out + head, i, frames, width, mixed, D)
    tl.store(normaliser + row + i, best + tl.log2(total), mask=i < frames)


@triton.jit
def weights_and_slopes(
    q, k, v, gradient, by_query, by_key, table, normal, delta, stream, i, start, frames, length, columns, reach, scale,
    BUCKETED: tl.constexpr, THRESHOLD: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """A tile again, on the way back: (weights after dropout, gradient of its scores)."""
    j = start + tl.arange(0, BLOCK_N)
    scores = scores_of(q, k, by_query, by_key, table, i, j, frames, length, columns, reach, scale, BUCKETED)
    weights = tl.where((i < frames)[:, None], tl.exp2(scores - normal[:, None]), 0.0)
    slopes = tl.dot(gradient, tl.trans(v), input_precision="ieee")
    dropped = weights
    if THRESHOLD > 0:
        keep = random_words(stream, i, start, frames, BLOCK_N) >= THRESHOLD
        rest = 1 / (1 - THRESHOLD / 4294967296.0)
        slopes, dropped = tl.where(keep, slopes * rest, 0.0), tl.where(keep, weights * rest, 0.0)
    return dropped, weights * (slopes - delta[:, None])


@triton.jit
def query_gradient_kernel(
    query, key, value, by_query, by_key, table, lengths, seed, out, normaliser, gradient, delta,
    query_gradient, by_query_gradient, batch, heads, frames, step, columns, reach, scale,
    SATURATES: tl.constexpr, THRESHOLD: tl.constexpr, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """A block of queries over all keys: gradients of the queries and of `by_query`; `delta` for the other kernel."""
    b, given, head, first, row = place_of(batch, heads, frames, step, D)
    width, length = heads * D, tl.load(lengths + b)
    i = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    q = rows_at(query + given, i, frames, step, D)
    g = rows_at(gradient + head, i, frames, width, D)
    own = tl.sum(rows_at(out + head, i, frames, width, D).to(tl.float32) * g.to(tl.float32), 1)
    tl.store(delta + row + i, own, mask=i < frames)
    normal = tl.load(normaliser + row + i, mask=i < frames, other=0.0)
    stream = tl.load(seed) + tl.program_id(1)
    target = by_query_gradient + first * columns + i[:, None].to(tl.int64) * columns
    low, high = tl.zeros((BLOCK_M,), tl.float32), tl.zeros((BLOCK_M,), tl.float32)
    result = tl.zeros((BLOCK_M, D), tl.float32)
    for start in range(0, length, BLOCK_N):
        j = start + tl.arange(0, BLOCK_N)
        k = rows_at(key + given, j, length, step, D)
        v = rows_at(value + given, j, length, step, D)
        _, slopes = weights_and_slopes(
            q, k, v, g, by_query + first * columns, by_key + first * columns, table, normal, own, stream,
            i, start, frames, length, columns, reach, scale, False, THRESHOLD, BLOCK_N,
        )  # fmt: skip
        result += tl.dot(slopes.to(k.dtype), k, input_precision="ieee")
        offset = i[:, None] - j[None, :]
        alone = (i < frames)[:, None] & (j < length)[None, :]
        if SATURATES:
            low += tl.sum(tl.where(offset <= -reach, slopes, 0.0), 1)
            high += tl.sum(tl.where(offset >= reach, slopes, 0.0), 1)
            alone = alone & (offset > -reach) & (offset < reach)
        tl.store(target + (offset + reach), (slopes * scale).to(target.dtype.element_ty), mask=alone)
    put_rows(query_gradient + head, i, frames, width, result * scale, D)
    if SATURATES:
        ends = by_query_gradient + first * columns + i.to(tl.int64) * columns
        tl.store(ends, (low * scale).to(ends.dtype.element_ty), mask=i < frames)
        tl.store(ends + 2 * reach, (high * scale).to(ends.dtype.element_ty), mask=i < frames)


@triton.jit
def key_gradient_kernel(
    query, key, value, by_query, by_key, table, lengths, seed, normaliser, gradient, delta,
    key_gradient, value_gradient, by_key_gradient, batch, heads, frames, step, columns, reach, scale,
    SATURATES: tl.constexpr, THRESHOLD: tl.constexpr, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """A block of keys over all queries: gradients of the keys, the values and `by_key`; zero for keys in the padding."""
    b, given, head, first, row = place_of(batch, heads, frames, step, D)
    width, length = heads * D, tl.load(lengths + b)
    start = tl.program_id(0) * BLOCK_N
    j = start + tl.arange(0, BLOCK_N)
    k = rows_at(key + given, j, length, step, D)
    v = rows_at(value + given, j, length, step, D)
    stream = tl.load(seed) + tl.program_id(1)
    target = by_key_gradient + first * columns + j[:, None].to(tl.int64) * columns
    low, high = tl.zeros((BLOCK_N,), tl.float32), tl.zeros((BLOCK_N,), tl.float32)
    of_key, of_value = tl.zeros((BLOCK_N, D), tl.float32), tl.zeros((BLOCK_N, D), tl.float32)
    for begin in range(0, tl.where(start < length, frames, 0), BLOCK_M):
        i = begin + tl.arange(0, BLOCK_M)
        q = rows_at(query + given, i, frames, step, D)
        g = rows_at(gradient + head, i, frames, width, D)
        normal = tl.load(normaliser + row + i, mask=i < frames, other=0.0)
        dropped, slopes = weights_and_slopes(
            q, k, v, g, by_query + first * columns, by_key + first * columns, table, normal,
            tl.load(delta + row + i, mask=i < frames, other=0.0), stream,
            i, start, frames, length, columns, reach, scale, False, THRESHOLD, BLOCK_N,
        )  # fmt: skip
        slopes = tl.trans(slopes)
        of_value += tl.dot(tl.trans(dropped.to(g.dtype)), g, input_precision="ieee")
        of_key += tl.dot(slopes.to(q.dtype), q, input_precision="ieee")
        offset = i[None, :] - j[:, None]
        alone = (j < length)[:, None] & (i < frames)[None, :]
        if SATURATES:
            low += tl.sum(tl.where(offset <= -reach, slopes, 0.0), 1)
            high += tl.sum(tl.where(offset >= reach, slopes, 0.0), 1)
            alone = alone & (offset > -reach) & (offset < reach)
        tl.store(target + (offset + reach), slopes.to(target.dtype.element_ty), mask=alone)
    put_rows(key_gradient + head, j, frames, width, of_key * scale, D)
    put_rows(value_gradient + head, j, frames, width, of_value, D)
    if SATURATES:
        ends = by_key_gradient + first * columns + j.to(tl.int64) * columns
        tl.store(ends, low.to(ends.dtype.element_ty), mask=j < length)
        tl.store(ends + 2 * reach, high.to(ends.dtype.element_ty), mask=j < length)
