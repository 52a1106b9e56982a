"""Categories and how they are written."""

from __future__ import annotations

from itertools import chain, permutations

import pytest

from miscomp.taxonomy import Category, MultiKind, Origin, join_categories, split_categories

EVERY_ORDER = list(chain.from_iterable(permutations(Category, n) for n in range(4)))


@pytest.mark.parametrize("categories", EVERY_ORDER)
def test_every_order_of_categories_survives_the_round_trip(categories: tuple[Category, ...]) -> None:
    assert split_categories(join_categories(categories)) == categories


def test_the_main_category_is_written_first_and_none_is_empty() -> None:
    assert join_categories((Category.SHAPE, Category.AMPLITUDE)) == "SHAPE+AMPLITUDE"
    assert join_categories(()) == ""


@pytest.mark.parametrize("text", ["shape", "SHAPE+", "+", "SHAPE AMPLITUDE", "SHAPE+SYMBOL", " SHAPE", "SHAPE+SHAPE"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown category|appears twice"):
        split_categories(text)


def test_a_category_cannot_be_written_twice() -> None:
    with pytest.raises(ValueError, match="appears twice"):
        join_categories((Category.SHAPE, Category.SHAPE))


def test_values_in_tables_are_an_interface() -> None:
    assert [*Category] == ["AMPLITUDE", "GEOMETRY", "SHAPE"]
    assert [*Origin] == ["person", "detector", "truth", "simulated"]
    assert len(set(MultiKind)) == 7
