"""Lines made by hand, aligned letter by letter; the oracle is what a person would align."""

import pytest

from miscomp.detect.lines import Placed, align, extents, pitch_of, placed
from miscomp.detect.words import Letter, Quad, Word
from miscomp.records import Box

QUAD: Quad = ((0.0, 0.0), (100.0, 0.0), (100.0, 20.0), (0.0, 20.0))


def spaced(text: str, *, start: float = 0.05, pitch: float = 0.1) -> list[Placed]:
    """Letters at even distances; a space parts words."""
    found, word = [], 0
    for k, char in enumerate(text):
        if char == " ":
            word += 1
        else:
            found.append(Placed(Letter(char, Box(10 * k, 0, 10, 20), 0.9), start + pitch * k, word))
    return found


def told(before: list[Placed], after: list[Placed]) -> list[tuple[str, str]]:
    pairs = align(before, after, pitch=0.1)
    return [(before[i].char if i is not None else "", after[j].char if j is not None else "") for i, j in pairs]


def test_equal_lines_are_aligned_one_to_one() -> None:
    assert told(spaced("EXIT 42"), spaced("EXIT 42")) == [(c, c) for c in "EXIT42"]


def test_a_replaced_letter_is_paired_with_its_replacement() -> None:
    assert told(spaced("1984"), spaced("1964")) == [("1", "1"), ("9", "9"), ("8", "6"), ("4", "4")]


def test_words_joined_in_the_other_reading_cost_nothing() -> None:
    joined = [Placed(p.letter, p.at, 0) for p in spaced("NO EXIT")]
    assert told(spaced("NO EXIT"), joined) == [(c, c) for c in "NOEXIT"]


def test_of_two_equal_letters_the_one_that_stands_elsewhere_is_missed() -> None:
    first_gone = [Placed(Letter("1", Box(10, 0, 10, 20), 0.9), 0.15, 0)]
    assert told(spaced("11"), first_gone) == [("1", ""), ("1", "1")]
    second_gone = [Placed(Letter("1", Box(0, 0, 10, 20), 0.9), 0.05, 0)]
    assert told(spaced("11"), second_gone) == [("1", "1"), ("1", "")]


def test_nothing_is_aligned_with_nothing() -> None:
    assert align([], [], pitch=1.0) == []
    assert told(spaced("NO"), []) == [("N", ""), ("O", "")]
    assert told([], spaced("NO")) == [("", "N"), ("", "O")]


def test_letters_are_placed_by_their_boxes_and_else_spread_over_their_word() -> None:
    boxes = [Box(0, 0, 20, 20), Box(20, 0, 60, 20)]
    known = Word("NO", Box(0, 0, 80, 20), 0.9, tuple(Letter(c, b, 0.9) for c, b in zip("NO", boxes, strict=True)))
    assert [p.at for p in placed([known], QUAD)] == pytest.approx([0.1, 0.5])
    unknown = Word("EXIT", Box(10, 0, 80, 20), 0.8)
    letters = placed([unknown], QUAD)
    assert [p.at for p in letters] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert all(p.letter.box == unknown.box and p.letter.confidence == 0.8 for p in letters)


def test_words_keep_their_numbers() -> None:
    letters = placed([Word("NO", Box(0, 0, 20, 20), 0.9), Word("A", Box(40, 0, 10, 20), 0.9)], QUAD)
    assert [(p.char, p.word) for p in letters] == [("N", 0), ("O", 0), ("A", 1)]


def test_the_pitch_is_the_middle_distance_within_words() -> None:
    assert pitch_of(spaced("ABC   DEF", pitch=0.1)) == pytest.approx(0.1)
    assert pitch_of(spaced("A")) == 1.0


def test_letters_reach_halfway_to_their_neighbours_and_at_the_ends_of_words_half_a_pitch() -> None:
    left, middle, right = extents(spaced("ABC"), QUAD)
    assert middle == pytest.approx((0.1, 0.2))
    assert left == pytest.approx((0.0, 0.1)) and right == pytest.approx((0.2, 0.3))
    alone, other = extents(spaced("A  B"), QUAD)
    assert alone == pytest.approx((-0.05, 0.15)) and other == pytest.approx((0.25, 0.45))
