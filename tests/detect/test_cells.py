"""Cell maps of drawn pairs; oracles are what was drawn, and that cutting the work into parts changes nothing."""

from __future__ import annotations

from dataclasses import fields

import cv2
import numpy as np
import pytest
from planted import jpeg, lawn, with_disc

from miscomp.detect import cells
from miscomp.detect.cells import CellMaps, as_map, measure, oklab
from miscomp.errors import SizeMismatch
from miscomp.images import Pixels

NAMES = [field.name for field in fields(CellMaps) if field.name not in ("width", "height")]
FLOW = ("flow", "residual_moved")


def grey(value: int, height: int = 40, width: int = 40) -> Pixels:
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), (1, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (0.6279554, 0.2248631, 0.1258463)),
        ((0, 255, 0), (0.8664396, -0.2338874, 0.1794985)),
        ((0, 0, 255), (0.4520137, -0.0324570, -0.3115281)),
    ],
)
def test_oklab_of_the_corners_of_srgb_is_as_published(
    rgb: tuple[int, int, int], expected: tuple[float, float, float]
) -> None:
    """Oracle: OKLab coordinates of the sRGB primaries as commonly tabulated (CSS Color 4 conversions)."""
    assert oklab(np.array([[rgb]], np.uint8))[0, 0] == pytest.approx(expected, abs=2e-4)


def test_pictures_of_unequal_size_are_refused_with_both_sizes() -> None:
    with pytest.raises(SizeMismatch, match=r"40 x 30 .* 30 x 40"):
        measure(grey(0, 30, 40), grey(0, 40, 30))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5), (7, 9), (4, 4), (31, 33), (33, 34)])
def test_every_size_has_a_cell_for_every_pixel(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    maps = measure(a, b)
    assert (maps.width, maps.height) == (size[1], size[0])
    assert maps.shape == (-(-size[0] // 4), -(-size[1] // 4))
    for name in NAMES:
        values = getattr(maps, name)
        assert values.shape[:2] == maps.shape and values.dtype == np.float32
        assert np.isfinite(values).all()


def test_equal_pictures_differ_nowhere_and_do_not_move() -> None:
    a = lawn(90, 110)
    maps = measure(a, a.copy())
    for name in ("difference", "difference_coarse", "flow", "residual", "residual_moved"):
        assert not getattr(maps, name).any()
    assert np.array_equal(maps.a, maps.b) and np.array_equal(maps.energy_a, maps.energy_b)


def test_swapping_the_pictures_swaps_what_belongs_to_one_and_keeps_what_belongs_to_both() -> None:
    a, b = lawn(80, 80), with_disc(lawn(80, 80), (40, 40), 20)
    there, back = measure(a, b), measure(b, a)
    for one, other in (("a", "b"), ("energy_a", "energy_b"), ("energy_a_coarse", "energy_b_coarse")):
        assert np.array_equal(getattr(there, one), getattr(back, other))
    for name in ("difference", "difference_coarse", "residual"):
        assert np.array_equal(getattr(there, name), getattr(back, name))


def test_the_gradient_of_a_ramp_is_its_slope() -> None:
    """Oracle: a ramp of one step of lightness a column has that squared gradient, whatever the smoothing."""
    ramp = np.repeat(np.tile(np.arange(80, 144, dtype=np.uint8), (32, 1))[..., None], 3, axis=2)
    lightness = oklab(ramp)[..., 0]
    slope = float((lightness[0, 40] - lightness[0, 24]) / 16)
    maps = measure(ramp, grey(100, 32, 64))
    for name in ("energy_a", "difference", "energy_a_coarse", "difference_coarse"):
        assert getattr(maps, name)[4, 8] == pytest.approx(slope**2, rel=0.02)
    assert maps.energy_b.max() == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("shape", [(333, 60), (60, 333)])
def test_strips_change_no_map(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    a = lawn(*shape, seed=1)
    b = jpeg(with_disc(a, (shape[1] / 2, shape[0] / 2), 24), 30)
    whole = measure(a, b)
    monkeypatch.setattr(cells, "_STRIP", 64)
    cut = measure(a, b)
    for name in NAMES:
        assert getattr(cut, name) == pytest.approx(getattr(whole, name), abs=1e-6), name


def test_tiles_change_only_the_flow_and_that_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: a picture shifted by two pixels; the search of the flow starts anew in every tile, nothing else does."""
    canvas = lawn(264, 264, seed=2, contrast=25)
    a, b = canvas[:256, :256], canvas[:256, 2:258]
    whole = measure(a, b)
    monkeypatch.setattr(cells, "_TILE", 128)
    cut = measure(a, b)
    for name in NAMES:
        if name not in FLOW:
            assert np.array_equal(getattr(cut, name), getattr(whole, name)), name
    inner = np.s_[2:-2, 2:-2]
    assert np.abs(cut.flow - whole.flow)[inner].mean() < 0.05
    for maps in (whole, cut):
        assert np.median(maps.flow[inner], axis=(0, 1)) == pytest.approx([-2, 0], abs=0.1)
        assert maps.residual_moved.mean() < 0.1 * maps.residual.mean()


def test_the_number_of_threads_changes_no_map() -> None:
    a = lawn(200, 300, seed=3)
    b = jpeg(a, 20)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = measure(a, b)
        cv2.setNumThreads(3)
        three = measure(a, b)
    finally:
        cv2.setNumThreads(threads)
    for name in NAMES:
        assert np.array_equal(getattr(one, name), getattr(three, name)), name


def test_blocks_are_measured_where_blocks_are() -> None:
    """Oracle: tiles of 8 x 8 constant values have steps on the grid alone; the same moved by 4 has none there."""
    rng = np.random.default_rng(4)
    blocks = np.kron(rng.integers(60, 200, (9, 9)), np.ones((8, 8), np.int64)).astype(np.uint8)
    on = np.repeat(blocks[..., None], 3, axis=2)
    off = np.roll(on, (4, 4), axis=(0, 1))
    assert measure(on, on).blocking.mean() > 100 * max(float(measure(off, off).blocking[2:-2, 2:-2].mean()), 1e-6)


@pytest.mark.parametrize("sigma", [4.0, 8.0])
def test_noise_is_measured_by_its_standard_deviation(sigma: float) -> None:
    rng = np.random.default_rng(5)
    noisy = np.repeat(np.round(128 + sigma * rng.standard_normal((160, 160, 1))), 3, axis=2).astype(np.uint8)
    wanted = float(oklab(noisy)[..., 0].std())
    assert measure(noisy, noisy).noise.mean() == pytest.approx(wanted, rel=0.05)


def test_a_map_is_float32_whatever_it_was() -> None:
    assert as_map(np.ones((2, 2))).dtype == np.float32
