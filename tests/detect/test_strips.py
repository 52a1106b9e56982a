"""Corners and strips by hand; the oracles are plain geometry and pictures that were turned on purpose."""

import numpy as np
import pytest

from miscomp.detect.strips import grown, moved, place_along, sides, straightened
from miscomp.detect.words import Quad

QUAD: Quad = ((10.0, 10.0), (30.0, 10.0), (30.0, 20.0), (10.0, 20.0))


def test_moving_and_growing_a_quad_by_hand() -> None:
    assert moved(QUAD, 1, -2) == ((11, 8), (31, 8), (31, 18), (11, 18))
    assert grown(QUAD, 2) == ((8, 8), (32, 8), (32, 22), (8, 22))


def test_sides_are_along_and_across_and_never_zero() -> None:
    assert sides(QUAD) == (20, 10)
    point = ((3.0, 3.0),) * 4
    assert sides(point) == (1, 1)


@pytest.mark.parametrize(("x", "y", "place"), [(10, 15, 0.0), (20, 12, 0.5), (30, 15, 1.0), (40, 15, 1.5)])
def test_places_along_a_line_run_from_its_start_to_its_end(x: float, y: float, place: float) -> None:
    assert place_along(QUAD, x, y) == pytest.approx(place)


def test_a_line_that_runs_upwards_is_laid_flat() -> None:
    picture = np.zeros((60, 40, 3), np.uint8)
    picture[10:30, 10:20] = 250  # the line's second half, seen from below
    upwards: Quad = ((10.0, 50.0), (10.0, 10.0), (20.0, 10.0), (20.0, 50.0))
    strip = straightened(picture, upwards, height=24, most=200)
    assert strip.shape == (24, 96, 3)
    assert strip[:, :44].max() < 20 and strip[4:20, 54:90].min() > 230


def test_strips_are_neither_thinner_nor_wider_than_allowed() -> None:
    picture = np.zeros((20, 400, 3), np.uint8)
    wide: Quad = ((0.0, 0.0), (400.0, 0.0), (400.0, 2.0), (0.0, 2.0))
    assert straightened(picture, wide, height=48, most=300).shape == (48, 300, 3)
    thin: Quad = ((0.0, 0.0), (1.0, 0.0), (1.0, 20.0), (0.0, 20.0))
    assert straightened(picture, thin, height=48, most=300).shape == (48, 8, 3)
