"""Which finding hits which label. Oracles: `records.is_hit` for the rule, cases worked out by hand for the order."""

from __future__ import annotations

import numpy as np
import pytest
from benchmark_sample import Mark, at, pair

from miscomp.benchmark.matching import MISSED, Verdict, box_array, check_control, hits, match, outside_is_false
from miscomp.errors import TableError
from miscomp.pairset import CONTROL, NATURAL
from miscomp.records import Box, is_hit


def matched(findings: list[tuple[Box, float]], labels: list[Box], negatives: list[Box] = [], false: bool = False):  # type: ignore[no-untyped-def]  # noqa: B006
    boxes, scores = box_array([box for box, _ in findings]), np.array([score for _, score in findings])
    return match(boxes, scores, box_array(labels), box_array(negatives), outside_false=false)


def test_the_rule_is_that_of_the_records() -> None:
    rng = np.random.default_rng(0)

    def boxes(count: int) -> list[Box]:
        return [Box(*map(int, rng.integers(0, 40, 2)), *map(int, rng.integers(1, 50, 2))) for _ in range(count)]

    findings, labels = boxes(150), boxes(40)
    hit, iou = hits(box_array(findings), box_array(labels))
    assert hit.tolist() == [[is_hit(one, label) for label in labels] for one in findings]
    assert 0.1 < hit.mean() < 0.9
    assert np.allclose(iou, [[one.iou(label) for label in labels] for one in findings])


def test_a_finding_takes_one_label_and_a_label_one_finding_best_scored_first() -> None:
    wide = Box(10, 10, 25, 10)  # hits both labels, the left one more
    found = matched([(at(10), 0.5), (wide, 0.9), (at(10), 0.4), (at(70), 0.3)], [at(10), at(25)])
    assert found.labels.tolist() == [-1, 0, -1, -1] or found.labels.tolist() == [-1, 1, -1, -1]
    found = matched([(at(10), 0.5), (Box(8, 8, 14, 14), 0.9), (at(25), 0.4), (at(70), 0.3)], [at(10), at(25)])
    assert found.verdicts.tolist() == [Verdict.FALSE, Verdict.HIT, Verdict.HIT, Verdict.UNLABELLED]
    assert found.labels.tolist() == [-1, 0, 1, -1]
    assert found.label_scores.tolist() == [0.9, 0.4] and found.label_ranks.tolist() == [0, 2]


def test_a_second_finding_takes_the_label_that_the_first_left_free() -> None:
    both = Box(10, 10, 22, 10)
    found = matched([(both, 0.9), (both, 0.8), (both, 0.7)], [at(10), Box(20, 10, 12, 10)])
    assert found.labels.tolist() == [1, 0, -1]
    assert found.verdicts.tolist() == [Verdict.HIT, Verdict.HIT, Verdict.FALSE]


def test_a_finding_on_a_hard_negative_is_false_unless_it_hits_a_label_too() -> None:
    found = matched([(at(10), 0.9), (at(40), 0.8), (at(42), 0.3)], [at(10)], [at(40), at(12), at(80)])
    assert found.verdicts.tolist() == [Verdict.HIT, Verdict.FALSE, Verdict.FALSE]
    assert found.negative_scores.tolist() == [0.8, MISSED, MISSED]


def test_nothing_found_and_nothing_to_find() -> None:
    nothing = matched([], [at(10)], [at(40)])
    assert nothing.label_scores.tolist() == [MISSED] and nothing.negative_scores.tolist() == [MISSED]
    assert matched([(at(10), 0.5)], []).verdicts.tolist() == [Verdict.UNLABELLED]
    assert matched([(at(10), 0.5)], [], false=True).verdicts.tolist() == [Verdict.FALSE]


@pytest.mark.parametrize(
    ("source", "bpp", "false"),
    [
        ("planted", 0.25, False),
        ("planted", 0.75, True),
        ("planted", None, False),
        (NATURAL, 0.4, False),
        (CONTROL, None, True),
        ("", 0.05, True),
        ("clic", None, True),
    ],
)
def test_outside_the_labels_all_is_false_where_it_is_known_to_be(source: str, bpp: float | None, false: bool) -> None:
    assert outside_is_false(pair("a.png", source=source, bpp=bpp)) is false


def test_a_control_with_a_label_is_refused() -> None:
    with pytest.raises(TableError, match=r"a label of a.png.*which is a control"):
        check_control(pair("a.png", [Mark(box=at(10))], source=CONTROL))
