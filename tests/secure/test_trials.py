"""One compression again. Oracles: arithmetic by hand and numpy's, on pictures of known differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from self_destroying import inverting

from miscomp.images import Pixels
from miscomp.secure.trials import Subject, lost_shares, try_again


def grey(height: int, width: int, level: int = 100) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


def test_a_block_is_lost_below_15_db_and_a_border_block_counts_like_another() -> None:
    p = grey(40, 40)
    p2 = p.copy()
    p2[:16, :16] += 46  # 10 log10(255^2 / 46^2) = 14.88 dB
    p2[:16, 16:32] += 45  # 15.07 dB
    p2[32:, 32:] += 46  # the corner's block has 8 x 8 pixels
    assert lost_shares(p, p2, None) == (2 / 9, None)


def test_blocks_with_foreign_pixels_are_counted_apart_and_mixed_ones_nowhere() -> None:
    p = grey(32, 64)
    p2 = p.copy()
    p2[:, :32] += 100
    foreign = np.zeros((32, 64), dtype=np.bool_)
    foreign[:16, :32] = True  # two lost blocks, wholly foreign
    foreign[0, 32] = True  # one pixel of a block that was kept
    foreign[16:, 48:] = True  # a kept block, wholly foreign
    lost, lost_foreign = lost_shares(p, p2, foreign)
    assert lost == 2 / 4  # 8 blocks less 3 foreign and 1 mixed
    assert lost_foreign == 2 / 3
    assert lost_shares(p, p2, np.ones((32, 64), dtype=np.bool_)) == (None, 4 / 8)


def test_a_marked_picture_inverts_and_its_row_says_so() -> None:
    p = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    p[0, 0] = (1, 2, 3)
    codec = inverting()
    row, p2 = try_again(Subject(filename="a", pixels=p, quality=40, edit="blur"), codec, 7)
    assert (p2 == 255 - p).all()
    error = np.square(255.0 - 2 * p.astype(float)).mean()
    assert row.psnr_db == pytest.approx(10 * math.log10(255**2 / error), abs=1e-9)
    assert row.again_bpp == 8 * (4 + 32 * 48 * 3 + 300 * 7) / (32 * 48)
    assert (row.picture, row.edit, row.quality, row.again_quality) == ("coded", "blur", 40, 7)
    assert row.fitted_psnr_db == math.inf and row.over_flat_db == math.inf and row.lost == 1
    assert row.local_correlation > 0.99, "a negative is recognised, whatever its PSNR"


def test_nothing_is_left_over_a_flat_colour_of_a_picture_that_is_one() -> None:
    row, _ = try_again(Subject(filename="a", pixels=grey(20, 20), quality=None), inverting(), 7)
    assert row.picture == "uncoded" and row.flat_psnr_db == math.inf and row.over_flat_db == 0
