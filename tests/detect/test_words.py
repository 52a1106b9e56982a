"""Hand-made readings; the oracles are plain counting, symmetry, and what a person would say of the words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.detect.words import (
    Line,
    Match,
    Word,
    WordChange,
    as_change,
    compare_words,
    levenshtein,
    match_words,
    plausibility,
    reading_cost,
)
from miscomp.records import Box


def word(text: str, x: int = 0, y: int = 0, *, w: int = 0, confidence: float = 0.95) -> Word:
    return Word(text, Box(x, y, w or 10 * len(text), 20), confidence)


def kinds(changes: list[WordChange]) -> list[tuple[str, str, str]]:
    return [(change.kind, change.before, change.after) for change in changes]


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("kitten", "sitting", 3), ("EXIT", "EXT", 1), ("", "abc", 3), ("flaw", "lawn", 2)],
)
def test_levenshtein_gives_the_textbook_distances(a: str, b: str, distance: int) -> None:
    assert levenshtein(a, b) == levenshtein(b, a) == distance


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_levenshtein_is_a_metric(a: str, b: str, c: str) -> None:
    assert levenshtein(a, a) == 0
    assert levenshtein(a, b) == levenshtein(b, a) >= abs(len(a) - len(b))
    assert levenshtein(a, c) <= levenshtein(a, b) + levenshtein(b, c)


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


@pytest.mark.parametrize("text", ["", "A", "-", "Il1", "|||", "EEE", "。、"])
def test_strings_that_facades_read_as_are_not_plausible(text: str) -> None:
    assert plausibility(text) == 0


@pytest.mark.parametrize("text", ["EXIT", "42", "88", "出口", "No."])
def test_words_and_numbers_are_plausible(text: str) -> None:
    assert plausibility(text) > 0.5


def test_identical_readings_have_no_change() -> None:
    words = [word("NO"), word("EXIT", 40), word("42", 100)]
    assert compare_words(words, list(words)) == []


def test_only_the_changed_word_of_a_line_is_boxed() -> None:
    before = [word("EXIT"), word("42", 60)]
    (change,) = compare_words(before, [word("EXIT"), word("47", 61)])
    assert (change.kind, change.before, change.after, change.distance) == ("changed", "42", "47", 1)
    assert change.box == before[1].box
    assert change.words == 'the reading "42" may have become "47"'


def test_a_missing_word_is_lost_and_a_new_one_appeared() -> None:
    both = [word("EXIT"), word("OPEN", 0, 100)]
    assert kinds(compare_words(both, both[:1])) == [("lost", "OPEN", "")]
    assert kinds(compare_words(both[:1], both)) == [("appeared", "", "OPEN")]


def test_words_parted_or_joined_differently_are_the_same_words() -> None:
    parted = [word("NO"), word("EXIT", 25)]
    joined = [word("NOEXIT", 0, w=65)]
    assert compare_words(parted, joined) == compare_words(joined, parted) == []


def test_a_change_in_joined_words_is_found_at_the_right_word() -> None:
    parted = [word("NO"), word("EXIT", 25)]
    (change,) = compare_words(parted, [word("NOEDIT", 0, w=65)])
    assert (change.before, change.after, change.box) == ("EXIT", "EDIT", parted[1].box)


def test_a_word_dropped_beside_a_kept_one_is_lost_alone() -> None:
    parted = [word("NO"), word("EXIT", 25)]
    assert kinds(compare_words(parted, [word("EXIT", 0, w=65)])) == [("lost", "NO", "")]


def test_unsure_readings_are_no_evidence() -> None:
    assert compare_words([word("EXIT", confidence=0.6)], [word("EDIT")]) == []
    assert compare_words([], [word("EXIT", confidence=0.6)]) == []


def test_an_unsure_second_reading_makes_a_word_lost_with_less_confidence() -> None:
    (garbled,) = compare_words([word("EXIT")], [word("EXT", confidence=0.4)])
    (gone,) = compare_words([word("EXIT")], [])
    assert garbled.kind == gone.kind == "lost"
    assert garbled.confidence < gone.confidence
    assert garbled.words == 'the reading "EXIT" may no longer be readable (now read as "EXT")'


def test_lookalikes_weigh_less_than_other_letters() -> None:
    (alike,) = compare_words([word("ROAD")], [word("R0AD")])
    (other,) = compare_words([word("ROAD")], [word("READ")])
    assert alike.confidence < 0.5 < other.confidence


def test_a_word_stacked_above_another_keeps_its_own_letters() -> None:
    before = [word("TEXT", 0, 0), word("ME", 0, 12, w=40)]
    (change,) = compare_words(before, [word("TEXT", 0, 0), word("MY", 0, 12, w=40)])
    assert (change.before, change.after) == ("ME", "MY")


def test_matches_name_every_word_of_the_first_reading() -> None:
    before = [word("NO"), word("EXIT", 40)]
    matches = match_words(before, [word("EXIT", 40), word("42", 100)])
    assert [(m.word.text if m.word else None, m.text) for m in matches] == [("NO", ""), ("EXIT", "EXIT"), (None, "42")]


def test_a_match_without_cost_is_no_change() -> None:
    assert as_change(Match(word("EXIT"), "EXIT", Box(0, 0, 1, 1), 1.0, 0.0)) is None


def test_a_line_is_boxed_around_its_words_and_weighs_its_letters() -> None:
    line = Line(((0, 0), (80, 0), (80, 20), (0, 20)), (word("NO", confidence=0.5), word("EXIT", 40, confidence=1.0)))
    assert line.box == Box(0, 0, 80, 20)
    assert line.weight == 5.0


_cells = st.lists(
    st.tuples(st.sampled_from(["EXIT", "EDIT", "42", "", "ROAD"]), st.sampled_from(["EXIT", "43", "", "READ"])),
    max_size=8,
)
_FLIP = {"lost": "appeared", "appeared": "lost", "changed": "changed"}


@given(_cells)
def test_swapping_the_pictures_swaps_lost_and_appeared(cells: list[tuple[str, str]]) -> None:
    before = [word(a, 100 * k) for k, (a, _) in enumerate(cells) if a]
    after = [word(b, 100 * k) for k, (_, b) in enumerate(cells) if b]
    there = [(_FLIP[kind], b, a) for kind, a, b in kinds(compare_words(before, after))]
    assert there == kinds(compare_words(after, before))


@given(st.lists(st.tuples(st.text(min_size=1, max_size=6), st.integers(0, 90), st.integers(0, 90)), max_size=8))
def test_comparing_never_fails_and_orders_its_answer(items: list[tuple[str, int, int]]) -> None:
    words = [word(text, x, y) for text, x, y in items]
    changes = compare_words(words[::2], words[1::2])
    assert all(0 < change.confidence <= 1 for change in changes)
    assert [c.box.y for c in changes] == sorted(c.box.y for c in changes)
