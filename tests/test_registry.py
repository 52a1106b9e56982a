"""The registry and the loading of what its rows name."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from miscomp.errors import UnknownName
from miscomp.registry import Registry, load


@dataclass(frozen=True)
class Row:
    name: str


def test_rows_are_found_by_name_and_keep_their_order() -> None:
    rows = [Row("webp"), Row("avif"), Row("jpeg")]
    registry = Registry("codec", rows)
    assert registry["avif"] is rows[1]
    assert registry.names == ("webp", "avif", "jpeg")
    assert list(registry) == rows
    assert len(registry) == 3
    assert "jpeg" in registry
    assert "jpg" not in registry


def test_an_unknown_name_lists_the_known_ones_and_guesses() -> None:
    with pytest.raises(UnknownName) as caught:
        Registry("codec", [Row("webp"), Row("jpeg")])["jpg"]
    assert str(caught.value) == "unknown codec 'jpg'; known: jpeg, webp. Did you mean 'jpeg'?"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="codec 'webp' is registered twice"):
        Registry("codec", [Row("webp"), Row("webp")])


def test_load_imports_what_a_row_names() -> None:
    assert load("math:sqrt") is math.sqrt
    with pytest.raises(AttributeError):
        load("math:no_such_function")
    with pytest.raises(ModuleNotFoundError):
        load("no_such_module_at_all:x")
