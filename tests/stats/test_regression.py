"""Oracles: a 2 x 2 table by hand, statsmodels' own logit, data with known odds ratios, and separation by design."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as models

from miscomp.stats.regression import PERFECT, SAME, TOLD, regress

Floats = npt.NDArray[np.float64]


def _each(count: int) -> npt.NDArray[np.int64]:
    return np.arange(count, dtype=np.int64)


def _two_by_two(a: int, b: int, c: int, d: int) -> tuple[npt.NDArray[np.bool_], Floats]:
    """a and b: exposed with and without the outcome; c and d: not exposed."""
    outcome = np.repeat([True, False, True, False], [a, b, c, d])
    return outcome, np.repeat([1.0, 1.0, 0.0, 0.0], [a, b, c, d])


def _clustered(clusters: int, size: int, seed: int, *, alike: float) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Outcomes whose marginal model is logistic, with -0.7 for x (of the observation) and 0.4 for t (of the cluster).

    A share `alike` of the observations is decided by one number of the cluster: they resemble each other.
    """
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=clusters * size), np.repeat(rng.random(clusters) < 0.4, size).astype(np.float64)
    chance = 1 / (1 + np.exp(0.5 + 0.7 * x - 0.4 * t))
    shared = np.repeat(rng.random(clusters), size)
    drawn = np.where(rng.random(clusters * size) < alike, shared, rng.random(clusters * size))
    return drawn < chance, x, t


def test_a_two_by_two_table_gives_the_odds_ratio_and_interval_of_the_text_book() -> None:
    outcome, exposed = _two_by_two(30, 20, 15, 45)
    found = regress(outcome, {"exposed": exposed}, _each(110))
    odds = 30 * 45 / (20 * 15)
    error = math.sqrt(1 / 30 + 1 / 20 + 1 / 15 + 1 / 45)
    low, high = (odds * math.exp(side * 1.959964 * error) for side in (-1, 1))
    assert found.odds["exposed"].value == pytest.approx(odds, rel=1e-6)
    assert found.odds["exposed"].interval == pytest.approx((low, high), rel=1e-5)
    assert (found.observations, found.positives, found.clusters, found.separated) == (110, 45, 110, 0)
    assert found.correlation is None


def test_with_one_observation_a_cluster_it_is_logistic_regression_with_sandwich_errors() -> None:
    outcome, x, t = _clustered(400, 1, 3, alike=0.0)
    found = regress(outcome, {"x": x, "t": t}, _each(400))
    fit = models.Logit(outcome.astype(float), np.column_stack([np.ones(400), x, t])).fit(disp=False, cov_type="HC0")
    for place, name in enumerate(("x", "t"), start=1):
        assert found.odds[name].value == pytest.approx(math.exp(fit.params[place]), rel=1e-5)
        assert found.odds[name].interval == pytest.approx(np.exp(fit.conf_int()[place]), rel=1e-4)


def test_intervals_hold_known_odds_ratios_as_often_as_they_say_although_observations_are_alike() -> None:
    held = 0
    for seed in range(20):
        outcome, x, t = _clustered(120, 4, seed, alike=0.5)
        found = regress(outcome, {"x": x, "t": t}, np.repeat(_each(120), 4))
        for name, slope in (("x", -0.7), ("t", 0.4)):
            low, high = found.odds[name].interval or (None, None)
            held += bool(low is not None and high is not None and low <= math.exp(slope) <= high)
    # Binomial(40, 0.95) is below 34 once in 300 times; seeds are fixed.
    assert held >= 34


def test_doubling_the_observations_of_each_cluster_does_not_make_the_interval_narrower() -> None:
    outcome, _, t = _clustered(150, 1, 5, alike=0.0)
    once = regress(outcome, {"t": t}, _each(150)).odds["t"].interval
    twice = regress(np.repeat(outcome, 2), {"t": np.repeat(t, 2)}, np.repeat(_each(150), 2)).odds["t"].interval
    assert once is not None
    assert twice == pytest.approx(once, rel=1e-3)


