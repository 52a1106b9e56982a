"""Change maps of drawn pairs; oracles are invariants (equality, symmetry, scale) and what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import BLUE, jpeg, lawn, with_disc
from scipy import ndimage

from miscomp.detect.cells import as_map, measure
from miscomp.detect.change import (
    VISIBLE,
    change_maps,
    change_picture,
    changed,
    energy_ratio,
    rms,
    structure_similarity,
    window,
)


def test_equal_pictures_have_no_change() -> None:
    cells = measure(lawn(), lawn())
    maps = change_maps(cells)
    assert not maps.amount_squared.any() and not change_picture(maps).any()
    assert structure_similarity(cells) == pytest.approx(1)
    assert not energy_ratio(cells).any()


@given(st.floats(0, 10), st.floats(0, 10))
@settings(deadline=None)
def test_more_change_is_never_less_visible(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= changed(low) <= changed(high) <= 1


def test_the_visible_amount_passes_one_minus_one_over_e() -> None:
    assert float(changed(VISIBLE)) == pytest.approx(1 - 1 / np.e)
    assert float(changed(0.0)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2), (20, 30)])
@pytest.mark.parametrize("side", [3, 9, 23, 139])
def test_a_window_larger_than_the_map_is_a_mean_all_the_same(shape: tuple[int, int], side: int) -> None:
    """Oracle: SciPy's filter, whose `mirror` repeats a map without its outermost values."""
    values = as_map(np.random.default_rng(0).random(shape))
    assert window(values, side) == pytest.approx(ndimage.uniform_filter(values, side, mode="mirror"), abs=1e-5)
    assert np.isfinite(rms(-values, side)).all()


def test_every_kind_of_change_is_the_same_in_both_directions() -> None:
    a, b = lawn(), with_disc(lawn(), (100, 90), 24)
    there, back = measure(a, b), measure(b, a)
    assert np.array_equal(change_maps(there).amount_squared, change_maps(back).amount_squared)
    assert structure_similarity(there) == pytest.approx(structure_similarity(back))
    assert energy_ratio(there) == pytest.approx(-energy_ratio(back), abs=1e-5)


def test_the_map_shows_the_place_that_changed_and_no_other() -> None:
    picture = change_picture(change_maps(measure(with_disc(lawn(), (100, 90), 24), lawn())))
    assert picture.shape == (50, 50) and picture.dtype == np.uint8
    assert picture[20:25, 23:27].min() > 200
    picture[16:29, 18:32] = 0
    assert not picture.any()


def test_a_change_of_hue_alone_is_change_of_chroma() -> None:
    a, b = (with_disc(lawn(contrast=0), (100, 90), 24, colour) for colour in ((128, 90, 90), (90, 106, 110)))
    maps = change_maps(measure(a, b))
    middle = np.s_[21:24, 24:26]
    assert maps.chroma_squared[middle].min() > 100 * maps.lightness_squared[middle].max()


def test_blur_lowers_and_noise_raises_the_energy() -> None:
    a = lawn()
    blurred = np.round(ndimage.gaussian_filter(a.astype(float), (2, 2, 0))).astype(np.uint8)
    noise = np.random.default_rng(1).normal(0, 12, (*a.shape[:2], 1))
    grainy = np.clip(np.round(a + noise), 0, 255).astype(np.uint8)
    assert energy_ratio(measure(a, blurred)).max() < -0.3
    assert np.median(energy_ratio(measure(a, grainy))) > 0.2


def test_a_stronger_compression_changes_more_and_is_less_alike() -> None:
    a = with_disc(lawn(), (100, 90), 24, BLUE)
    pairs = [measure(a, jpeg(a, quality)) for quality in (95, 60, 20, 5)]
    amounts = [float(change_maps(cells).amount_squared.mean()) for cells in pairs]
    similar = [float(structure_similarity(cells).mean()) for cells in pairs]
    assert amounts == sorted(amounts) and similar == sorted(similar, reverse=True)
    assert all(-1 <= structure_similarity(cells).min() <= structure_similarity(cells).max() <= 1 for cells in pairs)
