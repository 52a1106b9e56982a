"""Bit rates by model: appendix Table 3."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from handmade import image, material

from miscomp.records import ModelRow
from miscomp.stats.rates import rate_table


def test_the_table_has_mean_deviation_and_quartiles_of_known_rates() -> None:
    """Oracles: the standard library's mean, stdev and quartiles."""
    rates = [0.1, 0.2, 0.4, 0.7, 1.1]
    models = {"01L": ModelRow(model="01L", codec="jpeg", setting="q10", target_bpp=0.25)}
    images = [image(number, "01L", bpp=rate) for number, rate in enumerate(rates)] + [image(9, "01L", bpp=None)]

    (row,) = rate_table(material(images, models=models), resamples=50).rows

    assert row["target"].value == 0.25 and row["setting"].value == "jpeg q10"
    assert row["mean"].value == pytest.approx(statistics.mean(rates))
    assert row["std"].value == pytest.approx(statistics.stdev(rates))
    assert [row[key].value for key in ("q25", "median", "q75")] == pytest.approx([0.2, 0.4, 0.7])
    assert (row["mean"].n, row["images"].value, row["unknown"].value) == (5, 6, 1)


def test_intervals_are_about_those_of_the_normal_distribution() -> None:
    """Oracle: normal rates, where the standard error of the mean is s / sqrt(n), of s about s / sqrt(2n)."""
    rates = np.random.default_rng(5).normal(1, 0.1, 500)

    (row,) = rate_table(material([image(k, "x", bpp=float(rate)) for k, rate in enumerate(rates)]), resamples=2000).rows

    mean, std, error = rates.mean(), rates.std(ddof=1), rates.std(ddof=1) / np.sqrt(500)
    assert row["mean"].low == pytest.approx(mean - 1.96 * error, abs=0.001)
    assert row["mean"].high == pytest.approx(mean + 1.96 * error, abs=0.001)
    assert row["std"].low == pytest.approx(std - 1.96 * error / np.sqrt(2), abs=0.001)
    assert row["std"].high == pytest.approx(std + 1.96 * error / np.sqrt(2), abs=0.001)


def test_one_rate_has_no_deviation_and_no_rate_has_no_numbers() -> None:
    one, none = rate_table(material([image(0, "a"), image(0, "b", bpp=None)]), resamples=20).rows

    assert (one["mean"].value, one["mean"].low, one["std"].value) == (0.25, None, None)
    assert none["mean"].value is none["median"].value is None
    assert none["unknown"].value == 1


def test_a_rate_that_never_varies_has_a_deviation_of_0_without_an_interval() -> None:
    (row,) = rate_table(material([image(k, "x", bpp=0.3) for k in range(30)]), resamples=50).rows

    assert (row["std"].value, row["std"].low, row["std"].high) == (0, None, None)
    assert (row["mean"].low, row["mean"].high) == (None, None)
