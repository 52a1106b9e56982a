from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.metrics.bd_rate import RatePoint, bd_psnr, bd_rate

CURVE: list[RatePoint] = [(0.1, 26.0), (0.25, 29.5), (0.6, 33.0), (1.1, 35.2), (1.6, 36.9)]


def scaled(factor: float, *, lift_db: float = 0.0) -> list[RatePoint]:
    return [(bpp * factor, psnr_db + lift_db) for bpp, psnr_db in CURVE]


@given(st.floats(0.05, 20.0))
def test_a_constant_factor_in_rate_is_exactly_that_percentage(factor: float) -> None:
    # Oracle: by definition, the mean of a constant is the constant.
    found = bd_rate(CURVE, scaled(factor))
    assert found.value == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert found.overlap == (26.0, 36.9) and found.reason == ""


@given(st.floats(-10.0, 10.0))
def test_a_constant_lift_is_exactly_that_many_db(lift_db: float) -> None:
    found = bd_psnr(CURVE, scaled(1.0, lift_db=lift_db))
    assert found.value == pytest.approx(lift_db, abs=1e-9)
    assert found.overlap == pytest.approx((0.1, 1.6))


def test_straight_lines_give_the_difference_at_the_middle_of_their_overlap() -> None:
    # Oracle: by hand. ln(bpp) is 0.10 p - 4 and 0.12 p - 5; from 30 to 36 dB they differ by 0.02 * 33 - 1 on average.
    anchor = [(math.exp(0.10 * p - 4), p) for p in (26.0, 29.0, 33.0, 36.0)]
    test = [(math.exp(0.12 * p - 5), p) for p in (30.0, 31.0, 36.0, 40.0)]
    found = bd_rate(anchor, test)
    assert found.value == pytest.approx(100 * (math.exp(0.02 * 33 - 1) - 1), abs=1e-9)
    assert found.overlap == (30.0, 36.0)


def test_curved_ones_agree_with_a_sum_over_a_fine_grid() -> None:
    # Oracle: smooth curves known in closed form, sampled densely, integrated by the trapezoidal rule.
    def rate(p: np.ndarray, shift: float) -> np.ndarray:
        return np.exp(0.15 * (p - 30) + 0.004 * (p - 30) ** 2 + shift * np.cos(p / 5))

    steps = np.linspace(27.0, 39.0, 60)
    anchor, test = (list(zip(rate(steps, shift).tolist(), steps.tolist(), strict=True)) for shift in (0.0, 0.2))
    fine = np.linspace(27.0, 39.0, 20001)
    mean = np.trapezoid(np.log(rate(fine, 0.2) / rate(fine, 0.0)), fine) / 12.0
    assert bd_rate(anchor, test).value == pytest.approx(100 * (math.exp(mean) - 1), abs=1e-3)


def test_exchanging_the_curves_inverts_the_ratio_and_the_order_of_points_does_not_matter() -> None:
    other = [(0.12, 27.0), (0.3, 30.9), (0.7, 34.1), (1.5, 37.4)]
    there, back = bd_rate(CURVE, other).value, bd_rate(other, CURVE).value
    assert there is not None and back is not None
    assert there < 0 < back
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1)
    assert bd_rate(CURVE[::-1], other[::-1]).value == there
    gain = bd_psnr(CURVE, other).value
    assert gain is not None and gain > 0 and bd_psnr(other, CURVE).value == pytest.approx(-gain)


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        (CURVE[:3], "the test has 3 of at least 4 points"),
        ([(0.1, 30.0), (0.2, 31.0), (0.3, 30.5), (0.4, 33.0)], "PSNR does not rise from 0.2 to 0.3 bpp"),
        ([(0.1, 30.0), (0.1, 31.0), (0.3, 32.0), (0.4, 33.0)], "does not rise from 0.1 to 0.1 bpp"),
        ([(0.1, 30.0), (0.2, 31.0), (0.3, 32.0), (9.0, math.inf)], "without loss at 9 bpp"),
    ],
)
def test_a_curve_that_is_none_has_no_difference_and_says_why(test: list[RatePoint], reason: str) -> None:
    for found in (bd_rate(CURVE, test), bd_psnr(CURVE, test)):
        assert found.value is None and found.overlap is None and reason in found.reason
    assert "the anchor" in bd_rate(test, CURVE).reason


def test_curves_without_a_common_range_say_both_ranges() -> None:
    far = scaled(1000.0, lift_db=50.0)
    assert bd_rate(CURVE, far).reason == "no common PSNR: the anchor has 26 to 36.9 dB, the test 76 to 86.9 dB"
    assert bd_psnr(CURVE, far).reason == "no common rate: the anchor has 0.1 to 1.6 bpp, the test 100 to 1600 bpp"
    touching = scaled(1.0, lift_db=36.9 - 26.0)
    assert bd_rate(CURVE, touching).value is None


@pytest.mark.parametrize("point", [(0.0, 30.0), (-1.0, 30.0), (math.inf, 30.0), (0.5, math.nan)])
def test_what_is_no_point_is_refused(point: RatePoint) -> None:
    with pytest.raises(ValueError, match="rate above 0 and a PSNR"):
        bd_rate(CURVE, [*CURVE, point])
