"""All scores of a detector and the comparison with baselines. Oracles: counts made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from benchmark_sample import Mark, at, pair, seen

from miscomp.benchmark.bootstrap import draws
from miscomp.benchmark.groups import by_control, by_group, by_negative
from miscomp.benchmark.hits import categories_of, score_bins
from miscomp.benchmark.scores import Scores, compare, score_detector
from miscomp.benchmark.store import Seen
from miscomp.benchmark.summary import Benchmark, compared, record, summary_text
from miscomp.benchmark.tally import Tally, make_cases, make_tally, source_names
from miscomp.pairset import CONTROL, LabelledPair
from miscomp.records import Box, ModelRow

MODELS = {"jpeg@0.25bpp": ModelRow(model="jpeg@0.25bpp", codec="jpeg")}


def a_set() -> list[LabelledPair]:
    return [
        pair(
            "a.png",
            [Mark(box=at(10), strength=0.25), Mark(box=Box(40, 10, 40, 40), kind="removed", category="AMPLITUDE")],
            negatives=[Mark(box=at(10, 60), kind="texture"), Mark(box=at(40, 60), kind="seam")],
        ),
        pair("b.png", [Mark(box=at(10), category="SHAPE+GEOMETRY")], bpp=0.9, model="lucid@0.9bpp"),
        pair("a.png", source=CONTROL, model="control:noise"),
        pair("b.png", source=CONTROL, model="control:shifted"),
    ]


ANSWERS = (
    seen((at(10), 0.9, "AMPLITUDE+SHAPE"), (Box(40, 10, 40, 40), 0.8, "AMPLITUDE"), (at(40, 60), 0.7)),
    seen((at(10), 0.6, "GEOMETRY"), (at(60), 0.85, "SHAPE")),
    seen((at(10), 0.65), (at(40), 0.5)),
    seen(),
)


def scored(pairs: list[LabelledPair], answers: list[Seen], name: str = "one", baseline: bool = False) -> Scores:
    tally = make_tally(make_cases(pairs), answers)
    counts = draws(len(tally.cases.sources), 200, np.random.default_rng(0))
    return score_detector(
        tally,
        counts,
        [one.found for one in answers],
        models=MODELS,
        about={"name": name, "version": "1", "description": "a test"},
        baseline=baseline,
        speed=None,
        warnings={},
    )


def tally_of(answers: tuple[Seen, ...] = ANSWERS) -> Tally:
    return make_tally(make_cases(a_set()), answers)


def test_labels_are_grouped_by_what_is_known_of_them() -> None:
    groups = by_group(tally_of(), np.ones((1, 2)), 0.7, MODELS)
    found = {(one.by, one.name): (one.labels, one.recall.value) for one in groups}
    assert found == {
        ("kind", "contour"): (2, 0.5),
        ("kind", "removed"): (1, 1.0),
        ("category", "AMPLITUDE"): (1, 1.0),
        ("category", "SHAPE"): (2, 0.5),
        ("strength", "up to 0.25"): (1, 1.0),
        ("strength", "up to 1"): (2, 0.5),
        ("size", "below 12 px"): (2, 0.5),
        ("size", "24 to 48 px"): (1, 1.0),
        ("codec", "jpeg"): (2, 1.0),
        ("codec", "lucid@0.9bpp"): (1, 0.0),
        ("rate", "0.15 to 0.3 bpp"): (2, 1.0),
        ("rate", "0.75 bpp and more"): (1, 0.0),
    }


def test_the_average_precision_of_a_group_leaves_other_labels_out() -> None:
    groups = {(one.by, one.name): one.average_precision for one in by_group(tally_of(), np.ones((1, 2)), 0.7, MODELS)}
    # False: 0.85 at the high rate, 0.7 on a hard negative.
    assert groups["kind", "removed"] == pytest.approx(1 / 2)
    assert groups["kind", "contour"] == pytest.approx((1 / 1 + 2 / 4) / 2)
    assert groups["rate", "0.75 bpp and more"] == pytest.approx(1 / 2)
    assert groups["codec", "jpeg"] == pytest.approx(1.0)


def test_hard_negatives_and_controls_are_told_by_kind() -> None:
    negatives = {one.kind: (one.count, one.hit.value) for one in by_negative(tally_of(), np.ones((1, 2)), 0.7)}
    assert negatives == {"all": (2, 0.5), "seam": (1, 1.0), "texture": (1, 0.0)}
    controls = by_control(tally_of(), np.ones((1, 2)), 0.6)
    assert [(one.model, one.false_alarms.value) for one in controls] == [
        ("control:noise", pytest.approx(100.0)),
        ("control:shifted", 0.0),
    ]


def test_categories_are_compared_with_and_without_those_named_beside() -> None:
    found = categories_of(tally_of(), [one.found for one in ANSWERS], 0.0)
    assert found.hits == 3
    assert found.confusion["SHAPE"] == {"AMPLITUDE": 1, "GEOMETRY": 1, "SHAPE": 0, "none": 0}
    assert found.confusion["AMPLITUDE"]["AMPLITUDE"] == 1
    assert found.main == pytest.approx(1 / 3)
    assert found.label_names_it == pytest.approx(2 / 3)  # GEOMETRY is among SHAPE+GEOMETRY
    assert found.finding_names_it == pytest.approx(2 / 3)  # SHAPE is among AMPLITUDE+SHAPE
    few = categories_of(tally_of(), [one.found for one in ANSWERS], 0.7)
    assert few.hits == 2 and few.main == 0.5


def test_a_detector_that_names_no_category_has_no_share() -> None:
    answers = (seen((at(10), 0.9)), seen(), seen(), seen())
    found = categories_of(tally_of(answers), [one.found for one in answers], 0.0)
    assert found.main is None and found.confusion["SHAPE"]["none"] == 1


def test_calibration_counts_findings_of_which_it_is_known_what_they_are() -> None:
    bins = score_bins(tally_of())
    assert [(one.low, one.count, one.hits) for one in bins if one.count] == [
        (0.6, 1, 1.0), (0.7, 1, 0.0), (0.8, 2, 0.5), (0.9, 1, 1.0),
    ]  # fmt: skip
    assert bins[8].mean_score == pytest.approx(0.825)


def test_scores_are_whole_and_can_be_written_down() -> None:
    one = scored(a_set(), list(ANSWERS))
    assert one.threshold == 0.6 and one.reached.value == 1.0 and one.reached_target
    assert one.false_alarms.value == pytest.approx(1 / 0.02)
    assert one.verdicts == {"unlabelled": 0, "hit": 3, "false": 2, "on_controls": 2}
    table = {row.score: [row.false_alarms.value, row.recall] for row in one.score_table}
    assert [table[score] for score in (0.5, 0.65, 1.0)] == [
        pytest.approx(row) for row in ([100, 1], [50, 2 / 3], [0, 0])
    ]


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert scored(a_set(), list(ANSWERS)) == scored(a_set(), list(ANSWERS))


def test_people_s_annotations_need_no_category_and_no_plants() -> None:
    pairs = [pair(f"{k}.png", [Mark(box=at(10), category="")], source="", plants=False) for k in range(3)]
    one = scored(pairs, [seen((at(10), 0.5), (at(60), 0.9)), seen((at(10), 0.8)), seen()])
    assert one.average_precision == one.strict_average_precision  # everything outside the labels is false
    assert one.average_precision.value == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert {group.by for group in one.groups} == {"size", "codec", "rate"}
    assert one.categories.hits == 0 and one.categories.main is None
    assert one.false_alarms.value is None and one.negatives == () and one.controls == ()
    assert not one.reached_target and one.threshold == 0.5


def test_nothing_found_is_no_threshold_and_no_false_alarms() -> None:
    one = scored(a_set(), [seen(), seen(), seen(), seen()])
    assert one.average_precision.value == 0.0 and one.threshold is None and one.false_alarms.value is None
    assert all(group.recall.value == 0 for group in one.groups)


def test_a_detector_is_compared_with_the_best_baseline_at_one_recall() -> None:
    pairs = [pair(f"{k}.png", [Mark(box=at(10))], bpp=1.0) for k in range(4)]
    pairs += [pair(f"{k}.png", source=CONTROL, model="control") for k in range(4)]
    cases = make_cases(pairs)

    def tally(label_scores: list[float], alarms: list[float]) -> Tally:
        found = [seen((at(10), score), (at(60), 0.5)) if score else seen((at(60), 0.5)) for score in label_scores]
        return make_tally(cases, [*found, *(seen((at(60), score)) for score in alarms)])

    tallies = {
        "mine": tally([0.9, 0.8, 0.7, 0.0], [0.75, 0.1, 0.1, 0.1]),
        "good": tally([0.9, 0.6, 0.2, 0.0], [0.3, 0.3, 0.1, 0.1]),
        "quiet": tally([0.9, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]),
    }
    counts = draws(len(cases.sources), 500, np.random.default_rng(0))
    found = compare("mine", tallies, ["good", "quiet"], counts)
    assert found.precision_baseline == "good" and found.recall == 0.75
    assert found.alarms_baseline == "good"  # the quiet one never finds so much
    assert found.alarms_ratio.value == pytest.approx(1 / 2)
    # mine: 3 of 4 with precision 1; good: the third comes after four false ones, 3 / 7.
    assert found.precision_ratio.value == pytest.approx((1 - 3 / 4) / (1 - (2 + 3 / 7) / 4))
    alone = compare("mine", tallies, [], counts)
    assert alone.precision_baseline == "" and compared(alone) == "mine: nothing to compare it with"
    least = compare("mine", tallies, ["quiet"], counts)
    assert least.alarms_baseline == "" and "no baseline with controls to compare reaches" in compared(least)


def test_sources_are_photographs() -> None:
    signs = pair("a-signs.png", [Mark(box=at(10))])
    plant = next(iter(signs.plants.values()))
    object.__setattr__(plant, "source", "a.webp")
    bare = pair("a-signs.png", source=CONTROL)
    assert source_names([bare, signs, pair("a.png", source=CONTROL), pair("b.png")]) == ["a", "a", "a", "b"]


def test_a_record_is_plain_json_and_the_text_says_what_is_missing() -> None:
    pairs = [pair("a.png", [Mark(box=at(10))])]
    answers = [seen((at(60), 0.5))]
    cases = make_cases(pairs)
    benchmark = Benchmark(
        settings={"version": "1"},
        cases=cases,
        tallies={"one": make_tally(cases, answers)},
        seen={"one": answers},
        scores=(scored(pairs, answers),),
        comparisons=(),
        failures=(),
    )
    told = json.loads(json.dumps(record(benchmark), allow_nan=False))
    assert told["detectors"][0]["average_precision"] == {"value": 0.0, "interval_95": None}
    assert told["counts"] | {"control_megapixels": 0.0} == told["counts"] and told["counts"]["labels"] == 1
    text = summary_text(benchmark)
    assert "There are no controls" in text and "All pairs are of one photograph" in text