def test_a_column_without_variation_or_told_by_others_is_named_and_the_others_stay() -> None:
    outcome, x, t = _clustered(200, 2, 7, alike=0.2)
    columns = {"x": x, "t": t, "same": np.full(400, 0.1), "sum": 2 * x - t + 3}
    found = regress(outcome, columns, np.repeat(_each(200), 2))
    alone = regress(outcome, {"x": x, "t": t}, np.repeat(_each(200), 2))
    assert found.left_out == {"same": SAME, "sum": TOLD}
    assert found.odds == alone.odds


def test_a_level_without_any_outcome_is_said_to_be_separated_and_the_rest_is_fitted_without_it() -> None:
    outcome, x, t = _clustered(200, 2, 9, alike=0.2)
    never = np.arange(400) % 5 == 0
    outcome = outcome & ~never
    cluster = np.repeat(_each(200), 2)
    found = regress(outcome, {"never": never.astype(np.float64), "x": x, "t": t}, cluster)
    rest = regress(outcome[~never], {"x": x[~never], "t": t[~never]}, cluster[~never])
    assert found.left_out == {"never": PERFECT}
    assert found.separated == 80
    assert found.odds["x"].value == pytest.approx(rest.odds["x"].value)
    assert found.odds["t"].interval == pytest.approx(rest.odds["t"].interval)


def test_a_value_that_tells_all_outcomes_is_said_to_do_so_and_nothing_is_invented() -> None:
    x = np.linspace(-1, 1, 50)
    found = regress(x > 0.1, {"x": x}, _each(50))
    assert found.odds == {}
    assert found.left_out == {"x": PERFECT}
    # The last one is the one that the border between the outcomes runs through.
    assert found.separated == 49
    assert found.problem


@pytest.mark.parametrize("outcomes", [[], [True] * 6, [False] * 6])
def test_without_both_outcomes_there_is_a_reason_and_no_odds_ratio(outcomes: list[bool]) -> None:
    outcome = np.array(outcomes, dtype=np.bool_)
    found = regress(outcome, {"x": np.arange(len(outcomes), dtype=np.float64)}, _each(len(outcomes)))
    assert found.odds == {}
    assert "x" in found.left_out
    assert found.problem


def test_fewer_clusters_than_odds_ratios_give_no_interval_of_no_width() -> None:
    outcome, x, t = _clustered(3, 40, 1, alike=0.2)
    found = regress(outcome, {"x": x, "t": t}, np.repeat(_each(3), 40))
    assert found.odds == {}
    assert found.problem == "2 odds ratios need more than 3 clusters, got 3"


def test_small_samples_give_finite_odds_ratios_or_a_reason_for_every_column() -> None:
    reasons = set()
    for seed in range(40, 70):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 40))
        columns = {f"{place}": (rng.random(n) < rng.random()).astype(np.float64) for place in range(3)}
        columns["x"] = rng.normal(size=n)
        found = regress(rng.random(n) < rng.random(), columns, rng.integers(0, max(1, n // 2), n))
        assert found.odds.keys() | found.left_out.keys() == columns.keys()
        assert not found.odds.keys() & found.left_out.keys()
        for odds in found.odds.values():
            assert odds.value is not None and math.isfinite(odds.value) and odds.value > 0
        reasons |= set(found.left_out.values())
    assert {SAME, PERFECT} <= reasons


def test_a_correlation_that_runs_away_gives_way_to_independence() -> None:
    rng = np.random.default_rng(51)
    n, k = int(rng.integers(2, 40)), int(rng.integers(1, 5))
    columns = {
        f"{place}": rng.normal(size=n) if rng.random() < 0.4 else (rng.random(n) < rng.random()).astype(np.float64)
        for place in range(k)
    }
    outcome = rng.random(n) < rng.random()
    found = regress(outcome, columns, rng.integers(0, max(1, n // 2), n))
    assert found.separated == 3
    assert found.odds.keys() == {"0", "3"}
    assert found.correlation is None
    assert all(0.01 < (odds.value or 0) < 100 for odds in found.odds.values())
