"""What a first compression destroys. Oracles: arithmetic by hand on pictures of known differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from miscomp.errors import SizeMismatch
from miscomp.images import Pixels
from miscomp.records import Box
from miscomp.secure.damage import damages


def grey(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), 100, np.uint8)


def test_destroyed_parts_are_told_with_their_boxes_the_largest_first() -> None:
    x, x1 = grey(75, 90), grey(75, 90)
    x1[0:16, 0:16] += 102  # (102 / 255)^2 = 0.16: 7.96 dB
    x1[32:48, 32:48] += 51  # 13.98 dB, and over a corner beside it
    x1[48:75, 48:90] += 51
    x1[0:16, 64:80] += 45  # 15.07 dB: coded badly, not destroyed
    first, second = damages(x, x1)
    assert first.box == Box(32, 32, 58, 43)
    assert first.psnr_db == pytest.approx(10 * math.log10(25), abs=1e-4)
    assert second.box == Box(0, 0, 16, 16)
    assert second.psnr_db == pytest.approx(10 * math.log10(1 / 0.16), abs=1e-4)


def test_a_picture_that_is_coded_as_it_should_be_has_no_damage() -> None:
    assert damages(grey(40, 40), grey(40, 40)) == ()
    with pytest.raises(SizeMismatch):
        damages(grey(40, 40), grey(40, 41))
