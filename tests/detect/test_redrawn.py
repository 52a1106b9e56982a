"""Texture drawn anew. Oracles: textures whose every window is known to be kept, moved, blurred or replaced."""

from __future__ import annotations

import numpy as np
from planted import jpeg, lawn
from scipy import ndimage

from miscomp.detect.cells import measure
from miscomp.detect.redrawn import redrawn, redrawn_share
from miscomp.images import Pixels

GRASS = lawn(256, 256, contrast=40)


def share(a: Pixels, b: Pixels) -> float:
    return redrawn_share(measure(a, b))


def test_other_grass_of_the_same_kind_is_drawn_anew() -> None:
    other = lawn(256, 256, seed=1, contrast=40)
    assert share(GRASS, other) > 0.5
    assert redrawn(measure(GRASS, other)) == 1


def test_coding_blur_noise_and_brightness_draw_nothing_anew() -> None:
    noise = np.random.default_rng(0).normal(0, 4, GRASS.shape)
    for changed in (
        jpeg(GRASS, 40),
        ndimage.gaussian_filter(GRASS, (2, 2, 0)),
        np.clip(GRASS + noise, 0, 255).astype(np.uint8),
        np.clip(GRASS * 1.12, 0, 255).astype(np.uint8),
    ):
        assert redrawn(measure(GRASS, changed)) == 0


def test_a_part_counts_by_its_share_of_the_texture() -> None:
    part = GRASS.copy()
    part[:128] = lawn(256, 256, seed=1, contrast=40)[:128]
    assert 0.35 < share(GRASS, part) / share(GRASS, lawn(256, 256, seed=1, contrast=40)) < 0.65


def test_a_picture_without_texture_is_never_drawn_anew() -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert share(flat, flat + np.uint8(20)) == 0
