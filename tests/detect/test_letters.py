"""Evidence made by hand; the oracles are counting, and that more evidence never counts less."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.detect.letters import Evidence, aligned, kept, likeliest_other
from miscomp.detect.lines import Placed
from miscomp.detect.shapes import Shape
from miscomp.detect.words import Letter
from miscomp.records import Box

BOX = Box(0, 0, 10, 20)
unit = st.floats(0, 1)


def letter(char: str, confidence: float = 0.9, **rivals: float) -> Letter:
    return Letter(char, BOX, confidence, tuple(rivals.items()))


def line(text: str) -> list[Placed]:
    words = [text[:k].count(" ") for k in range(len(text))]
    return [Placed(letter(c), 0.05 + 0.1 * k, words[k]) for k, c in enumerate(text) if c != " "]


def evidence(kept: float, other: float, difference: float, ratio: float) -> float:
    return Evidence(kept=kept, stable=1.0, other=other, shape=Shape(difference, ratio)).confidence


def test_a_letter_of_the_same_shape_counts_as_kept_and_the_other_case_by_half() -> None:
    assert kept(letter("8", 0.7, B=0.2), "8") == pytest.approx(0.7)
    assert kept(letter("B", 0.7, **{"8": 0.2}), "8") == pytest.approx(0.2)
    assert kept(letter("0", 0.7, O=0.2), "O") == pytest.approx(0.9)
    assert kept(letter("e", 0.8), "E") == pytest.approx(0.4)
    assert kept(None, "8") == 0


def test_the_likeliest_other_character_is_found_over_all_readings() -> None:
    readings = [letter("6", 0.8), letter("8", 0.6, **{"6": 0.4}), None, letter("5", 0.4)]
    assert likeliest_other(readings, "8") == pytest.approx((0.8 + 0.4) / 4)
    assert likeliest_other([letter("O"), letter("0")], "O") == 0
    assert likeliest_other([], "8") == 0


def test_both_reading_and_shape_are_needed_where_a_line_can_be_compared() -> None:
    assert evidence(kept=0.0, other=1.0, difference=0.5, ratio=8) > 0.95
    assert evidence(kept=0.0, other=1.0, difference=0.01, ratio=0.8) < 0.3
    assert evidence(kept=1.0, other=0.0, difference=0.1, ratio=1.5) < 0.05
    assert evidence(kept=1.0, other=0.0, difference=1.5, ratio=20) > 0.9


def test_without_shapes_the_readings_decide() -> None:
    assert Evidence(kept=0.1, stable=0.9, other=0.9, shape=None).confidence == pytest.approx(0.8)
    assert Evidence(kept=0.5, stable=0.4, other=0.5, shape=None).confidence == 0


def test_a_letter_that_is_unstable_in_its_own_picture_proves_little() -> None:
    shape = Shape(1.0, 10.0)
    sure, unsure = (Evidence(kept=0.0, stable=s, other=1.0, shape=shape).confidence for s in (1.0, 0.2))
    assert unsure < 0.3 < sure


@given(unit, unit, st.floats(0, 50), st.floats(0, 500))
def test_more_evidence_never_counts_less(kept: float, other: float, difference: float, ratio: float) -> None:
    steps = [
        (1.0, other, difference, ratio),
        (kept, other, difference, ratio),
        (kept, 1.0, difference, ratio),
        (kept, 1.0, difference, ratio + 1),
        (kept, 1.0, difference + 1, ratio + 1),
        (0.0, 1.0, difference + 1, ratio + 1),
    ]
    values = [evidence(*step) for step in steps]
    assert all(0 <= a <= b <= 1 for a, b in pairwise(values))


def test_a_reading_is_told_word_by_word_and_added_letters_belong_to_their_word() -> None:
    reading = aligned(line("NO EXIT"), line("NO REXIT"))
    assert reading.text(range(0, 2)) == "NO"
    assert reading.text(range(2, 6)) == "REXIT"
    assert reading.added(2) == 0.9 and reading.added(1) == 0


def test_a_word_that_only_the_reading_has_is_no_part_of_the_line() -> None:
    reading = aligned(line("NO"), line("NO EXIT"))
    assert reading.text(range(0, 2)) == "NO"
    assert reading.added(1) == 0


def test_missing_letters_have_no_text_and_no_certainty() -> None:
    reading = aligned(line("NO"), [])
    assert reading.letters == (None, None)
    assert (reading.text(range(0, 2)), reading.certainty(range(0, 2))) == ("", 0)
    assert aligned(line("NO"), line("NO")).certainty(range(0, 2)) == pytest.approx(0.9)
