"""Oracle: the deviation of the map that this project has for 8-bit pixels, which OpenCV computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from formula_weights import formula_picture
from torch import Tensor

from miscomp.images import Pixels
from miscomp.metrics.gmsd import gms_map
from miscomp.metrics.gmsd_loss import GmsdLoss


def pixels(x: Tensor) -> Pixels:
    return np.ascontiguousarray((255 * x).round().to(torch.uint8)[0].permute(1, 2, 0).numpy())


def expected(x: Tensor, x_hat: Tensor) -> float:
    return float(gms_map(pixels(x), pixels(x_hat)).std(dtype=np.float64))


@pytest.mark.parametrize("size", [(40, 52), (41, 33), (2, 9), (1, 1), (1, 30), (3, 5)])
def test_it_is_the_deviation_of_the_similarity_of_grey_pictures_of_any_size(size: tuple[int, int]) -> None:
    x = (255 * formula_picture(*size)).round()[:, :1].expand(-1, 3, -1, -1) / 255
    x_hat = (255 * (0.2 + 0.6 * x.flip(3))).round() / 255
    assert float(GmsdLoss()(x, x_hat)) == pytest.approx(expected(x, x_hat), abs=1e-6)


def test_colours_count_by_their_luminance() -> None:
    x = (255 * formula_picture(64, 64)).round() / 255
    x_hat = (255 * (0.1 + 0.8 * x.flip(2))).round() / 255
    # OpenCV rounds the luminance to whole levels.
    assert float(GmsdLoss()(x, x_hat)) == pytest.approx(expected(x, x_hat), abs=2e-3)
    assert expected(x, x_hat) > 0.1


def test_half_a_picture_that_lost_its_slope_is_worked_out_by_hand() -> None:
    """Where half the similarities are s and half are 1, the deviation is (1 - s) / 2."""
    columns = torch.arange(96.0)
    x, x_hat = (
        (2.5 * ramp / 255).expand(1, 3, 64, 96) for ramp in (columns, (columns - 48).clamp(min=0))
    )  # as steep as x on the right, flat on the left
    # Halved, the slope is 5 levels a pixel; Prewitt's difference over two pixels makes it 10.
    similarity = 170 / (10**2 + 170)
    assert float(GmsdLoss()(x, x_hat)) == pytest.approx((1 - similarity) / 2, abs=0.005)


def test_it_is_blind_to_a_negative() -> None:
    x = formula_picture(32, 32)
    assert float(GmsdLoss()(x, 1 - x)) == pytest.approx(0, abs=1e-6)
