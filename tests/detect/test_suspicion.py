"""What a viewer of the reconstruction alone would notice; the oracle is what was done to the picture."""

from __future__ import annotations

import numpy as np
import pytest
from planted import WHITE, jpeg, lawn, photograph, with_disc
from scipy import ndimage

from miscomp.detect.cells import measure
from miscomp.detect.suspicion import SuspicionMaps, suspicion_maps
from miscomp.images import Pixels


def suspicion(reconstruction: Pixels) -> SuspicionMaps:
    return suspicion_maps(measure(lawn(*reconstruction.shape[:2]), reconstruction))


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    smooth: Pixels = np.round(ndimage.gaussian_filter(pixels.astype(float), (sigma, sigma, 0))).astype(np.uint8)
    return smooth


PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "chelsea")


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_strong_jpeg_shows_blocks_and_the_photograph_none(name: str) -> None:
    clean = photograph(name)
    before, after = suspicion(clean).blocks.mean(), suspicion(jpeg(clean, 10)).blocks.mean()
    assert before < 0.1
    assert after > before + 0.3


@pytest.mark.parametrize("name", [name for name in PHOTOGRAPHS if name != "rocket"])
def test_blur_is_noticed_where_there_are_edges(name: str) -> None:
    """The rocket stands before a smooth sky, on which blur does not show."""
    clean = photograph(name)
    before, after = suspicion(clean).blur.mean(), suspicion(blurred(clean, 2.5)).blur.mean()
    assert after > before + 0.3


def test_a_sharp_texture_is_not_suspicious() -> None:
    assert suspicion(lawn()).total.mean() < 0.1


def test_grain_on_a_smooth_picture_is_noticed() -> None:
    smooth = np.full((120, 120, 3), 128, np.uint8)
    grain = np.random.default_rng(0).normal(0, 12, (120, 120, 1))
    assert suspicion(np.round(smooth + grain).astype(np.uint8)).noise.mean() > 0.3
    assert suspicion(smooth).noise.max() == 0


def test_blur_in_one_place_is_noticed_there() -> None:
    sharp = lawn()
    mixed = sharp.copy()
    mixed[:, 100:] = blurred(sharp, 3)[:, 100:]
    blur = suspicion(mixed).blur
    assert blur[:, 35:].mean() > 0.4
    assert blur[:, :15].mean() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 9), (64, 64)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_flat_picture_is_not_suspicious(size: tuple[int, int], value: int) -> None:
    assert suspicion(np.full((*size, 3), value, np.uint8)).total.max() == 0


def test_only_the_reconstruction_is_looked_at() -> None:
    reconstruction = jpeg(with_disc(lawn(), (100, 90), 24), 10)
    other = suspicion_maps(measure(np.full_like(reconstruction, WHITE), reconstruction))
    assert np.array_equal(other.total, suspicion(reconstruction).total)
    assert 0 <= other.total.min() <= other.total.max() <= 1
