from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import logistic, norm
from tiny_lucid import integer_frequencies

from miscomp.codecs.entropy import CodingTables, SymbolCounter
from miscomp.codecs.frequencies import (
    CODED_FROM,
    SYMBOL_LIMIT,
    TOTAL,
    Counts,
    Frequencies,
    fitted_frequencies,
    gaussian_frequencies,
    logistic_frequencies,
    shipped_logistic,
)
from miscomp.codecs.gaussian import SCALE_TABLE

Residuals = npt.NDArray[np.int32]


def heavy_tailed(seed: int) -> tuple[Residuals, npt.NDArray[np.int64]]:
    """Residuals with longer tails than the Gaussians of their scales, as networks leave them."""
    rng = np.random.default_rng(seed)
    indexes = rng.integers(0, 64, 60_000)
    drawn = np.round(rng.laplace(0, 0.8 * SCALE_TABLE[indexes]))
    return np.clip(drawn, -SYMBOL_LIMIT, SYMBOL_LIMIT).astype(np.int32), indexes


def counted(symbols: Residuals, indexes: npt.NDArray[np.int64]) -> Counts:
    seen = np.zeros((64, SYMBOL_LIMIT + 1), dtype=np.int64)
    np.add.at(seen, (indexes, np.abs(symbols)), 1)
    return seen


def bits(frequencies: Frequencies, symbols: Residuals, indexes: npt.NDArray[np.int64]) -> float:
    counter = SymbolCounter(CodingTables(frequencies))
    counter.code(symbols, indexes)
    return counter.bits


@pytest.mark.parametrize(
    "frequencies",
    [
        gaussian_frequencies(),
        fitted_frequencies(counted(*heavy_tailed(0))),
        integer_frequencies(),
        logistic_frequencies(),
    ],
    ids=["gaussian", "fitted", "formula", "logistic"],
)
def test_every_table_is_symmetric_positive_and_shares_out_everything(frequencies: Frequencies) -> None:
    assert len(frequencies.halves) == 64
    for index in np.flatnonzero(frequencies.coded):
        whole = frequencies.whole(int(index))
        assert whole.shape == (2 * SYMBOL_LIMIT + 1,)
        assert whole.sum() == TOTAL
        assert whole.min() >= 1
        assert np.array_equal(whole, whole[::-1])


def test_gaussian_tables_hold_the_mass_of_the_normal_distribution() -> None:
    frequencies = gaussian_frequencies()
    value = np.arange(-SYMBOL_LIMIT, SYMBOL_LIMIT + 1)
    for index in (20, 40, 63):
        # Oracle: scipy's normal distribution; each value has 1 of 2^24 before the rest is shared out.
        scale = SCALE_TABLE[index]
        mass = norm.cdf((value + 0.5) / scale) - norm.cdf((value - 0.5) / scale)
        shares = frequencies.whole(index) / TOTAL
        assert shares[SYMBOL_LIMIT + 1 :] == pytest.approx(mass[SYMBOL_LIMIT + 1 :], rel=3e-4, abs=2e-7)
        # What rounding leaves of 4095 values, less than 1 each, goes to 0.
        assert 0 <= shares[SYMBOL_LIMIT] - mass[SYMBOL_LIMIT] * (1 - 4095 / TOTAL) < 4095 / TOTAL


def test_the_shipped_logistic_tables_are_those_and_hold_the_distributions_mass() -> None:
    shipped, computed = shipped_logistic(), logistic_frequencies()
    digest = hashlib.sha256(b"".join(half.astype("<i4").tobytes() for half in shipped.halves)).hexdigest()
    assert digest == "b2e1843cbf6c488b9fd7488fe41a91d7a624bed261fe620e0461e789ab42664c"
    assert shipped.coded.all()
    value = np.arange(SYMBOL_LIMIT + 1)
    for index in range(64):
        # Another library's exponential may round otherwise.
        assert int(np.abs(shipped.whole(index) - computed.whole(index)).max()) <= 2
    for index in (0, 20, 40, 63):
        # Oracle: scipy's logistic distribution, cut off at the tables' ends.
        scale = SCALE_TABLE[index]
        mass = logistic.cdf((0.5 - value) / scale) - logistic.cdf((-0.5 - value) / scale)
        shares = shipped.whole(index)[SYMBOL_LIMIT:] / TOTAL
        assert shares[1:] == pytest.approx(mass[1:] / (mass[0] + 2 * mass[1:].sum()), rel=3e-4, abs=2e-7)


