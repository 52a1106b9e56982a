"""The error family."""

from __future__ import annotations

import pytest

from miscomp import errors
from miscomp.errors import ImageError, InputError, MiscompError, MissingExtra, UnknownName, UsageError


def test_everything_a_user_can_cause_is_one_family() -> None:
    found = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}
    assert all(issubclass(error, MiscompError) for error in found)
    tree = {error.__name__ for error in found}
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in tree)  # the tree in the module's docstring is complete


def test_an_input_error_begins_with_the_file_and_keeps_both_parts() -> None:
    error = ImageError("a/b.png", "is empty")
    assert str(error) == "a/b.png: is empty"
    assert (error.where, error.problem) == ("a/b.png", "is empty")
    assert isinstance(error, InputError)


@pytest.mark.parametrize(("name", "guess"), [("lucit", " Did you mean 'lucid'?"), ("zzz", "")])
def test_an_unknown_name_guesses_only_what_is_close(name: str, guess: str) -> None:
    error = UnknownName("codec", name, ["webp", "lucid"])
    assert str(error) == f"unknown codec {name!r}; known: lucid, webp.{guess}"
    assert isinstance(error, UsageError)


def test_a_missing_extra_names_the_command_that_helps() -> None:
    error = MissingExtra("c2pa-python", "disclose", "writing C2PA")
    assert str(error) == "writing C2PA needs c2pa-python; install it with: pip install 'miscomp[disclose]'"
