"""What answers questions about pictures: the protocol, its answers and its failures."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from miscomp.errors import InputError
from miscomp.images import Pixels

TEXT_LIMIT = 2000
"""Characters kept of a text that a model or a server wrote."""

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model answered, as it came: untrusted, `clean` comes before any use.

    Token counts are none where they are not known; they are never guessed.
    """

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Describer(Protocol):
    """A model that looks at pictures. One call is one request: it neither repeats nor remembers anything."""

    @property
    def name(self) -> str:
        """The model and where it runs, as results name it; never a key."""
        ...

    def describe(self, crops: Sequence[Pixels], question: str) -> Answer:
        """Answer a question about no, one or two pictures. Raises `DescribeError`."""
        ...


class DescribeError(InputError):
    """A model gave no usable answer; the message begins with where it runs.

    `transient` failures may pass when the same is asked again, after `wait` seconds where the server said so.
    `fatal` ones would meet every other question too.
    """

    def __init__(
        self, where: object, problem: str, *, transient: bool = False, fatal: bool = False, wait: float | None = None
    ) -> None:
        super().__init__(where, problem)
        self.transient = transient
        self.fatal = fatal
        self.wait = wait


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """One line of at most `limit` characters, without control, direction, unpaired and unassigned characters.

    Markup stays as it is: whoever shows the text escapes it.
    """
    # Cut first, with room for what is removed: a long text costs no more than a short one.
    spaced = " ".join(text[: 4 * limit].split())
    kept = "".join(c for c in spaced if unicodedata.category(c) not in _HIDDEN)
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"
