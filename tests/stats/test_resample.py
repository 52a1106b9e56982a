"""Resampling by classes. Oracles: the same images drawn and jackknifed one by one, and scipy's bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from rated import rated, rated_tiles
from scipy.stats import bootstrap, norm

from miscomp.benchmark.bootstrap import Floats
from miscomp.stats import resample
from miscomp.stats.resample import Classes, Sampling, classes, estimates, resampled, tally


def mean(counts: Floats) -> Floats:
    """Mean of units of kind 0, 1, 2 ... that are worth 0, 1, 2 ..."""
    units = np.where(counts.sum(axis=1) > 0, counts.sum(axis=1), np.nan)
    return np.asarray(counts @ np.arange(counts.shape[1]) / units)


def skewed(images: int) -> tuple[Classes, list[int]]:
    """One unit an image, worth 0 to 9, most of them little."""
    worth = [int(one) for one in np.random.default_rng(3).geometric(0.4, images).clip(max=10) - 1]
    found = classes(np.array(worth), np.arange(images), kinds=10)
    return found, worth


def test_images_that_hold_the_same_are_one_class() -> None:
    # Images 0 and 2 hold one unit of kind 1 and two of kind 0, in another order; image 1 holds one of kind 1.
    found = classes(np.array([1, 0, 0, 1, 0, 0, 1]), np.array([0, 0, 0, 1, 2, 2, 2]), kinds=2)
    assert found.rows.tolist() == [[0, 1], [2, 1]]
    assert found.images.tolist() == [1, 2]
    assert found.total.tolist() == [4, 3]


def test_units_seen_by_fewer_than_two_and_their_images_do_not_count() -> None:
    found = tally(rated([(1, 0, 1), (1, -1, -1), (0, -1, 0), (-1, -1, -1)], image=[0, 1, 2, 2]))
    assert (found.seen.tolist(), found.ones.tolist()) == ([2, 3], [0, 2])
    assert found.classes.count == 2
    assert found.left_out == 2


def test_no_units_are_no_images() -> None:
    found = tally(rated([(1, -1), (-1, -1)]))
    assert found.classes.count == 0
    assert estimates(found.classes, [mean], Sampling(resamples=9, seed=0))[0].value is None


@pytest.mark.parametrize("cost", [0, 10**9])
def test_drawn_by_class_or_by_image_totals_have_the_mean_and_spread_of_drawn_images(
    cost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resample, "_BINOMIAL_COST", cost)
    found, worth = skewed(200)
    totals = resampled(found, resamples=20_000, seed=5)
    assert (totals.sum(axis=1) == 200).all()
    drawn = mean(totals)
    assert drawn.mean() == pytest.approx(np.mean(worth), abs=4 * np.std(worth) / np.sqrt(200 * 20_000))
    assert drawn.std() == pytest.approx(np.std(worth) / np.sqrt(200), rel=0.02)


@pytest.mark.parametrize("cost", [0, 10**9])
def test_the_size_of_the_chunks_does_not_change_the_numbers(cost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample, "_BINOMIAL_COST", cost)
    found, _ = skewed(51)
    whole = resampled(found, resamples=100, seed=5)
    monkeypatch.setattr(resample, "_CHUNK", 300)
    assert resampled(found, resamples=100, seed=5).tolist() == whole.tolist()
    assert resampled(found, resamples=100, seed=6).tolist() != whole.tolist()


def test_the_order_of_images_and_of_labelers_does_not_change_the_numbers() -> None:
    before = rated_tiles(20, 4, error=0.1, rng=np.random.default_rng(1))
    order = np.random.default_rng(2).permutation(20)
    after = before.values.reshape(20, 4, 3)[order][..., [2, 0, 1]].reshape(80, 3)
    totals = [
        resampled(tally(one).classes, resamples=50, seed=0).tolist()
        for one in (before, rated(after.tolist(), before.image.tolist()))
    ]
    assert totals[0] == totals[1]


def test_a_percentile_interval_is_two_quantiles_of_the_resamples() -> None:
    found, _ = skewed(40)
    drawn = sorted(mean(resampled(found, resamples=1000, seed=7)).tolist())
    (estimate,) = estimates(found, [mean], Sampling(resamples=1000, seed=7, level=0.9))
    assert estimate.interval == (drawn[49], drawn[949])


def test_bca_is_the_formula_with_a_jackknife_over_single_images() -> None:
    found, worth = skewed(40)
    drawn = mean(resampled(found, resamples=1000, seed=7))
    without = np.array([np.mean(worth[:at] + worth[at + 1 :]) for at in range(40)])
    steps = without.mean() - without
    a = (steps**3).sum() / (6 * (steps**2).sum() ** 1.5)
    z0 = norm.ppf(((drawn < np.mean(worth)).mean() + (drawn <= np.mean(worth)).mean()) / 2)
    shares = [norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in norm.ppf([0.025, 0.975])]
    expected = tuple(np.quantile(drawn, shares, method="inverted_cdf"))
    (estimate,) = estimates(found, [mean], Sampling(resamples=1000, seed=7, method="bca"))
    assert estimate.interval == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_are_scipy_s_but_for_the_draws(method: resample.Method) -> None:
    found, worth = skewed(60)
    theirs = bootstrap(
        (np.array(worth),), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(1)
    ).confidence_interval
    (estimate,) = estimates(found, [mean], Sampling(resamples=20_000, seed=7, method=method))
    assert estimate.interval == pytest.approx((theirs.low, theirs.high), abs=0.04)  # a fifteenth of its width


def test_bca_leans_where_the_percentile_interval_does_not() -> None:
    # The mean of a skewed sample: both ends of BCa lie higher.
    found, _ = skewed(40)
    plain, leaning = (
        estimates(found, [mean], Sampling(resamples=5000, seed=7, method=method))[0].interval
        for method in ("percentile", "bca")
    )
    assert plain and leaning
    assert leaning[0] > plain[0]  # type: ignore[operator]
    assert leaning[1] > plain[1]  # type: ignore[operator]


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_where_nothing_varies_or_one_image_is_all_there_is_no_interval(method: resample.Method) -> None:
    sampling = Sampling(resamples=50, seed=0, method=method)
    alike = classes(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), kinds=2)
    alone = classes(np.array([0, 1]), np.array([0, 0]), kinds=2)
    for found in (alike, alone):
        (estimate,) = estimates(found, [mean], sampling)
        assert (estimate.value, estimate.interval) == (0.5, None)


def test_where_more_than_a_tenth_of_the_resamples_are_undefined_there_is_no_interval() -> None:
    def defined_with_a_2(counts: Floats) -> Floats:
        return np.where(counts[:, 2] > 0, mean(counts), np.nan)

    # Drawing 4 or 8 images, the one of kind 2 is missing in (3/4)^4 = 32 % and, where half are such, (1/2)^8 = 0.4 %.
    rare = classes(np.array([0, 0, 1, 2]), np.arange(4), kinds=3)
    often = classes(np.array([0, 1, 1, 1, 2, 2, 2, 2]), np.arange(8), kinds=3)
    sampling = Sampling(resamples=2000, seed=0)
    assert estimates(rare, [defined_with_a_2], sampling)[0].interval is None
    assert estimates(often, [defined_with_a_2], sampling)[0].interval is not None


def worth_present(counts: Floats) -> Floats:
    """Sum of what the kinds that occur are worth, however often they do."""
    return np.asarray((counts > 0) @ np.arange(1.0, counts.shape[1] + 1))


@pytest.mark.parametrize(
    "kinds",
    [
        list(range(20)),  # a resample of 20 that lacks none has a chance of 2e-8: all are below the value
        [0, 0, 1, 1, 2, 2],  # without any one image the value is the same: no acceleration
    ],
)
def test_bca_has_no_interval_where_its_corrections_are_undefined(kinds: list[int]) -> None:
    found = classes(np.array(kinds), np.arange(len(kinds)), kinds=max(kinds) + 1)
    samplings = [Sampling(resamples=200, seed=0, method=method) for method in ("percentile", "bca")]
    plain, bca = (estimates(found, [worth_present], one)[0] for one in samplings)
    assert plain.interval is not None
    assert (bca.value, bca.interval) == (plain.value, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resamples": 0}, "at least 1 resample, got 0"),
        ({"method": "normal"}, "unknown interval 'normal'; known: percentile, bca"),
        ({"level": 95}, "between 0 and 1, got 95"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**{"resamples": 10, "seed": 0, **settings})  # type: ignore[arg-type]
