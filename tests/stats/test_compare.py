"""Oracles: scipy's permutation and binomial tests, statsmodels' Holm, numpy's interpolation, simulated differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from labelled import simulated
from planned import sha1_of
from scipy import stats

from miscomp.benchmark.bootstrap import Figure
from miscomp.records import Annotation, Box, ImageRow, View
from miscomp.stats import compare as module
from miscomp.stats.compare import Common, ComparisonRow, compare, holm, sign_flip
from miscomp.stats.compare_text import cautions, comparison_table, sentence
from miscomp.stats.material import Material
from miscomp.stats.outcomes import OUTCOMES, Point, at_rate, observed

CODECS = {f"0{k}{rate}": f"C{k}" for k in (1, 2, 3) for rate in "LH"}
SIZE = (100, 50)


@dataclass(frozen=True)
class Seen:
    """A reconstruction, and how many boxes of 10 x 10 each labeler drew in it, side by side."""

    photograph: int
    model: str
    bpp: float | None
    boxes: Mapping[str, int]
    detector: int = 0


def material(cells: Iterable[Seen]) -> Material:
    images, annotations, views = [], [], []
    for cell in cells:
        sha1 = sha1_of(cell.photograph)
        name: dict[str, Any] = {"filename": f"{sha1}.png", "image_sha1": sha1, "model": cell.model}
        images.append(ImageRow(**name, width=SIZE[0], height=SIZE[1], bpp=cell.bpp))
        for who, count in {**cell.boxes, "net": cell.detector}.items():
            if who != "net" or count:
                views.append(View(**name, labeler=who))
            origin = "detector" if who == "net" else "person"
            places = [(10 * (k % 10), 10 * (k // 10)) for k in range(count)]
            annotations += [
                Annotation(**name, id=f"{x},{y}", x=x, y=y, w=10, h=10, labeler=who, origin=origin) for x, y in places
            ]
    return Material(images=tuple(images), annotations=tuple(annotations), views=tuple(views), codecs=CODECS)


def point(bpp: float, *values: float, viewers: Sequence[str] = ("ann",)) -> Point:
    return Point(bpp=bpp, values=np.array(values), viewers=tuple(viewers))


def two_codecs(first: Sequence[int], second: Sequence[int], *, viewers: tuple[str, str] = ("ann", "ann")) -> Material:
    """Boxes by photograph of `C1` and `C2`, the same at their low and their high rate."""
    return material(
        Seen(photograph, f"0{codec}{rate}", bpp, {viewers[codec - 1]: count})
        for codec, counts in ((1, first), (2, second))
        for photograph, count in enumerate(counts)
        for rate, bpp in (("L", 0.25), ("H", 1.0))
    )


def row_of(made: Material, outcome: str = "boxes", target: float = 0.5, *, resamples: int = 400) -> ComparisonRow:
    (found,) = (row for row in compare(made, (target,), resamples=resamples).rows if row.outcome == outcome)
    return found


def test_outcomes_are_interpolated_in_the_logarithm_of_the_rate() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        rates = np.sort(rng.uniform(0.1, 2, 4))
        values = rng.random((4, 3))
        target = float(rng.uniform(rates[0], rates[-1]))
        found = at_rate([point(bpp, *some) for bpp, some in zip(rates.tolist(), values, strict=True)], target)
        assert found is not None and found.between[0] <= target <= found.between[1]
        wanted = [np.interp(math.log(target), np.log(rates), values[:, k]) for k in range(3)]
        assert found.values == pytest.approx(wanted, abs=1e-12)


def test_nothing_is_extrapolated_beyond_what_counts_as_reaching_a_rate() -> None:
    points = [point(0.5, 1.0, viewers=("ann",)), point(1.0, 3.0, viewers=("bob",))]
    assert at_rate(points, 0.48) is None and at_rate(points, 1.03) is None
    near, middle, end = at_rate(points, 0.495), at_rate(points, math.sqrt(0.5)), at_rate(points, 1.0)
    assert near is not None and middle is not None and end is not None
    assert (near.values[0], near.viewers, near.between) == (1.0, ("ann",), (0.5, 0.5))
    assert (pytest.approx(2.0), ("ann", "bob")) == (middle.values[0], middle.viewers)
    assert (end.values[0], end.viewers) == (3.0, ("bob",))


def test_outcomes_are_per_labeler_who_saw_it_and_detectors_are_left_out() -> None:
    made = material([Seen(0, "01L", 0.25, {"ann": 3, "bob": 0, "cem": 1}, detector=9)])
    ((one,),) = observed(made).points["C1"].values()
    # 3 boxes of 100 pixels in 5000, nothing, and 1 of them.
    assert one.values == pytest.approx([2 / 3, 4 / 3, (0.06 + 0.02) / 3])
    assert one.viewers == ("ann", "bob", "cem")


def test_overlapping_boxes_count_once_in_the_area() -> None:
    made = material([Seen(0, "01L", 0.25, {"ann": 2})])
    first, second = made.annotations
    made = replace(made, annotations=(first, replace(second, x=5, id="over")))
    ((one,),) = observed(made).points["C1"].values()
    assert Box(0, 0, 10, 10).intersection(made.annotations[1].box) == 50
    assert one.values[2] == 150 / 5000


def test_what_nobody_saw_and_what_has_no_rate_is_counted_and_left_out() -> None:
    seen = observed(
        material([Seen(0, "01L", 0.2, {}), Seen(1, "01L", None, {"ann": 1}), Seen(2, "01L", 0.2, {}, detector=2)])
    )
    assert (seen.unseen, seen.without_rate, dict(seen.points)) == (2, 1, {})


def test_reconstructions_of_the_same_rate_count_as_one() -> None:
    made = material([Seen(0, "01L", 0.5, {"ann": 4}), Seen(0, "01H", 0.5, {"bob": 2})])
    ((one,),) = observed(made).points["C1"].values()
    assert (one.values[1], one.viewers) == (3, ("ann", "bob"))


def test_p_values_are_those_of_scipys_permutation_test() -> None:
    rng = np.random.default_rng(1)
    differences = rng.normal([0.0, 0.5, 1.0, -0.8], 1, (10, 4))
    exact = [
        stats.permutation_test((column,), np.mean, permutation_type="samples", n_resamples=math.inf).pvalue
        for column in differences.T
    ]
    found = sign_flip(differences, 20_000, 2)
    # Four standard errors of the draws.
    assert np.all(np.abs(found - exact) < 4 * np.sqrt(0.25 / 20_000))


def test_for_outcomes_of_0_and_1_it_is_mcnemars_test() -> None:
    column = np.array([1.0] * 11 + [-1.0] * 3 + [0.0] * 20)[:, None]
    exact = stats.binomtest(3, 14, 0.5).pvalue
    assert sign_flip(column, 20_000, 3)[0] == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))


def test_p_is_1_without_a_difference_and_never_0() -> None:
    table = np.stack([np.zeros(40), np.ones(40)], axis=1)
    assert sign_flip(table, 500, 0).tolist() == [1.0, 1 / 501]


def test_holm_corrects_as_statsmodels_does() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(4)
    for size in (1, 2, 7, 40):
        p_values = np.round(rng.random(size) ** 3, 2)
        assert holm(p_values.tolist()) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def test_without_a_difference_false_alarms_are_5_percent_before_and_in_a_family_after_the_correction() -> None:
    families, tests = 300, 8
    rng = np.random.default_rng(5)
    first, second = (rng.poisson(0.8, (60, families * tests)).astype(np.float64) for _ in range(2))
    p_values = sign_flip(first - second, 999, 6).reshape(families, tests)
    assert 0.035 < (p_values < 0.05).mean() < 0.065
    uncorrected = (p_values < 0.05).any(axis=1).mean()
    corrected = np.mean([min(holm(one.tolist())) < 0.05 for one in p_values])
    # 1 - 0.95^8 = 0.34; three standard errors of 0.05 in 300 are 0.038.
    assert uncorrected > 0.25
    assert corrected < 0.05 + 0.038


def test_intervals_cover_a_known_difference_of_codecs_at_different_rates() -> None:
    rng = np.random.default_rng(7)
    covered, runs, photographs = 0, 40, 30
    for _ in range(runs):
        cells = []
        for photograph in range(photographs):
            crowd = rng.uniform(0, 1)
            for codec, more, centres in ((1, 1.0, (0.4, 0.8)), (2, 0.0, (0.2, 0.6))):
                for rate, centre in zip("LH", centres, strict=True):
                    bpp = float(centre * rng.uniform(0.95, 1.05))
                    # Linear in the logarithm of the rate; at every rate C1 has one box more.
                    count = int(rng.poisson(crowd + more + 1 - math.log(bpp)))
                    cells.append(Seen(photograph, f"0{codec}{rate}", bpp, {"ann": count}))
        row = row_of(material(cells), resamples=200)
        assert row.common.photographs == photographs and row.difference.interval is not None
        low, high = row.difference.interval
        covered += low is not None and high is not None and low <= 1 <= high
    # 37 expected at a true coverage of 93 %, with a standard deviation of 1.6.
    assert covered >= 33


def test_a_figure_by_hand() -> None:
    row = row_of(two_codecs([3, 1, 0, 2], [1, 1, 1, 0]))
    assert (row.mean_first, row.mean_second, row.difference.value) == (1.5, 0.75, 0.75)
    assert (row.more_first, row.more_second, row.common.photographs) == (2, 1, 4)
    assert row.common.rates_first == pytest.approx((0.25, 1.0))
    assert row_of(two_codecs([3, 1, 0, 2], [1, 1, 1, 0]), "annotated").difference.value == 0
    assert row_of(two_codecs([3, 1, 0, 2], [1, 1, 1, 0]), "area").difference.value == pytest.approx(0.75 * 0.02)


def test_codecs_turned_round_turn_the_difference_alone() -> None:
    rng = np.random.default_rng(8)
    counts = rng.poisson([[2], [1]], (2, 30)).tolist()
    there, back = row_of(two_codecs(*counts)), row_of(two_codecs(counts[1], counts[0]))
    assert there.difference.value == pytest.approx(-(back.difference.value or math.nan))
    assert (there.p, there.more_first, there.more_second) == (back.p, back.more_second, back.more_first)


def test_the_same_in_both_codecs_has_no_difference_and_no_interval_that_reads_as_certainty() -> None:
    row = row_of(two_codecs([1, 0, 2] * 10, [1, 0, 2] * 10))
    assert (row.difference.value, row.difference.interval, row.p, row.p_holm) == (0, None, 1, 1)
    assert "C1 minus C2 is 0.00 (no interval, Holm p 1.000)" in sentence(row)


def test_photographs_outside_of_the_rates_or_of_one_codec_are_counted() -> None:
    both = [Seen(0, f"0{codec}{rate}", bpp, {"ann": 1}) for codec in (1, 2) for rate, bpp in (("L", 0.2), ("H", 0.8))]
    high = [Seen(1, "01L", 0.6, {"ann": 1}), Seen(1, "01H", 0.9, {"ann": 1}), Seen(1, "02L", 0.3, {"ann": 1})]
    alone = [Seen(2, "01L", 0.2, {"ann": 1}), Seen(2, "01H", 0.8, {"ann": 1})]
    common = row_of(material([*both, *high, *alone])).common
    assert (common.photographs, common.outside, common.alone) == (1, 1, 1)


def test_of_codecs_without_a_photograph_in_common_nothing_is_said() -> None:
    halves = material(
        Seen(photograph, f"0{codec}{rate}", bpp, {"ann": 1})
        for codec, photograph in ((1, 0), (2, 1))
        for rate, bpp in (("L", 0.2), ("H", 0.8))
    )
    row = row_of(halves)
    assert (row.difference.value, row.p, row.p_holm, row.mean_first, row.common.overlap) == (None,) * 5
    assert sentence(row) == "Nothing can be said of C1 and C2 at 0.5 bpp: no photograph has been seen of both."
    beside = row_of(two_codecs([1, 1], [0, 0]), target=2.0)
    assert sentence(beside).startswith("Nothing can be said of C1 and C2 at 2 bpp: 2 have both, but one")
    assert compare(halves, (0.5,), resamples=10).tests == 0


def test_who_saw_what_is_told_by_hand() -> None:
    made = material(
        Seen(photograph, f"0{codec}{rate}", bpp, {who: 1})
        for codec, viewers in ((1, ("ann", "ann", "ann", "bob")), (2, ("ann", "bob", "bob", "bob")))
        for photograph, who in enumerate(viewers)
        for rate, bpp in (("L", 0.25), ("H", 1.0))
    )
    common = row_of(made).common
    assert (common.same_labelers, common.overlap) == (0.5, 0.25 + 0.25)
    same, other = (row_of(two_codecs([1] * 4, [0] * 4, viewers=who)).common for who in (("a", "a"), ("a", "b")))
    assert (same.same_labelers, same.overlap, other.same_labelers, other.overlap) == (1, 1, 0, 0)


def test_the_correction_is_over_all_codecs_targets_and_outcomes() -> None:
    models = ("01L", "01H", "02L", "02H", "03L", "03H")
    made = simulated(images=40, labelers=("ann",), models=models, seed=9)
    found = compare(made, (0.35, 0.5), resamples=500)
    assert found.tests == len(found.rows) == 3 * 2 * len(OUTCOMES)
    assert [row.p_holm for row in found.rows] == holm([row.p for row in found.rows if row.p is not None])


def test_the_same_seed_gives_the_same_rows_however_they_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    models = ("01L", "01H", "02L", "02H", "03L", "03H")
    made = simulated(images=30, models=models, seed=10)
    whole = compare(made, resamples=300, seed=1)
    assert compare(made, resamples=300, seed=2).rows != whole.rows
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    for one, other in zip(compare(made, resamples=300, seed=1).rows, whole.rows, strict=True):
        assert (one.common, one.p, one.p_holm) == (other.common, other.p, other.p_holm)
        assert one.difference.value == pytest.approx(other.difference.value, abs=1e-12)


@pytest.mark.parametrize("targets", [(0.0,), (-1.0,), (math.nan,), (math.inf,)])
def test_a_target_that_is_no_rate_is_refused(targets: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="above 0 bpp"):
        compare(material([]), targets)


def test_no_material_and_one_codec_give_no_rows() -> None:
    assert compare(material([])).rows == ()
    assert compare(material([Seen(0, "01L", 0.5, {"ann": 1})])).rows == ()


COMMON = Common(
    first="C1",
    second="C3",
    target=0.5,
    photographs=120,
    outside=3,
    alone=0,
    rates_first=(0.27, 1.08),
    rates_second=(0.15, 0.51),
    same_labelers=0.125,
    overlap=0.6,
)
ROW = ComparisonRow(
    common=COMMON,
    outcome="boxes",
    mean_first=1.0,
    mean_second=1.18,
    difference=Figure(value=-0.18, interval=(-0.31, -0.05)),
    more_first=20,
    more_second=44,
    p=0.001,
    p_holm=0.01,
)


def test_a_difference_is_told_with_its_interval_and_what_else_may_have_made_it() -> None:
    assert sentence(ROW) == (
        "On 120 photographs at 0.5 bpp, there are more boxes a picture with C3 than with C1, by 0.18 (95 % 0.05 to "
        "0.31, Holm p 0.010). The same people saw both in 12 % of them, and the labelers' shares of the views overlap "
        "by 60 %: labelers can make such a difference, and hide one."
    )
    shares = replace(ROW, outcome="annotated", common=replace(COMMON, same_labelers=1.0))
    assert "often with C3 than with C1, by 18.00 percentage points (95 % 5.00 to 31.00" in sentence(shares)
    assert sentence(shares).endswith("The same people saw both in every one of them.")


def test_what_does_not_pass_the_correction_is_no_difference_and_no_proof_of_likeness() -> None:
    text = sentence(replace(ROW, p_holm=0.05))
    assert "do not tell C1 from C3 by boxes a picture: C1 minus C3 is -0.18 (95 % -0.31 to -0.05, Holm p 0.05" in text
    assert "That does not show that they are alike." in text


def test_few_photographs_decide_nothing_however_small_p_is() -> None:
    text = sentence(replace(ROW, common=replace(COMMON, photographs=19)))
    assert "do not tell" in text and text.endswith("19 photographs: so few decide nothing.")


def test_cautions_say_what_is_true_of_this_comparison() -> None:
    plain = cautions(compare(two_codecs([1] * 30, [0] * 30)))
    assert any("nothing here compares architectures" in one for one in plain)
    assert not any("Labelers differ" in one or "Nothing says" in one or "more resamples" in one for one in plain)
    mixed = two_codecs([1] * 30, [0] * 30, viewers=("ann", "bob"))
    unknown = compare(replace(mixed, views=None), resamples=50)
    assert any("Nothing says who has seen what" in one for one in cautions(unknown))
    assert any("no corrected p-value can be below 0.05" in one for one in cautions(unknown))
    assert any("Labelers differ" in one for one in cautions(compare(mixed, resamples=50)))
    lost = compare(material([Seen(0, "01L", None, {"ann": 1}), Seen(0, "02L", 0.5, {})]), resamples=50)
    assert cautions(lost)[-2:] == (
        "1 reconstruction(s) that nobody has seen are left out.",
        "1 reconstruction(s) of unknown rate are left out.",
    )


def test_the_table_has_all_columns_in_every_row() -> None:
    found = compare(simulated(images=25, models=("01L", "01H", "02L", "02H"), seed=11), (0.5, 4.0), resamples=100)
    table = comparison_table(found)
    assert len(table.rows) == len(found.rows) == 2 * len(OUTCOMES)
    assert all(set(row) == {column.key for column in table.columns} for row in table.rows)
    assert [row["photographs"].value for row in table.rows[3:]] == [0, 0, 0]
    assert all(one in table.note for one in cautions(found))
