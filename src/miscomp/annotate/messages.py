"""What a labeler's browser may say, checked to the last character. One event is one change; it is stored once.

Every event has a UUID that the browser made: sent again after a lost connection, it is not stored again. Times come
as ages, so that a computer whose clock is wrong does not date its work.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from miscomp.corpus.entries import Action, Choice, Judgement
from miscomp.taxonomy import MultiKind, split_categories

MAX_NOTE = 2000
"""Characters of a note."""
MAX_EVENTS = 200
"""Events of one message; a browser that was long away sends several messages."""
MAX_AGE_MS = 90 * 24 * 3600 * 1000
"""Older events are dated this far back: some clock is wrong."""
MAX_SIDE = 65536


def _category(text: str) -> str:
    split_categories(text)
    return text


def _plain(text: str) -> str:
    if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
        raise ValueError("has a NUL or half a character in it")
    return text


Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", max_length=36)]
Alias = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", max_length=40)]
"""What a pair is called outside the server."""
Note = Annotated[str, Field(max_length=MAX_NOTE), AfterValidator(_plain)]
CategoryText = Annotated[str, Field(max_length=64), AfterValidator(_category)]
Answer = Literal["", "no", "unsure", "yes"]
"""To a question of the decision tree; empty where it was not asked."""
ANSWERS = {"": None, "no": 0.0, "unsure": 0.5, "yes": 1.0}
"""How the tables hold an answer."""
_WORDS = {number: word for word, number in ANSWERS.items()}
Age = Annotated[int, Field(ge=0)]
"""Milliseconds from when it happened to when it was sent."""


def answer_word(value: float | None) -> str:
    """An answer of a table as messages have it. Values between, of detectors and imports, read as `unsure`."""
    return _WORDS.get(value, "unsure")


class Message(BaseModel):
    """What has a key that is not known, or a value of another kind, is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BoxTold(Message):
    """A box was drawn, changed or deleted. Undoing a deletion is a change that replaces the deletion."""

    kind: Literal["box"]
    uuid: Uuid
    alias: Alias
    age_ms: Age = 0
    action: Literal["add", "change", "delete"]
    replaces: Uuid | Literal[""] = ""
    x: int = Field(ge=0, lt=MAX_SIDE)
    y: int = Field(ge=0, lt=MAX_SIDE)
    w: int = Field(ge=1, le=MAX_SIDE)
    h: int = Field(ge=1, le=MAX_SIDE)
    category: CategoryText = ""
    symbol: bool = False
    changed: Answer = ""
    relevant: Answer = ""
    suspicion: Answer = ""
    expected: Answer = ""
    note: Note = ""

    @model_validator(mode="after")
    def _replaces_what_it_changes(self) -> Self:
        if (self.action == Action.ADD.value) == bool(self.replaces):
            raise ValueError("replaces names the event that a change or deletion supersedes; an added box has none")
        return self


class FlagTold(Message):
    """A word on the whole picture; the last one counts."""

    kind: Literal["flag"]
    uuid: Uuid
    alias: Alias
    age_ms: Age = 0
    multi: bool
    multi_kind: Literal["", *(str(one) for one in MultiKind)] = ""  # type: ignore[valid-type]
    overall: bool = False
    note: Note = ""


class VisitTold(Message):
    """A pair was left, or said to be done. `age_ms` is that of its closing."""

    kind: Literal["visit"]
    uuid: Uuid
    alias: Alias
    age_ms: Age = 0
    open_ms: Age
    """From opening to closing."""
    active_ms: Age
    """Of that, with something being done."""
    finished: bool


class ShownTold(Message):
    """Suggestions appeared on a labeler's screen."""

    kind: Literal["shown"]
    uuid: Uuid
    alias: Alias
    age_ms: Age = 0
    events: tuple[Uuid, ...] = Field(max_length=500, strict=False)
    """The detector's events."""


class ChoiceTold(Message):
    """A screener's word on a photograph."""

    kind: Literal["choice"]
    uuid: Uuid
    alias: Alias
    """Of the photograph; no pair is meant."""
    age_ms: Age = 0
    choice: Literal[*(str(one) for one in Choice)]  # type: ignore[valid-type]
    note: Note = ""


class LookTold(Message):
    """A reviewer's word on a box; the last one of a reviewer on an event counts."""

    kind: Literal["look"]
    uuid: Uuid
    event: str = Field(min_length=1, max_length=200)
    """The box's `LabelEvent`; imported ones are not UUIDs of ours."""
    age_ms: Age = 0
    judgement: Literal[*(str(one) for one in Judgement)]  # type: ignore[valid-type]
    category: CategoryText = ""
    symbol: bool = False
    note: Note = ""


Told = Annotated[BoxTold | FlagTold | VisitTold | ShownTold | ChoiceTold | LookTold, Field(discriminator="kind")]


class SaveTold(Message):
    """A message: events in the order in which they happened. What one of them may be is `Told`."""

    events: tuple[dict[str, Any], ...] = Field(max_length=MAX_EVENTS, strict=False)
    """Checked one by one, so that one that is wrong does not hold up the others."""


class Outcome(StrEnum):
    """What became of an event."""

    STORED = "stored"
    KNOWN = "known"
    """It had been stored before: the answer to it was lost."""
    CONFLICT = "conflict"
    """What it replaces was replaced by another already, in another window; the browser shows both."""
    REFUSED = "refused"
    """It can never be stored; the reason says why. The browser keeps it and shows it."""


class Reply(BaseModel):
    """The answer to one event, in the order of the message."""

    model_config = ConfigDict(frozen=True)

    uuid: str
    outcome: Outcome
    reason: str = ""
