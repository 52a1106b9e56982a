"""Settings and boxes on cells; oracles are the stated ranges and counting pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.detect.base import DetectSettings, cell_slices, inside, widened
from miscomp.detect.cells import measure
from miscomp.errors import UsageError
from miscomp.records import Box


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("per_megapixel", 0),
        ("per_megapixel", -1),
        ("per_megapixel", math.nan),
        ("per_megapixel", math.inf),
        ("at_least", -1),
        ("minimum_score", -0.1),
        ("minimum_score", 1.1),
        ("minimum_score", math.nan),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=rf"^{name} must .*, got {value}"):
        DetectSettings(**{name: value})  # type: ignore[arg-type]


def test_the_limit_follows_the_area_and_never_falls_below_the_least() -> None:
    settings = DetectSettings(per_megapixel=10, at_least=5)
    assert [settings.limit(w, h) for w, h in ((1, 1), (700, 700), (1000, 1000), (6000, 4000))] == [5, 5, 10, 240]


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 60), st.integers(1, 60))
def test_the_cells_of_a_box_are_those_that_its_pixels_lie_in(x: int, y: int, w: int, h: int) -> None:
    box = Box(x, y, min(w, 100 - x), min(h, 100 - y))
    rows, columns = cell_slices(box, (25, 25))
    assert set(range(25)[rows]) == {row // 4 for row in range(box.y, box.bottom)}
    assert set(range(25)[columns]) == {column // 4 for column in range(box.x, box.right)}
    numbers = np.arange(625, dtype=np.float32).reshape(25, 25)
    assert inside(numbers, box).size == len(range(25)[rows]) * len(range(25)[columns])


SMALL = measure(np.zeros((30, 50, 3), np.uint8), np.zeros((30, 50, 3), np.uint8))


@given(st.integers(0, 49), st.integers(0, 29), st.integers(1, 50), st.integers(1, 30), st.integers(1, 64))
def test_a_widened_box_covers_the_box_inside_the_picture(x: int, y: int, w: int, h: int, side: int) -> None:
    box = Box(x, y, min(w, 50 - x), min(h, 30 - y))
    wide = widened(box, side, SMALL)
    wide.check_inside(50, 30)
    assert wide.intersection(box) == box.area
    assert (wide.w, wide.h) == (min(max(box.w, side), 50), min(max(box.h, side), 30))
