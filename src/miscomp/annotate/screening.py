"""Screening in the browser (SCLIC 3.1): a screener's own order, blind to what others decided and to what detectors saw.

Tables that were filled in (`miscomp corpus screen`) and the page write the same decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from miscomp.annotate.aliases import find_photograph, photograph_alias
from miscomp.annotate.events import Refused, Saying, tool_version
from miscomp.annotate.messages import ChoiceTold
from miscomp.corpus.config import Config
from miscomp.corpus.corpus import meta
from miscomp.corpus.entries import Decision, Role, SourceImage
from miscomp.corpus.schema import DECISION, IMAGE, fetch
from miscomp.corpus.screening.decisions import check_screener, waiting
from miscomp.corpus.selection import current
from miscomp.errors import UsageError

AHEAD = 100
"""Pictures that the page is told of at a time."""
BACK = 50
"""Of what was decided last, as many can be looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """A picture as its screener knows it."""

    alias: str
    width: int
    height: int
    choice: str = ""
    """The screener's own; empty before."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningState:
    """What a screener has to do, and did."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    """The criteria."""
    pictures: int
    done: int
    waiting: tuple[Photograph, ...]
    """The next, at most `AHEAD`."""
    decided: tuple[Photograph, ...]
    """The last, at most `BACK`; the latest comes last."""


def screening_state(connection: Connection, config: Config, screener: str) -> ScreeningState:
    """A screener's pictures. Raises `UsageError` for a name that cannot screen, such as one screener too many."""
    check_screener(connection, config, screener)
    secret = meta(connection, "secret")
    images = {one.image_sha1: one for one in fetch(connection, SourceImage, IMAGE.c.removed == "")}
    said = [one for one in _said(connection, screener) if one.image_sha1 in images]
    left = waiting(connection, config, screener)
    return ScreeningState(
        include=config.screening.include,
        exclude=config.screening.exclude,
        pictures=len(images),
        done=len(said),
        waiting=tuple(_photograph(secret, one) for one in left[:AHEAD]),
        decided=tuple(_photograph(secret, images[one.image_sha1], one) for one in said[-BACK:]),
    )


def choice_rows(saying: Saying, told: ChoiceTold) -> list[Any]:
    """The decision that a choice is stored as; the last one of a screener on a picture counts.

    Raises `Refused` for who is no screener, or one too many, and for a picture that is not there.
    """
    saying.need(Role.SCREENER)
    try:
        check_screener(saying.connection, saying.config, saying.person.name)
    except UsageError as error:
        raise Refused(str(error)) from error
    image = find_photograph(saying.connection, told.alias)
    if image is None:
        raise Refused("this picture is not in the corpus any more; nothing was stored for it")
    return [
        Decision(
            uuid=told.uuid,
            image_sha1=image.image_sha1,
            screener=saying.person.name,
            choice=told.choice,
            note=told.note,
            time=saying.time_of(told.age_ms),
            version=tool_version(),
        )
    ]


def _said(connection: Connection, screener: str) -> list[Decision]:
    """The screener's last word on each picture, in the order in which these were stored."""
    every = fetch(connection, Decision, DECISION.c.screener == screener)
    last = {one.uuid for one in current(every).values()}
    return [one for one in every if one.uuid in last]


def _photograph(secret: str, image: SourceImage, said: Decision | None = None) -> Photograph:
    return Photograph(
        alias=photograph_alias(secret, image.image_sha1),
        width=image.width,
        height=image.height,
        choice=said.choice if said else "",
        note=said.note if said else "",
    )
