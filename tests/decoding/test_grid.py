"""The search for weights on surfaces whose minimum is known."""

import numpy as np
import pytest

from sewcli.decoding.grid import Axis, Point, best_point, grid_search

AXES = (Axis("lm_weight", 0, 5, 1, 0.125), Axis("word_score", -5, 5, 2.5, 0.25))


def counted(surface, tried: list[Point]):
    def count(points):
        tried.extend(points)
        return [surface(*point) for point in points]

    return count


@pytest.mark.parametrize("minimum", [(2.37, -0.61), (0.0, 0.0), (4.9, 4.9), (1.74, 0.52), (3.23, -4.4)])
def test_the_minimum_of_a_bowl_is_found_to_the_finest_step(minimum: Point) -> None:
    tried: list[Point] = []

    def surface(weight: float, score: float) -> int:
        return round(10_000 + 900 * (weight - minimum[0]) ** 2 + 150 * (score - minimum[1]) ** 2)

    found = grid_search(AXES, [(2.0, -1.0)], counted(surface, tried), 128)
    best = best_point(AXES, found)
    assert abs(best[0] - minimum[0]) <= 0.125 and abs(best[1] - minimum[1]) <= 0.25
    assert tried[0] == (2.0, -1.0) and len(set(tried)) == len(tried) == len(found) < 100


def test_a_narrow_valley_is_followed() -> None:
    """Weight and word score trade off: the coarse grid meets the valley beside its lowest place."""

    def surface(weight: float, score: float) -> int:
        return round(1000 * (weight - 2 - 0.4 * score) ** 2 + 5 * (score - 1.1) ** 2)

    best = best_point(AXES, grid_search(AXES, [], counted(surface, []), 128))
    assert surface(*best) < 20


def test_no_more_points_are_tried_than_allowed_and_none_outside_the_box() -> None:
    for limit in (1, 7, 40):
        tried: list[Point] = []
        found = grid_search(AXES, [(2.0, -1.0)], counted(lambda w, s: round(-100 * w - 10 * s), tried), limit)
        assert len(found) == len(tried) == limit
    assert all(0 <= w <= 5 and -5 <= s <= 5 for w, s in tried)


def test_a_search_that_knows_its_errors_takes_the_same_way() -> None:
    rng = np.random.default_rng(0)
    table: dict[Point, int] = {}

    def surface(weight: float, score: float) -> int:
        return table.setdefault((weight, score), int(rng.integers(0, 1000)))

    first = grid_search(AXES, [(2.0, -1.0)], counted(surface, []), 60)
    assert grid_search(AXES, [(2.0, -1.0)], counted(surface, []), 60) == first


def test_of_equal_points_the_one_in_their_middle_is_best() -> None:
    tried = {(1.0, 0.0): 3, (2.0, 0.0): 3, (3.0, 0.0): 3, (4.0, 0.0): 5}
    assert best_point(AXES, tried) == (2.0, 0.0)


def test_one_number_and_three() -> None:
    one = grid_search(AXES[:1], [], counted(lambda w: round(1000 * (w - 1.3) ** 2), []), 50)
    assert abs(best_point(AXES[:1], one)[0] - 1.3) < 0.13
    axes = (*AXES, Axis("neural", 0, 2, 0.5, 0.125))
    three = grid_search(
        axes, [], counted(lambda a, b, c: round(1000 * ((a - 2.1) ** 2 + (b - 1) ** 2 + (c - 0.8) ** 2)), []), 400
    )
    best = best_point(axes, three)
    assert np.allclose(best, (2.1, 1, 0.8), atol=0.26)
