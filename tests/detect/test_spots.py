"""Places from a map of probabilities. Oracles: maps drawn by hand."""

from __future__ import annotations

import numpy as np

from miscomp.detect.spots import REACH, smoothed, spots
from miscomp.records import Box


def drawn(*patches: tuple[int, int, int, int, float], shape: tuple[int, int] = (30, 40)) -> np.ndarray:
    values = np.zeros(shape, np.float32)
    for row, column, h, w, value in patches:
        values[row : row + h, column : column + w] = value
    return values


def test_a_patch_becomes_one_spot_around_its_cells() -> None:
    (spot,) = spots(drawn((10, 20, 4, 6, 0.8)), least=0.1, limit=9)
    box = spot.box(160, 120)
    assert box.iou(Box(80, 40, 24, 16)) > 0.6
    assert spot.value == np.float32(0.8)


def test_spots_come_strongest_first_and_keep_apart() -> None:
    found = spots(drawn((5, 5, 4, 4, 0.5), (5, 20, 4, 4, 0.9), (20, 5, 4, 4, 0.7)), least=0.1, limit=9)
    assert [round(spot.value, 3) for spot in found] == [0.9, 0.7, 0.5]


def test_limit_and_least_cut_the_weaker_ones() -> None:
    values = drawn((5, 5, 4, 4, 0.5), (5, 20, 4, 4, 0.9), (20, 5, 4, 4, 0.7))
    assert len(spots(values, least=0.1, limit=2)) == 2
    assert len(spots(values, least=0.6, limit=9)) == 2


def test_a_single_cell_keeps_half_of_its_strength() -> None:
    values = drawn((10, 10, 1, 1, 0.8))
    assert smoothed(values)[10, 10] == np.float32(0.4)
    (spot,) = spots(values, least=0.1, limit=9)
    assert spot.box(160, 120).contains(42, 42)


def test_an_empty_map_has_no_spots() -> None:
    assert spots(drawn(), least=0.0, limit=9) == []


def test_a_map_that_is_strong_everywhere_gives_boxes_of_bounded_size() -> None:
    for spot in spots(np.full((80, 80), 0.9, np.float32), least=0.1, limit=99):
        box = spot.box(320, 320)
        assert max(box.w, box.h) <= 4 * (2 * REACH + 1)


def test_no_cell_belongs_to_two_spots() -> None:
    values = np.random.default_rng(3).random((40, 50)).astype(np.float32)
    taken = np.zeros(values.shape, int)
    for spot in spots(values, least=0.0, limit=200):
        taken[spot.rows, spot.columns] += spot.cells
    assert taken.max() == 1


def test_a_box_ends_where_the_picture_ends() -> None:
    (spot,) = spots(drawn((26, 36, 4, 4, 0.9)), least=0.1, limit=9)
    box = spot.box(157, 118)
    assert (box.right, box.bottom) == (157, 118)


def test_a_mean_is_weighted_over_the_spots_own_cells() -> None:
    values = drawn((10, 10, 4, 4, 0.8))
    (spot,) = spots(values, least=0.1, limit=9)
    assert abs(spot.mean(np.where(values > 0, 0.25, 99).astype(np.float32), values) - 0.25) < 1e-3
