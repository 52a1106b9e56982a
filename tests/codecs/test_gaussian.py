from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from miscomp.codecs.gaussian import (
    SCALE_BORDERS,
    SCALE_MAX,
    SCALE_MIN,
    SCALE_TABLE,
    gaussian_bits,
    scale_index,
)


def test_bits_are_those_of_the_normal_distribution() -> None:
    residual = torch.tensor([0.0, 0.3, -2.0, 4.0], dtype=torch.float64)
    scale = torch.tensor([0.11, 1.0, 1.5, 2.0], dtype=torch.float64)
    # Oracle: scipy's normal distribution.
    mass = norm.cdf((residual + 0.5) / scale) - norm.cdf((residual - 0.5) / scale)
    assert gaussian_bits(residual, scale).numpy() == pytest.approx(-np.log2(mass), rel=1e-9)


def test_bits_of_impossible_values_are_large_and_finite() -> None:
    bits = gaussian_bits(torch.tensor([1000.0]), torch.tensor([SCALE_MIN]))
    assert 29 < float(bits) < 31


def test_the_nearest_scale_of_the_table_is_chosen() -> None:
    scales = torch.tensor(np.exp(np.linspace(math.log(0.02), math.log(600), 2000)))
    # Oracle: search over the whole table on the logarithmic scale.
    nearest = np.abs(np.log(SCALE_TABLE)[None] - np.log(scales.numpy())[:, None]).argmin(1)
    assert scale_index(scales).tolist() == nearest.tolist()
    assert scale_index(torch.tensor([0.0, SCALE_MIN, SCALE_MAX, math.inf])).tolist() == [0, 0, 63, 63]


def test_scales_come_in_equal_ratios_with_borders_between_them() -> None:
    ratios = SCALE_TABLE[1:] / SCALE_TABLE[:-1]
    assert ratios == pytest.approx(np.full(63, (SCALE_MAX / SCALE_MIN) ** (1 / 63)))
    assert bool((SCALE_TABLE[:-1] < SCALE_BORDERS).all())
    assert bool((SCALE_TABLE[1:] > SCALE_BORDERS).all())
