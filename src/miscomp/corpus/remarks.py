"""What people say beside their boxes: second looks at boxes of others, and words on whole pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from miscomp.corpus.entries import Judgement, LabelEvent, SecondLook
from miscomp.corpus.labels import current_flags
from miscomp.corpus.schema import SECOND_LOOK, fetch
from miscomp.records import Box
from miscomp.taxonomy import MultiKind, split_categories


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """`reviews.csv`: the last word of a reviewer on a box that stands.

    (image_sha1, model, labeler, id) names the box in `annotations.csv`; its place is here again, so that two of one
    name are told apart.
    """

    id: str
    filename: str
    image_sha1: str
    model: str
    x: int
    y: int
    w: int
    h: int
    labeler: str
    """Who drew the box."""
    reviewer: str
    judgement: str
    category: str = ""
    """The reviewer's own, given before the labeler's was shown; empty when none was given."""
    symbol: bool = False
    note: str = ""
    time: str = ""

    def __post_init__(self) -> None:
        Box(self.x, self.y, self.w, self.h)
        if self.judgement not in tuple(Judgement):
            raise ValueError(f"judgement must be one of {', '.join(Judgement)}, got {self.judgement!r}")
        split_categories(self.category)
        if not self.reviewer or not self.labeler:
            raise ValueError("labeler and reviewer must not be empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """`flags.csv`: the last word of a labeler on a whole picture."""

    filename: str
    image_sha1: str
    model: str
    labeler: str
    multi: bool
    """Whether more miscompressions are there than were boxed."""
    kind: str = ""
    """Of these, one of `taxonomy.MultiKind`; empty when none was given."""
    overall: bool = False
    """Whether the picture as a whole gives another impression (SCLIC, appendix 2.2.3)."""
    note: str = ""
    time: str = ""

    def __post_init__(self) -> None:
        if not self.labeler:
            raise ValueError("labeler must not be empty")
        if self.kind and self.kind not in tuple(MultiKind):
            raise ValueError(f"kind must be empty or one of {', '.join(MultiKind)}, got {self.kind!r}")


def current_looks(connection: Connection, event: str = "") -> dict[tuple[str, str], SecondLook]:
    """The last second look by (event, reviewer), also of boxes that were changed or deleted since.

    In the order in which these were stored; of one event alone where one is named.
    """
    found: dict[tuple[str, str], SecondLook] = {}
    for one in fetch(connection, SecondLook, *([SECOND_LOOK.c.event == event] if event else [])):
        found.pop((one.event, one.reviewer), None)
        found[one.event, one.reviewer] = one
    return found


def review_rows(connection: Connection, labels: Iterable[LabelEvent]) -> list[Review]:
    """`reviews.csv`: what was said of these boxes, by picture, model, labeler, place and reviewer.

    Looks at a box as it was before a change are not among them; the database keeps them.
    """
    boxes = {one.uuid: one for one in labels}
    rows = [_review(boxes[event], look) for (event, _), look in current_looks(connection).items() if event in boxes]
    return sorted(rows, key=review_place)


def review_place(one: Review) -> tuple[str | int, ...]:
    """What rows are ordered by."""
    return (one.image_sha1, one.model, one.labeler, one.y, one.x, one.h, one.w, one.reviewer, one.time)


def flag_rows(connection: Connection) -> list[Flag]:
    """`flags.csv`: the last word of each labeler on a picture; what was said in training is not in it."""
    flags = current_flags(connection)
    return [
        Flag(
            filename=f"{one.image_sha1}.png",
            image_sha1=one.image_sha1,
            model=one.model,
            labeler=one.labeler,
            multi=one.multi,
            kind=one.kind,
            overall=one.overall,
            note=one.note,
            time=one.time,
        )
        for _, one in sorted(flags.items())
    ]


def _review(box: LabelEvent, look: SecondLook) -> Review:
    return Review(
        id=box.id,
        filename=box.filename,
        image_sha1=box.image_sha1,
        model=box.model,
        x=box.x,
        y=box.y,
        w=box.w,
        h=box.h,
        labeler=box.labeler,
        reviewer=look.reviewer,
        judgement=look.judgement,
        category=look.category,
        symbol=look.symbol,
        note=look.note,
        time=look.time,
    )
