"""The risk figure: its written definition, worked by hand, and the orders that it promises to keep."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.audit.examine import audit_pair
from miscomp.codecs.catalog import open_codec
from miscomp.detect.base import DetectSettings
from miscomp.disclose.risk import risk, weight
from miscomp.disclose.statement import Place

SIDE = 200


@st.composite
def places(draw: st.DrawFn) -> Place:
    x, y = draw(st.integers(0, SIDE - 1)), draw(st.integers(0, SIDE - 1))
    return Place(
        x=x,
        y=y,
        w=draw(st.integers(1, SIDE - x)),
        h=draw(st.integers(1, SIDE - y)),
        symbol=draw(st.booleans()),
        score=draw(st.none() | st.floats(0, 1)),
    )


def figure(found: list[Place]) -> float:
    return risk(found, width=SIDE, height=SIDE)


def test_no_findings_give_zero() -> None:
    assert figure([]) == 0


def test_one_sure_finding_over_the_whole_picture_gives_a_half() -> None:
    # extent 1: weight 1 - 0.75 * exp(-20), which is 1 to nine digits; 1 / (1 + 1)
    assert figure([Place(x=0, y=0, w=SIDE, h=SIDE, score=1)]) == 0.5


def test_the_definition_worked_by_hand() -> None:
    # 10 x 10 of 200 x 200: extent 0.05, weight 0.25 + 0.75 * (1 - 1/e) = 0.7240904; score 0.5: total 0.3620452
    plain = Place(x=0, y=0, w=10, h=10, score=0.5)
    assert weight(plain, width=SIDE, height=SIDE) == pytest.approx(1 - 0.75 / math.e)
    assert figure([plain]) == 0.2658
    # As a symbol: (1 + 0.7240904) / 2 = 0.8620452; total 0.4310226
    assert figure([plain.model_copy(update={"symbol": True})]) == 0.3012
    # Both: total 0.7930678
    assert figure([plain, plain.model_copy(update={"symbol": True})]) == 0.4423


def test_a_finding_without_a_score_counts_as_a_sure_one() -> None:
    unscored = Place(x=3, y=4, w=20, h=30)
    assert figure([unscored]) == figure([unscored.model_copy(update={"score": 1.0})])


@given(st.lists(places(), max_size=8), places())
def test_another_finding_never_lowers_it(found: list[Place], other: Place) -> None:
    assert figure([*found, other]) >= figure(found)


@given(st.lists(places(), max_size=8), places(), st.floats(0, 1))
def test_a_higher_score_never_lowers_it(found: list[Place], one: Place, score: float) -> None:
    low, high = sorted([score, 1.0 if one.score is None else one.score])
    before, after = (figure([*found, one.model_copy(update={"score": value})]) for value in (low, high))
    assert after >= before


@given(st.lists(places(), max_size=8), places(), st.integers(0, SIDE), st.integers(0, SIDE))
def test_a_larger_area_never_lowers_it(found: list[Place], one: Place, right: int, down: int) -> None:
    larger = {"w": min(one.w + right, SIDE - one.x), "h": min(one.h + down, SIDE - one.y)}
    assert figure([*found, one.model_copy(update=larger)]) >= figure([*found, one])


@given(st.lists(places(), max_size=8), places())
def test_being_a_symbol_never_lowers_it(found: list[Place], one: Place) -> None:
    before, after = (figure([*found, one.model_copy(update={"symbol": value})]) for value in (False, True))
    assert after >= before


@given(st.lists(places(), max_size=8), st.randoms(use_true_random=False), st.integers(2, 30))
def test_order_and_scale_do_not_matter_and_it_stays_in_its_range(found: list[Place], random, times: int) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(found)
    random.shuffle(shuffled)
    scaled = [
        one.model_copy(update={name: times * getattr(one, name) for name in ("x", "y", "w", "h")}) for one in shuffled
    ]
    # The scaled extents may differ by one rounding, which may cross the edge of the fourth decimal.
    assert risk(scaled, width=times * SIDE, height=times * SIDE) == pytest.approx(figure(found), abs=1.01e-4)
    assert figure(shuffled) == figure(found)
    assert 0 <= figure(found) <= 1


def test_many_findings_come_near_one_and_never_pass_it() -> None:
    one = Place(x=0, y=0, w=50, h=50, score=1)
    rising = [figure([one] * count) for count in (1, 4, 16, 64, 1_000_000)]
    assert rising == sorted(set(rising))
    assert rising[-1] == 1


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        risk([], width=0, height=5)


def test_pairs_of_rising_rate_have_falling_figures() -> None:
    """What the figure is for, on real findings: two photographs, coded at rates that differ plainly."""
    data = pytest.importorskip("skimage.data", reason="the photographs come with scikit-image")
    photographs = [
        np.ascontiguousarray(data.astronaut()[:256, 128:384]),
        np.ascontiguousarray(data.coffee()[50:306, 150:406]),
    ]
    means = []
    for quality in (3, 12, 90):
        figures = []
        for pixels in photographs:
            coded = open_codec("jpeg").decompress(open_codec("jpeg").compress(pixels, quality))
            found = audit_pair(
                pixels, coded, filename="a.png", image_sha1="0" * 40, model="jpeg", settings=DetectSettings(text=False)
            ).findings
            marks = [one.annotation for one in found]
            listed = [Place(x=a.x, y=a.y, w=a.w, h=a.h, symbol=a.symbol, score=a.score) for a in marks]
            figures.append(risk(listed, width=256, height=256))
        means.append(sum(figures) / len(figures))
    assert means[0] > means[1] > means[2]
    assert means[0] > 0.1 and means[2] < 0.02
