"""The figures. Oracles: sums by hand, scikit-learn where its definitions are the same, and repeating the data."""

from __future__ import annotations

import numpy as np
import pytest
from benchmark_sample import Mark, at, pair, seen

from miscomp.benchmark.bootstrap import Figure, draws, figure
from miscomp.benchmark.curves import alarms_recall, precision_recall, roc
from miscomp.benchmark.figures import (
    average_precision,
    false_alarms,
    overall_precision,
    recall_at,
    recall_by_score,
    roc_area,
    thresholds,
)
from miscomp.benchmark.tally import Tally, make_cases, make_tally
from miscomp.pairset import CONTROL

ONE = np.ones((1, 3))


def three_pairs() -> Tally:
    """Five labels, four hit at 0.9, 0.7, 0.4 and 0.2; false: a second one at 0.8, at a high rate 0.6; a control."""
    cases = make_cases(
        [
            pair("a.png", [Mark(box=at(10)), Mark(box=at(40)), Mark(box=at(70))]),
            pair("b.png", [Mark(box=at(10)), Mark(box=at(40))], bpp=0.8),
            pair("c.png", source=CONTROL),
        ]
    )
    first = seen((at(70), 0.4), (at(10), 0.9), (at(11), 0.8), (at(10, 60), 0.95))  # the last: nobody knows
    second = seen((at(40), 0.7), (at(10, 60), 0.6), (at(10), 0.2))
    control = seen((at(10), 0.7), (at(50), 0.5), (at(10, 50), 0.1))
    return make_tally(cases, [first, second, control])


def test_average_precision_is_the_sum_of_precision_times_recall_gained() -> None:
    # By falling score: hit 0.9, false 0.8, hit 0.7, false 0.6, hit 0.4, hit 0.2, of 5 labels.
    expected = (1 / 1 + 2 / 3 + 3 / 5 + 4 / 6) / 5
    assert overall_precision(three_pairs(), ONE) == pytest.approx([expected])


def test_strictly_what_nobody_knows_is_false() -> None:
    expected = (1 / 2 + 2 / 4 + 3 / 6 + 4 / 7) / 5
    assert overall_precision(three_pairs(), ONE, strict=True) == pytest.approx([expected])


@pytest.mark.parametrize("levels", [7, 10**6])
def test_average_precision_is_scikit_learn_s_when_all_labels_are_found(levels: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="the extra 'demo' is not installed")
    rng = np.random.default_rng(levels)
    hit = rng.random(400) < 0.3
    scores = np.floor(levels * np.clip(rng.normal(0.4 + 0.2 * hit, 0.2), 0, 1)) / levels
    sources = rng.integers(0, 3, 400)
    labels = np.bincount(sources[hit], minlength=3).astype(float)
    found = average_precision(scores, sources, ONE, hit=hit, false=~hit, labels=labels)
    assert found == pytest.approx([metrics.average_precision_score(hit, scores)])


def test_a_draw_counts_a_source_as_often_as_it_was_drawn() -> None:
    """Oracle: the same figure of pairs that are written down as often."""
    labels, false = [Mark(box=at(10)), Mark(box=at(40))], at(10, 60)
    pairs = [pair("a.png", labels, bpp=1.0), pair("b.png", labels, bpp=1.0), pair("c.png", source=CONTROL)]
    answers = [
        seen((at(10), 0.9), (false, 0.8)),
        seen((at(40), 0.7), (false, 0.95), (at(10), 0.6)),
        seen((false, 0.65)),
    ]
    tally = make_tally(make_cases(pairs), answers)
    drawn = np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 3.0], [0.0, 3.0, 1.0]])
    for row, counts in enumerate(drawn.astype(int)):
        again = [k for k, count in enumerate(counts) for _ in range(count)]
        written = make_tally(make_cases([pairs[k] for k in again]), [answers[k] for k in again])
        one = np.ones((1, len(written.cases.sources)))
        for of in (overall_precision, roc_area, thresholds):
            assert of(tally, drawn)[row] == pytest.approx(of(written, one)[0])
        assert recall_at(tally, drawn, 1)[row] == pytest.approx(recall_at(written, one, 1)[0])
        cuts, written_cuts = thresholds(tally, drawn), thresholds(written, one)
        assert false_alarms(tally, drawn, cuts)[row] == pytest.approx(false_alarms(written, one, written_cuts)[0])


