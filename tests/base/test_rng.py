"""Draws are functions of their key."""

import torch

from sewcli.base.rng import key, numpy_rng, seed_torch, torch_generator


def test_the_same_key_gives_the_same_draw_whatever_came_before() -> None:
    first = numpy_rng(1, "mask", 7, 0).random(5)
    numpy_rng(1, "mask", 8, 0).random(100)
    assert (numpy_rng(1, "mask", 7, 0).random(5) == first).all()
    seed_torch(1, "update", 3)
    a = torch.rand(3)
    torch.rand(100)
    seed_torch(1, "update", 3)
    assert torch.equal(torch.rand(3), a)


def test_every_part_of_the_key_counts() -> None:
    keys = {key(s, p, a, b) for s in range(4) for p in ("crop", "mask") for a in range(12) for b in range(12)}
    assert len(keys) == 4 * 2 * 12 * 12
    assert key(1, "a", 1, 23) != key(1, "a", 12, 3)


def test_keys_are_the_same_on_every_machine() -> None:
    assert key(1, "mask", 2, 3) == 4933651652440113308
    assert torch_generator(1, "x").initial_seed() == key(1, "x")
