"""The breakdown of answers. Oracles: SCLIC's published Table 4, counts by hand, and variances from theory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from rated import rated, rated_tiles

from miscomp.stats.cells import Cells, cells, wald

CELLS = ("c_neg", "c_pos", "p_pos", "p_neg", "c_total")
# Tiles per side; percent, low, high for each of CELLS. 50 images; the counts follow from the percentages.
PUBLISHED = {
    1: "34.00 20.87 47.13 24.00 12.16 35.84 24.00 12.16 35.84 18.00 7.35 28.65 58.00 44.32 71.68",
    2: "59.50 52.70 66.30 11.00 6.66 15.34 14.50 9.62 19.38 15.00 10.05 19.95 70.50 64.18 76.82",
    4: "80.38 77.62 83.13 2.88 1.72 4.03 7.62 5.79 9.46 9.12 7.13 11.12 83.25 80.66 85.84",
    8: "92.16 91.22 93.09 0.75 0.45 1.05 2.56 2.02 3.11 4.53 3.81 5.25 92.91 92.02 93.80",
    16: "96.61 96.30 96.92 0.19 0.11 0.26 0.85 0.69 1.01 2.35 2.09 2.61 96.80 96.49 97.10",
}
ANSWERS = {"c_neg": (0, 0, 0), "c_pos": (1, 1, 1), "p_pos": (1, 0, 1), "p_neg": (0, 0, 1)}


def few(units: Sequence[tuple[int, ...]], image: list[int] | None = None) -> Cells:
    return cells(rated(units, image), resamples=200, seed=0)


@pytest.mark.parametrize("per_side", PUBLISHED)
def test_values_and_wald_intervals_are_the_published_ones(per_side: int) -> None:
    numbers = np.array(PUBLISHED[per_side].split(), dtype=float).reshape(5, 3)
    n = 50 * per_side**2
    counts = [round(value * n / 100) for value in numbers[:, 0]]
    assert sum(counts[:4]) == n
    units = [ANSWERS[name] for name, count in zip(ANSWERS, counts, strict=False) for _ in range(count)]
    found = few(units, np.repeat(np.arange(50), per_side**2).tolist())
    assert found.units == n and found.images == 50
    for name, count, published in zip(CELLS, counts, numbers, strict=True):
        share = getattr(found, name)
        assert (share.count, share.n) == (count, n)
        assert share.wald is not None
        # Half a hundredth of a percent, and what binary numbers miss of it.
        assert [100 * one for one in (share.value, *share.wald)] == pytest.approx(published.tolist(), abs=0.00501)


def test_the_appendix_example_of_four_tiles() -> None:
    found = few([(0, 0, 0), (0, 0, 0), (1, 1, 1), (1, 1, 0)], [0, 0, 0, 0])
    assert [getattr(found, name).value for name in CELLS] == [0.5, 0.25, 0.25, 0.0, 0.75]
    assert found.c_neg.cluster.interval is None  # One image.


def test_a_tie_is_no_majority_and_is_counted() -> None:
    found = few([(1, 1, 0, 0), (1, 1, 1, 0), (1, 0, 0, 0), (1, 0, -1, -1)])
    assert (found.p_pos.count, found.p_neg.count, found.ties) == (1, 3, 2)
    assert found.c_total.count == 0


def test_a_unit_is_judged_by_those_who_have_seen_it_if_they_are_two() -> None:
    found = few([(1, -1, 1), (-1, 0, 0), (1, -1, -1), (-1, -1, -1), (1, 1, 0)])
    assert (found.c_pos.count, found.c_neg.count, found.p_pos.count) == (1, 1, 1)
    assert (found.units, found.left_out, found.images) == (3, 2, 3)


def test_without_units_shares_are_undefined() -> None:
    found = few([(1, -1), (-1, 0)])
    assert (found.units, found.images, found.left_out) == (0, 0, 2)
    for name in CELLS:
        share = getattr(found, name)
        assert (share.value, share.wald, share.cluster.value, share.cluster.interval) == (None, None, None, None)


def test_a_share_of_0_or_1_has_no_interval_that_would_read_as_certain() -> None:
    found = few([(0, 0, 0)] * 30)
    assert (found.c_neg.value, found.c_neg.wald, found.c_neg.cluster.interval) == (1.0, None, None)
    assert (found.c_pos.value, found.c_pos.wald, found.c_pos.cluster.interval) == (0.0, None, None)


def test_wald_may_pass_0_and_1() -> None:
    below = wald(1, 50)
    above = wald(49, 50)
    assert below is not None and above is not None
    assert below[0] < 0 and above[1] > 1
    with pytest.raises(ValueError, match="got 51 of 50"):
        wald(51, 50)


def test_with_one_tile_an_image_both_intervals_are_about_the_same() -> None:
    found = cells(rated_tiles(800, 1, error=0.1, rng=np.random.default_rng(0)), resamples=4000, seed=0)
    for name in CELLS:
        share = getattr(found, name)
        assert share.cluster.interval == pytest.approx(share.wald, abs=0.004)


def test_where_the_tiles_of_an_image_are_all_alike_the_wald_interval_is_too_short_by_the_root_of_their_number() -> None:
    one = rated_tiles(200, 1, error=0.1, rng=np.random.default_rng(0))
    found = cells(
        rated(np.repeat(one.values, 16, axis=0).tolist(), np.repeat(one.image, 16).tolist()), resamples=4000, seed=0
    )
    share = found.c_neg
    assert share.wald and share.cluster.interval
    low, high = share.cluster.interval
    assert low is not None and high is not None
    assert (high - low) / (share.wald[1] - share.wald[0]) == pytest.approx(4, rel=0.05)
