"""AC1 and the kappas. Oracles: calculations by hand, statsmodels and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import pytest
from rated import rated, rated_tiles

from miscomp.benchmark.bootstrap import Figure
from miscomp.stats.alpha import krippendorff_alpha
from miscomp.stats.chance import ac1_estimate, cohen_estimates, fleiss_estimate
from miscomp.stats.ratings import Ratings
from miscomp.stats.resample import Method

Estimate = Callable[..., Figure]


def ac1(units: Sequence[tuple[int, ...]]) -> float | None:
    return ac1_estimate(rated(units), resamples=10, seed=0).value


def fleiss(ratings: Ratings) -> float | None:
    return fleiss_estimate(ratings, resamples=10, seed=0).value


def test_ac1_by_hand_for_three_labelers() -> None:
    # Agreed (1 + 1 + 1/3 + 1 + 1) / 5 = 13/15; yes (1 + 1 + 2/3) / 5 = 8/15; by chance 2 * 8/15 * 7/15 = 112/225.
    units = [(1, 1, 1), (1, 1, 1), (1, 0, 1), (0, 0, 0), (0, 0, 0)]
    assert ac1(units) == pytest.approx((195 - 112) / (225 - 112), abs=1e-15)


def test_ac1_by_hand_with_units_not_seen_by_all() -> None:
    # Agreed (1 + 0 + 1/3) / 3 = 4/9; yes (1 + 1/2 + 1/3) / 3 = 11/18; by chance 2 * 11/18 * 7/18 = 77/162.
    units = [(1, 1, -1), (1, 0, -1), (1, 0, 0), (1, -1, -1)]
    assert ac1(units) == pytest.approx((72 - 77) / (162 - 77), abs=1e-15)


def test_ac1_stays_high_where_one_answer_is_rare_and_kappa_does_not() -> None:
    # 118 both yes, 5 and 2 of one alone. Agreed 0.944; yes 243/250; by chance 2 * 0.972 * 0.028 = 0.054432.
    ratings = rated([(1, 1)] * 118 + [(1, 0)] * 5 + [(0, 1)] * 2)
    found = ac1_estimate(ratings, resamples=500, seed=0)
    assert found.value == pytest.approx((0.944 - 0.054432) / (1 - 0.054432), abs=1e-12)
    assert within(found)
    (pair,) = cohen_estimates(ratings, resamples=10, seed=0)
    # By chance 123/125 * 120/125 + 2/125 * 5/125 = 0.94528.
    assert pair.kappa.value == pytest.approx((0.944 - 0.94528) / (1 - 0.94528), abs=1e-12)


def test_of_one_answer_only_ac1_is_1_and_the_kappas_are_undefined() -> None:
    ratings = rated([(0, 0, 0)] * 4)
    found = ac1_estimate(ratings, resamples=10, seed=0)
    assert (found.value, found.interval) == (1.0, None)
    assert fleiss(ratings) is None
    assert [one.kappa.value for one in cohen_estimates(ratings, resamples=10, seed=0)] == [None] * 3


@pytest.mark.parametrize("labelers", [2, 3, 7])
def test_fleiss_kappa_is_that_of_statsmodels(labelers: int) -> None:
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater", reason="the extra 'stats' is not installed")
    ratings = rated_tiles(40, 3, error=0.15, rng=np.random.default_rng(labelers), labelers=labelers)
    ones = ratings.values.sum(axis=1)
    theirs = inter_rater.fleiss_kappa(np.stack([labelers - ones, ones], axis=1), method="fleiss")
    assert fleiss(ratings) == pytest.approx(theirs, abs=1e-12)


def test_fleiss_kappa_is_alpha_but_for_the_size_of_the_sample() -> None:
    # With n answers: 1 - alpha = (1 - kappa) (n - 1) / n.
    ratings = rated_tiles(40, 3, error=0.15, rng=np.random.default_rng(0))
    kappa = fleiss(ratings)
    assert kappa is not None
    assert 1 - krippendorff_alpha(ratings) == pytest.approx((1 - kappa) * 359 / 360, abs=1e-12)


def test_fleiss_kappa_of_units_seen_by_different_numbers_is_an_error_that_names_them() -> None:
    with pytest.raises(ValueError, match="units seen by 2, 3 and 4; Krippendorff's alpha"):
        fleiss(rated([(1, 0, 1, -1), (1, 0, 1, 1), (1, 1, -1, -1)]))


def test_units_seen_by_one_do_not_make_the_numbers_unequal() -> None:
    whole = [(1, 0, 1), (0, 0, 0), (1, 1, 1)]
    more = [*whole, (1, -1, -1), (-1, -1, -1)]
    assert fleiss(rated(more)) == fleiss(rated(whole)) is not None


def test_cohen_s_kappas_are_those_of_scikit_learn_on_what_both_have_seen() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="the extra 'demo' is not installed")
    values = np.random.default_rng(1).choice([-1, 0, 1], p=[0.2, 0.5, 0.3], size=(200, 3))
    found = cohen_estimates(rated(values.tolist(), np.repeat(np.arange(50), 4).tolist()), resamples=200, seed=0)
    assert [(one.first, one.second) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    for pair, (first, second) in zip(found, [(0, 1), (0, 2), (1, 2)], strict=True):
        both = (values[:, first] >= 0) & (values[:, second] >= 0)
        theirs = metrics.cohen_kappa_score(values[both, first], values[both, second])
        assert pair.kappa.value == pytest.approx(theirs, abs=1e-12)
        assert pair.units == both.sum()
        assert within(pair.kappa)


def test_two_who_have_seen_nothing_in_common_have_no_kappa() -> None:
    first, _, _ = cohen_estimates(rated([(1, -1, 0), (-1, 1, 1)]), resamples=10, seed=0)
    assert (first.units, first.images, first.kappa) == (0, 0, Figure(value=None))


def test_without_units_all_are_undefined() -> None:
    ratings = rated([(1, -1), (-1, 0)])
    assert ac1_estimate(ratings, resamples=10, seed=0).value is None
    assert fleiss(ratings) is None


def test_no_kappa_is_made_for_one_labeler() -> None:
    assert cohen_estimates(rated([(1,), (0,)]), resamples=10, seed=0) == ()


@pytest.mark.parametrize("estimate", [ac1_estimate, fleiss_estimate])
def test_intervals_are_longer_by_the_root_of_the_tiles_where_those_of_an_image_are_alike(estimate: Estimate) -> None:
    one = rated_tiles(100, 1, error=0.1, rng=np.random.default_rng(4))
    units = np.repeat(one.values, 9, axis=0).tolist()
    alike, apart = (
        estimate(rated(units, image), resamples=2000, seed=0) for image in (np.repeat(one.image, 9).tolist(), None)
    )
    assert alike.value == apart.value
    assert length(alike) / length(apart) == pytest.approx(3, rel=0.1)


def test_bca_can_be_asked_for() -> None:
    ratings = rated_tiles(40, 3, error=0.1, rng=np.random.default_rng(4))
    for estimate in (ac1_estimate, fleiss_estimate):
        plain, bca = (estimate(ratings, resamples=3000, seed=0, method=one) for one in get_args(Method))
        assert within(bca) and bca.interval != plain.interval
    pairs = cohen_estimates(ratings, resamples=300, seed=0, method="bca", level=0.5)
    assert all(within(one.kappa) for one in pairs)


def within(found: Figure) -> bool:
    assert found.value is not None and found.interval is not None
    low, high = found.interval
    return low is not None and high is not None and low < found.value < high


def length(found: Figure) -> float:
    assert found.interval is not None
    low, high = found.interval
    assert low is not None and high is not None
    return high - low
