"""Hand-made readings; the oracles are plain counting, symmetry, and what a person would say of the words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.detect.similar import levenshtein
from miscomp.detect.words import (
    Letter,
    Line,
    Word,
    WordChange,
    is_sure,
    plausibility,
    reading_cost,
)
from miscomp.records import Box


def word(text: str, x: int = 0, y: int = 0, *, w: int = 0, confidence: float = 0.95) -> Word:
    return Word(text, Box(x, y, w or 10 * len(text), 20), confidence)


@given(st.text(max_size=12), st.text(max_size=12))
def test_a_reading_costs_the_same_in_both_directions_and_never_more_than_the_edit_distance(a: str, b: str) -> None:
    assert reading_cost(a, a) == 0
    assert reading_cost(a, b) == reading_cost(b, a)
    if a.isascii() and b.isascii():
        assert reading_cost(a, b) <= levenshtein(a, b)


@pytest.mark.parametrize(
    ("a", "b", "cost"),
    [("R0AD", "ROAD", 0.25), ("Exit", "EXIT", 0.75), ("RK-576", "RK·576", 0.25), ("RK-576", "RK576", 0.25)],
)
def test_what_readers_confuse_by_themselves_costs_a_quarter(a: str, b: str, cost: float) -> None:
    assert reading_cost(a, b) == cost


def test_spaces_cost_nothing() -> None:
    assert reading_cost("NO EXIT", "NOEXIT") == 0


@pytest.mark.parametrize("text", ["", "-", "O", "0", "1", "7.", "Il1", "|||", "EEE", "。、"])
def test_strings_that_facades_read_as_are_not_plausible(text: str) -> None:
    assert plausibility(text) == 0


@pytest.mark.parametrize("text", ["EXIT", "42", "88", "出口", "No."])
def test_words_and_numbers_are_plausible(text: str) -> None:
    assert plausibility(text) > 0.5


def test_a_line_is_boxed_around_its_words_and_weighs_its_letters() -> None:
    line = Line(((0, 0), (80, 0), (80, 20), (0, 20)), (word("NO", confidence=0.5), word("EXIT", 40, confidence=1.0)))
    assert line.box == Box(0, 0, 80, 20)
    assert line.weight == 5.0


def test_a_single_character_counts_less_than_a_word_and_must_be_read_more_surely() -> None:
    assert 0 < plausibility("7") < plausibility("42") < plausibility("EXIT")
    assert is_sure(word("7", confidence=0.91)) and not is_sure(word("7", confidence=0.89))
    assert is_sure(word("EXIT", confidence=0.81)) and not is_sure(word("EXIT", confidence=0.79))
    assert not is_sure(word("O", confidence=1.0))


def test_a_letter_knows_what_else_it_might_be() -> None:
    letter = Letter("8", Box(0, 0, 5, 9), 0.7, (("B", 0.2), ("6", 0.1)))
    assert [letter.probability(c) for c in "8B6x"] == [0.7, 0.2, 0.1, 0.0]


def test_a_word_moves_with_its_letters() -> None:
    letters = (Letter("N", Box(0, 0, 10, 20), 0.9), Letter("O", Box(10, 0, 10, 20), 0.9))
    there = Word("NO", Box(0, 0, 20, 20), 0.9, letters).moved(5, 7)
    assert there.box == Box(5, 7, 20, 20)
    assert [letter.box for letter in there.letters] == [Box(5, 7, 10, 20), Box(15, 7, 10, 20)]


def test_changes_are_told_as_candidates() -> None:
    box = Box(0, 0, 9, 9)
    told = [
        WordChange("changed", box, "42", "47", 1, 0.9).words,
        WordChange("lost", box, "EXIT", "", 4, 0.9).words,
        WordChange("lost", box, "EXIT", "EXT", 1, 0.9).words,
        WordChange("appeared", box, "", "EXIT", 4, 0.9).words,
        WordChange("reshaped", box, "1984", "1984", 0, 0.9, "8").words,
    ]
    assert told == [
        'the reading "42" may have become "47"',
        'the reading "EXIT" may no longer be readable',
        'the reading "EXIT" may no longer be readable (now read as "EXT")',
        'the reading "EXIT" may have appeared where nothing was readable',
        'the "8" of "1984" may look otherwise, though it still reads the same',
    ]
