"""The one family of errors that `miscomp` raises for things a user can cause.

MiscompError
├── UsageError          the request itself is wrong (an unknown option value, two contradicting options)
│   ├── UnknownName     a codec, column or other name that is not registered
│   └── MissingExtra    an optional dependency is needed and not installed
└── InputError          a file (or a pair of files) cannot be used
    ├── ImageError      not an image, truncated, several frames ...
    │   └── TooLarge    more pixels or bytes than are allowed
    ├── SizeMismatch    original and reconstruction differ in size
    ├── StreamError     a compressed stream is damaged, foreign or made by other weights
    ├── TableError      a CSV file does not hold the expected record
    └── WeightsError    a checkpoint is damaged, foreign or missing

Every message says what was found, what is allowed and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MiscompError(Exception):
    """Base of every error a user can cause; the command line prints it without a traceback."""


class UsageError(MiscompError):
    """The request cannot be carried out as it was put."""


class UnknownName(UsageError):
    """A name that no registry row has; the message lists the known ones and guesses the one meant."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(names) or 'none'}.{guess}")


class MissingExtra(UsageError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}; install it with: pip install 'miscomp[{extra}]'")


class InputError(MiscompError):
    """A file cannot be used; the message begins with its name."""

    def __init__(self, where: object, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = str(where)
        self.problem = problem


class ImageError(InputError):
    """A file is not an image that `miscomp` accepts."""


class TooLarge(ImageError):
    """An image has more pixels or bytes than are allowed."""


class SizeMismatch(InputError):
    """Original and reconstruction differ in size; they are never resized silently."""


class StreamError(InputError):
    """A compressed stream is damaged, truncated, foreign, or made with other weights."""


class TableError(InputError):
    """A table does not hold the records it should."""


class WeightsError(InputError):
    """A checkpoint is damaged, foreign or missing."""
