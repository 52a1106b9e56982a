"""Costs of exchanging characters; the oracles are textbook distances, symmetry, and what a person would confuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.detect.similar import alikeness, exchange_cost, folded, gap_cost, levenshtein


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


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        *(("8", "8", 1.0), ("O", "0", 0.9), ("I", "l", 0.9), ("S", "s", 0.9), ("E", "e", 0.8), ("-", ".", 0.8)),
        *(("B", "8", 0.5), ("Q", "O", 0.5), ("8", "6", 0.0), ("3", "8", 0.0), ("N", "D", 0.0)),
    ],
)
def test_one_shape_is_more_alike_than_another_case_and_that_more_than_a_lookalike(a: str, b: str, alike: float) -> None:
    assert alikeness(a, b) == alikeness(b, a) == alike


@given(st.characters(), st.characters())
def test_an_exchange_costs_the_same_both_ways_and_nothing_only_for_the_same_character(a: str, b: str) -> None:
    assert exchange_cost(a, b) == exchange_cost(b, a)
    assert (exchange_cost(a, b) == 0) == (a == b)
    assert exchange_cost(a, b) <= 1


def test_punctuation_is_missed_for_less_than_letters() -> None:
    assert gap_cost("-") < gap_cost("A") == gap_cost("7") == 1


def test_folding_takes_spaces_out_and_ligatures_apart() -> None:
    assert folded("NO \ufb01re \uff14\uff12") == "NOfire42"
