"""Alpha. Oracles: a worked example, the definition pair by pair, the package krippendorff, and theory."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import theoretical_alpha
from rated import PREVALENCE, rated, rated_tiles

from miscomp.stats.alpha import alpha_estimate, krippendorff_alpha
from miscomp.stats.resample import Method

EXAMPLE = [(0, 0, 0), (0, 0, 0), (1, 1, 1), (1, 1, 0)]


def from_the_definition(units: list[tuple[int, ...]]) -> float:
    """1 - observed / expected disagreement, from the matrix of coincidences, pair by pair."""
    coincidences = np.zeros((2, 2))
    for unit in units:
        answers = [one for one in unit if one >= 0]
        for one, other in permutations(answers, 2):
            coincidences[one, other] += 1 / (len(answers) - 1)
    each = coincidences.sum(axis=1)
    n = each.sum()
    if each.min() < 0.5:
        return float("nan")
    observed = (coincidences[0, 1] + coincidences[1, 0]) / n
    expected = 2 * each[0] * each[1] / (n * (n - 1))
    return float(1 - observed / expected)


@st.composite
def units(draw: st.DrawFn) -> list[tuple[int, ...]]:
    labelers = draw(st.integers(1, 5))
    unit = st.tuples(*[st.sampled_from([-1, 0, 1])] * labelers)
    return draw(st.lists(unit, min_size=1, max_size=12))


def test_the_worked_example() -> None:
    # 1 - (12 - 1) * 1 / (7 * 5)
    assert krippendorff_alpha(rated(EXAMPLE)) == pytest.approx(1 - 11 / 35, abs=1e-15)
    assert round(krippendorff_alpha(rated(EXAMPLE)), 3) == 0.686


@settings(deadline=None, max_examples=200, derandomize=True)
@given(units())
def test_alpha_is_the_definition(drawn: list[tuple[int, ...]]) -> None:
    assert krippendorff_alpha(rated(drawn)) == pytest.approx(from_the_definition(drawn), abs=1e-12, nan_ok=True)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(units(), st.integers(0, 2**32))
def test_the_order_of_units_and_labelers_and_the_names_of_the_answers_do_not_matter(
    drawn: list[tuple[int, ...]], seed: int
) -> None:
    values = np.array(drawn, dtype=np.int8)
    rng = np.random.default_rng(seed)
    mixed = rng.permutation(rng.permutation(values, axis=0), axis=1)
    swapped = np.where(values < 0, values, 1 - values)
    alphas = [krippendorff_alpha(rated(one.tolist())) for one in (values, mixed, swapped)]
    assert alphas == pytest.approx(alphas[:1] * 3, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("labelers", [2, 3, 6])
def test_alpha_is_the_package_krippendorff_s(labelers: int) -> None:
    package = pytest.importorskip("krippendorff", reason="krippendorff is not installed")
    rng = np.random.default_rng(labelers)
    values = rng.choice([-1, 0, 1], p=[0.2, 0.6, 0.2], size=(300, labelers))
    data = np.where(values < 0, np.nan, values).T
    theirs = package.alpha(reliability_data=data, level_of_measurement="nominal", value_domain=[0, 1])
    assert krippendorff_alpha(rated(values.tolist())) == pytest.approx(theirs, abs=1e-12)


def test_units_of_one_labeler_change_nothing() -> None:
    more = [*EXAMPLE, (1, -1, -1), (-1, 0, -1), (-1, -1, -1)]
    assert krippendorff_alpha(rated(more)) == krippendorff_alpha(rated(EXAMPLE))


@pytest.mark.parametrize(
    "undefined",
    [
        [(0, 0, 0), (0, 0, 0)],  # one answer only
        [(1, 1), (1, -1), (-1, 0)],  # the other only where nobody can differ
        [(1,), (0,)],  # one labeler
        [(1, -1), (-1, 0)],  # none in common
    ],
)
def test_alpha_is_undefined_where_chance_leaves_no_disagreement(undefined: list[tuple[int, ...]]) -> None:
    assert np.isnan(krippendorff_alpha(rated(undefined)))
    for method in ("percentile", "bca"):
        found = alpha_estimate(rated(undefined), resamples=20, seed=0, method=method)
        assert (found.value, found.interval) == (None, None)


def test_alpha_is_1_without_disagreement_and_then_has_no_interval() -> None:
    found = alpha_estimate(rated([(1, 1), (0, 0)] * 20), resamples=200, seed=0)
    assert (found.value, found.interval) == (1.0, None)


def test_two_who_always_differ_are_below_chance() -> None:
    # n = 2 units, 4 answers, 2 of each: 1 - 3 * 2 / 4.
    assert krippendorff_alpha(rated([(0, 1), (1, 0)])) == -0.5


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("error", [0.02, 0.1, 0.3])
def test_the_interval_holds_the_theoretical_alpha_of_labelers_wrong_at_a_known_rate(
    error: float, method: Method
) -> None:
    ratings = rated_tiles(300, 16, error=error, rng=np.random.default_rng(17))
    found = alpha_estimate(ratings, resamples=1000, seed=0, method=method)
    assert found.interval is not None
    low, high = found.interval
    assert low is not None and high is not None
    assert low < theoretical_alpha(PREVALENCE, error) < high
    assert high - low < 0.1
    assert found.value == krippendorff_alpha(ratings)


def test_the_same_seed_gives_the_same_numbers() -> None:
    ratings = rated_tiles(30, 4, error=0.1, rng=np.random.default_rng(1))
    first, again, other = (alpha_estimate(ratings, resamples=100, seed=seed).interval for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_about_95_percent_of_the_intervals_hold_the_truth(method: Method) -> None:
    rng = np.random.default_rng(2)
    truth, hits, narrow = theoretical_alpha(PREVALENCE, 0.1), 0, 0
    for _ in range(400):
        ratings = rated_tiles(60, 8, error=0.1, rng=rng, alike=0.3)
        one_unit_an_image = rated(ratings.values.tolist())
        hits += holds(alpha_estimate(ratings, resamples=400, seed=0, method=method).interval, truth)
        narrow += holds(alpha_estimate(one_unit_an_image, resamples=400, seed=0, method=method).interval, truth)
    # Three standard errors of 95 % in 400 are 3.3 %; intervals from 60 images are known to be a little short.
    assert 0.90 <= hits / 400 <= 0.985
    # Tiles taken for independent: that interval is too short.
    assert narrow / 400 < 0.90


def holds(interval: tuple[float | None, float | None] | None, truth: float) -> bool:
    if interval is None or interval[0] is None or interval[1] is None:
        return False
    return interval[0] <= truth <= interval[1]
