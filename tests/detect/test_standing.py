"""What a benchmark said about a detector. Oracles: a record made by hand."""

from __future__ import annotations

from miscomp.detect.base import DEFAULT_DETECTOR
from miscomp.detect.catalog import open_detector
from miscomp.detect.standing import Estimate, Standing, standing_of


def test_false_alarms_are_looked_up_at_the_next_lower_score() -> None:
    one = Estimate(value=0.5, low=0.4, high=0.6)
    standing = Standing(
        version="x-1",
        benchmark="nothing",
        average_precision=one,
        recall_at_ten=one,
        false_alarms=((0.2, 9.0), (0.5, 9.0), (0.9, 9.0)),
        false_alarms_coded=((0.2, 5.0), (0.5, 1.0), (0.9, 0.0)),
        control_megapixels=8.0,
    )
    asked = {0.1: None, 0.2: 5.0, 0.49: 5.0, 0.5: 1.0, 0.89: 1.0, 0.9: 0.0, 1.0: 0.0}
    assert {score: standing.alarms_per_megapixel(score) for score in asked} == asked


def test_a_version_that_was_not_scored_has_no_standing() -> None:
    assert standing_of("rules-0") is None


def test_what_is_shipped_is_scored() -> None:
    standing = standing_of(open_detector(DEFAULT_DETECTOR).version)
    assert standing is not None and standing.average_precision.low > 0.5
    assert all(
        few <= many for (_, few), (_, many) in zip(standing.false_alarms_coded, standing.false_alarms, strict=True)
    )
