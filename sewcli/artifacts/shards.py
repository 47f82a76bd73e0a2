"""One share of a long command's work, which other machines do the others of."""

from __future__ import annotations

Shard = tuple[int, int]
"""(i, n): the i-th of n, from 1."""


def shard_name(shard: Shard) -> str:
    """`3-of-8`: as folders of shards are called."""
    return f"{shard[0]}-of-{shard[1]}"
