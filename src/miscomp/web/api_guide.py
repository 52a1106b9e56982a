"""Guidance: the page of instructions, and what everybody marked on a training pair."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from miscomp.annotate.discussion import Discussion, Drawn, NotDone, Place, discussion_of
from miscomp.annotate.messages import answer_word
from miscomp.annotate.people import Person
from miscomp.corpus.entries import LabelEvent, Role
from miscomp.web.identity import Someone, StoreOf, person_with
from miscomp.web.pages import page

router = APIRouter()

_ANSWERS = ("changed", "relevant", "suspicion", "expected")


@router.get("/guide")
def guide(store: StoreOf, found: Someone) -> Response:
    """The instructions, to everybody who works here."""
    config = store.corpus.config
    return page(
        "guide.html.j2",
        found,
        instances=config.batches.instances,
        break_after=config.annotate.break_after_min,
        suggestions=config.annotate.suggestions,
    )


@router.get("/api/training/{alias}")
def training(
    store: StoreOf, alias: str, person: Annotated[Person, person_with(Role.LABELER, Role.SUPERVISOR)]
) -> dict[str, Any]:
    """A training pair as all who finished it see it; 403 before the own pass is done, 404 for any other pair."""
    with store.corpus.reading() as connection:
        try:
            found = discussion_of(connection, alias, person)
        except NotDone as error:
            raise HTTPException(403, str(error)) from error
    if found is None:
        raise HTTPException(404, "there is no such training pair among yours")
    return _told(found)


def _told(found: Discussion) -> dict[str, Any]:
    return {
        "alias": found.alias,
        "batch": found.batch,
        "labelers": [_labeler(one) for one in found.drawn],
        "waiting": list(found.waiting),
        "places": [_place(one) for one in found.places],
        "compared": found.compared,
    }


def _labeler(drawn: Drawn) -> dict[str, Any]:
    flag = drawn.flag
    said = flag and {"multi": flag.multi, "multiKind": flag.kind, "overall": flag.overall, "note": flag.note}
    return {"name": drawn.labeler, "boxes": [_box(one) for one in drawn.boxes], "flag": said}


def _box(one: LabelEvent) -> dict[str, Any]:
    plain = ("x", "y", "w", "h", "category", "symbol", "note")
    answers = {name: answer_word(getattr(one, name)) for name in _ANSWERS}
    return {"event": one.uuid, **{name: getattr(one, name) for name in plain}, **answers}


def _place(one: Place) -> dict[str, Any]:
    return {**asdict(one.box), "events": list(one.events), "labelers": list(one.labelers)}