def test_scales_whose_residuals_are_as_good_as_always_0_are_not_coded() -> None:
    coded = gaussian_frequencies().coded
    assert coded.tolist() == (SCALE_TABLE >= CODED_FROM).tolist()
    # Oracle: scipy: the chance of a value other than 0 just below the limit.
    assert 2 * norm.sf(0.5 / SCALE_TABLE[~coded].max()) < 1e-6
    with_data = fitted_frequencies(np.ones((64, SYMBOL_LIMIT + 1), dtype=np.int64))
    assert with_data.coded.tolist() == coded.tolist()


def test_fitted_tables_code_like_residuals_in_fewer_bits_than_gaussian_ones() -> None:
    fitted = fitted_frequencies(counted(*heavy_tailed(0)))
    for seed in (0, 1):
        # Seed 0 is what they were fitted to, seed 1 was never seen.
        assert bits(fitted, *heavy_tailed(seed)) < 0.99 * bits(gaussian_frequencies(), *heavy_tailed(seed))


def test_fitted_tables_of_nothing_are_the_gaussian_ones_but_for_rounding() -> None:
    fitted = fitted_frequencies(np.zeros((64, SYMBOL_LIMIT + 1), dtype=np.int64))
    gaussian = gaussian_frequencies()
    for index in map(int, np.flatnonzero(fitted.coded)):
        difference = np.abs(fitted.whole(index) - gaussian.whole(index))
        assert difference[SYMBOL_LIMIT + 1 :].max() <= 0.001 * fitted.whole(index).max() + 1
        assert difference[SYMBOL_LIMIT] <= 4095


def test_fitted_tables_come_near_the_shares_of_much_data() -> None:
    seen = np.zeros((64, SYMBOL_LIMIT + 1), dtype=np.int64)
    seen[30, :4] = [6_000_000, 3_000_000, 800_000, 200_000]
    whole = fitted_frequencies(seen).whole(30)
    # Oracle: the shares of the counts, half of which are negative.
    assert whole[SYMBOL_LIMIT : SYMBOL_LIMIT + 4] / TOTAL == pytest.approx([0.6, 0.15, 0.04, 0.01], rel=2e-3)


def test_tables_come_back_from_their_flat_form() -> None:
    frequencies = gaussian_frequencies()
    again = Frequencies.from_flat(*frequencies.flat())
    assert all(np.array_equal(one, two) for one, two in zip(again.halves, frequencies.halves, strict=True))


def broken(index: int, half: list[int]) -> list[Counts]:
    halves = list(integer_frequencies().halves)
    halves[index] = np.array(half, dtype=np.int64)
    return halves


@pytest.mark.parametrize(
    ("halves", "message"),
    [
        ([], "0 tables of frequencies, needed 64"),
        (broken(5, [TOTAL - 2 * SYMBOL_LIMIT + 1]), "table 5 of frequencies adds up to 16777217, not 16777216"),
        (broken(5, [TOTAL, 0]), "table 5 of frequencies is out of its limits"),
        (broken(5, [TOTAL + 1]), "out of its limits"),
        (broken(5, [-1]), "out of its limits"),
        (broken(5, [1] * (SYMBOL_LIMIT + 2)), "out of its limits"),
        ([*broken(5, [])[:63], np.ones((1, 1), dtype=np.int64)], "table 63 of frequencies is out of its limits"),
    ],
)
def test_tables_that_break_their_rules_are_refused(halves: list[Counts], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Frequencies(halves)


@pytest.mark.parametrize(
    "sizes", [[0] * 63, [0] * 65, [], [-1, 1, *[0] * 62], [1, *[0] * 63], [2**62] * 4 + [0] * 60, [[0] * 64]]
)
def test_sizes_that_do_not_fit_the_frequencies_are_refused(sizes: list[int]) -> None:
    values = np.zeros(2, dtype=np.int64)
    with pytest.raises(ValueError, match="2 frequencies do not fit their tables"):
        Frequencies.from_flat(values, np.array(sizes, dtype=np.int64))