def test_recall_at_counts_the_best_findings_of_each_pair() -> None:
    tally = three_pairs()
    # The best finding of the first pair lies where nobody knows, that of the second hits.
    assert [float(recall_at(tally, ONE, count)[0]) for count in (1, 2, 3, 10)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_false_alarms_are_those_of_controls_from_the_score_of_80_percent_recall_on() -> None:
    tally = three_pairs()
    (cut,) = thresholds(tally, ONE)
    assert cut == 0.2  # the fourth of five labels
    assert false_alarms(tally, ONE, thresholds(tally, ONE)) == pytest.approx([2 / 0.01])
    assert thresholds(tally, ONE, recall=0.6) == pytest.approx([0.4])
    assert thresholds(tally, ONE, recall=1.0) == pytest.approx([0.2])  # no score reaches it
    assert recall_by_score(tally, np.array([0.0, 0.4, 0.91])) == pytest.approx([0.8, 0.6, 0.0])


def test_a_score_that_hits_counts_with_all_that_are_equal() -> None:
    cases = make_cases([pair("a.png", [Mark(box=at(10))]), pair("c.png", source=CONTROL)])
    tally = make_tally(cases, [seen((at(10), 0.5)), seen((at(10), 0.5), (at(50), 0.5), (at(50, 60), 0.49))])
    assert false_alarms(tally, np.ones((1, 2)), np.array([0.5])) == pytest.approx([200])


def test_the_roc_area_is_scikit_learn_s_over_single_cells() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="the extra 'demo' is not installed")
    tally = three_pairs()
    truth, heat = [], []
    for values, inside in ((tally.inside, 1), (tally.outside, 0)):
        counts = values.sum(0).astype(int)
        heat += np.repeat(np.arange(256), counts).tolist()
        truth += [inside] * int(counts.sum())
    area = metrics.roc_auc_score(truth, heat)
    assert roc_area(tally, ONE) == pytest.approx([area])
    points = roc(tally)
    assert metrics.auc(points["false"], points["true"]) == pytest.approx(area, abs=1e-5)
    # Cells of five labels of 10 x 10 pixels (9 cells each, 3 of them shared between none), and two pairs' other cells.
    assert tally.inside.sum() == 5 * 9 and tally.outside.sum() == 625 - 2 * 9 + 625


def test_without_labels_without_controls_and_without_findings() -> None:
    no_labels = make_tally(make_cases([pair("a.png"), pair("c.png", source=CONTROL)]), [seen(), seen((at(10), 0.5))])
    ones = np.ones((1, 2))
    assert np.isnan(overall_precision(no_labels, ones)).all() and np.isnan(roc_area(no_labels, ones)).all()
    assert np.isnan(thresholds(no_labels, ones)).all() and np.isnan(recall_at(no_labels, ones, 1)).all()
    assert np.isnan(false_alarms(no_labels, ones, thresholds(no_labels, ones))).all()
    no_controls = make_tally(make_cases([pair("a.png", [Mark(box=at(10))])]), [seen((at(10), 0.5))])
    assert np.isnan(false_alarms(no_controls, ones[:, :1], np.array([0.5]))).all()
    assert overall_precision(no_controls, ones[:, :1]) == pytest.approx([1.0])
    nothing = make_tally(no_controls.cases, [seen()])
    assert overall_precision(nothing, ones[:, :1]).tolist() == [0.0]
    assert precision_recall(nothing)["recall"] == [] and alarms_recall(nothing)["alarms"] == []


def test_the_bootstrap_is_the_same_for_the_same_seed_and_covers_the_mean() -> None:
    values = np.random.default_rng(3).normal(5, 2, 200)
    counts = draws(200, 2000, np.random.default_rng(1))
    assert np.array_equal(counts, draws(200, 2000, np.random.default_rng(1)))
    assert not np.array_equal(counts, draws(200, 2000, np.random.default_rng(2)))
    assert counts[0].tolist() == [1.0] * 200 and (counts.sum(1) == 200).all()
    found = figure(counts @ values / 200, 200)
    assert found.value == pytest.approx(values.mean()) and found.interval is not None
    # Oracle: the normal interval of a mean of many values.
    half = 1.96 * values.std() / 200**0.5
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_intervals_of_undefined_and_boundless_resamples() -> None:
    assert figure(np.array([0.5, np.inf, *[1.0] * 10]), 4) == Figure(value=0.5, interval=(1.0, None))
    assert figure(np.array([0.5, np.nan, np.nan, 1.0]), 4) == Figure(value=0.5)
    assert figure(np.array([np.nan, 1.0, 1.0]), 4) == Figure(value=None)
    assert figure(np.array([0.5, 0.5]), 1) == Figure(value=0.5)
    assert figure(np.array([0.5]), 3) == Figure(value=0.5)
