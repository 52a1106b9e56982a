"""Intervals of shares in clusters, of quartiles, and of figures over resampled photographs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, quantile_test
from scipy.stats import t as student

from miscomp.report.summary import wilson, wilson_interval
from miscomp.stats.intervals import quantile_cells, ratio, resampled, share_cell
from miscomp.stats.tabular import Cell


def few(photographs: int) -> float:
    return float((norm.ppf(0.975) / student.ppf(0.975, photographs - 1)) ** 2)


def test_a_share_of_photographs_that_count_once_has_the_wilson_interval() -> None:
    cell = share_cell([1, 0, 0, 1, 0], [1, 1, 1, 1, 1])

    assert (cell.value, cell.n) == (0.4, 5)
    assert (cell.low, cell.high) == wilson(2, 5).interval


def test_reconstructions_that_say_the_same_are_no_further_evidence() -> None:
    """By hand: c photographs k times each, all alike, vary like c - 1 independent cases; fewer as c is small."""
    cell = share_cell([8] * 6 + [0] * 14, [8] * 20)

    assert (cell.value, cell.n) == (0.3, 160)
    assert (cell.low, cell.high) == pytest.approx(wilson_interval(0.3, 19 * few(20)))


def test_reconstructions_that_contradict_each_other_count_as_independent_at_most() -> None:
    cell = share_cell([1] * 10, [2] * 10)

    assert (cell.low, cell.high) == pytest.approx(wilson_interval(0.5, 20 * few(10)))


@pytest.mark.parametrize("share", [0, 1])
def test_where_all_agree_photographs_count_and_not_reconstructions(share: int) -> None:
    cell = share_cell([4 * share] * 5, [4] * 5)

    assert (cell.value, cell.n) == (share, 20)
    assert (cell.low, cell.high) == pytest.approx(wilson(5 * share, 5).interval)


def test_a_share_of_nothing_is_undefined() -> None:
    assert share_cell([], []) == share_cell([0], [0]) == Cell(value=None, n=0)


def test_the_interval_of_a_clustered_share_holds_the_truth_as_often_as_it_says() -> None:
    """Oracle: 800 samples of 60 photographs with 8 reconstructions each, whose chances are drawn around 0.3."""
    rng = np.random.default_rng(0)
    inside, naive = 0, 0
    for _ in range(800):
        hits = rng.binomial(8, rng.beta(0.6, 1.4, 60))
        cell = share_cell(hits.tolist(), [8] * 60)
        low, high = wilson(int(hits.sum()), 480).interval
        assert cell.low is not None and cell.high is not None
        inside += cell.low <= 0.3 <= cell.high
        naive += low <= 0.3 <= high

    assert 0.93 <= inside / 800 <= 0.97
    assert naive / 800 < 0.75


def test_few_photographs_with_many_boxes_claim_no_more_than_they_know() -> None:
    """Oracle: 800 samples of 5 photographs with 1 to 60 boxes that are much alike, drawn around 0.5."""
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(800):
        boxes = rng.geometric(1 / 12, 5)
        cell = share_cell(rng.binomial(boxes, rng.beta(0.5, 0.5, 5)).tolist(), boxes.tolist())
        assert cell.low is not None and cell.high is not None
        inside += cell.low <= 0.5 <= cell.high

    assert inside / 800 > 0.87


@pytest.mark.parametrize("n", [12, 25, 100, 731])
def test_quartiles_have_the_intervals_of_order_statistics(n: int) -> None:
    """Oracle: scipy's quantile_test, whose one-sided bounds at 97.5 % are the ends."""
    values = np.random.default_rng(n).gamma(2, size=n)
    for cell, p in zip(quantile_cells(values.tolist()), (0.25, 0.5, 0.75), strict=True):
        assert cell.n == n
        assert cell.value == pytest.approx(np.quantile(values, p))
        expected = quantile_test(values, q=np.quantile(values, p), p=p).confidence_interval(confidence_level=0.95)
        ends = [np.nan if end is None else end for end in (cell.low, cell.high)]
        if np.isfinite(list(expected)).all():
            assert ends == pytest.approx(list(expected))
        else:
            assert np.isnan(ends).all()


def test_few_values_have_quartiles_without_intervals() -> None:
    assert [cell.value for cell in quantile_cells([1.0, 2.0, 3.0])] == [1.5, 2.0, 2.5]
    assert all(cell.low is None and cell.high is None and cell.n == 3 for cell in quantile_cells([1.0, 2.0, 3.0]))
    assert quantile_cells([]) == (Cell(value=None, n=0),) * 3


def test_sums_over_drawn_photographs_keep_what_belongs_to_one_together() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])

    sums = resampled(values, 50, 7)

    assert sums.shape == (51, 2)
    assert sums[0].tolist() == [6.0, 60.0]
    assert (sums[:, 1] == 10 * sums[:, 0]).all()
    assert len(np.unique(sums[1:, 0])) > 3
    assert (resampled(values, 50, 7) == sums).all()
    assert (resampled(values, 50, 8) != sums).any()


def test_a_bootstrap_interval_of_a_mean_is_about_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(3).normal(5, 2, (400, 1))
    sums = resampled(np.hstack([values, np.ones_like(values)]), 4000, 0)

    found = ratio(sums[:, 0], sums[:, 1], 400)

    assert found.interval is not None
    half = 1.96 * values.std() / 20
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)


def test_ratios_without_a_denominator_or_without_variation_have_no_interval() -> None:
    assert ratio(np.zeros(9), np.zeros(9), 5).value is None
    same = ratio(np.full(9, 2.0), np.full(9, 2.0), 5)
    assert (same.value, same.interval) == (1.0, None)


def test_a_ratio_that_varies_by_rounding_alone_has_no_interval() -> None:
    """All boxes are alike, with a side that no sum of floating-point numbers holds exactly."""
    boxes = np.random.default_rng(1).integers(1, 6, 40).astype(np.float64)
    sums = resampled(np.stack([boxes * math.sqrt(13 * 17), boxes], axis=1), 500, 0)

    found = ratio(sums[:, 0], sums[:, 1], 40)

    assert len(np.unique(sums[:, 0] / sums[:, 1])) > 1
    assert found.value == pytest.approx(math.sqrt(13 * 17))
    assert found.interval is None
