"""Second looks: screening, review, and what a supervisor sees. Codec and rate are told on none of these pages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from miscomp.annotate.aliases import find_photograph
from miscomp.annotate.disagreements import LEAST_IOU, disagreements
from miscomp.annotate.look_summary import look_summary
from miscomp.annotate.looks import Wanted, look_of, review_state
from miscomp.annotate.people import Person
from miscomp.annotate.progress import progress
from miscomp.annotate.screening import screening_state
from miscomp.annotate.suggestion_use import suggestion_use
from miscomp.corpus.corpus import original_file
from miscomp.corpus.entries import BatchKind, Role
from miscomp.corpus.exports.archive import zipped_tables
from miscomp.corpus.exports.snapshot import take_snapshot
from miscomp.corpus.schema import BATCH, IMAGE
from miscomp.web.identity import StoreOf, Visitor, person_with, visitor_with
from miscomp.web.pages import page
from miscomp.web.pictures import Picture, picture_response
from miscomp.web.records import camel_case

router = APIRouter()

Screener = Annotated[Person, person_with(Role.SCREENER)]
Reviewer = Annotated[Person, person_with(Role.REVIEWER)]
Supervisor = Annotated[Person, person_with(Role.SUPERVISOR)]


class _Asked(BaseModel):
    """Which boxes a reviewer wants to look at, as in the address."""

    model_config = ConfigDict(extra="forbid")

    batch: str = Field(default="", max_length=64)
    source: str = Field(default="", max_length=200)
    uncategorised: bool = False
    detectors: bool = False
    share: float = Field(default=1.0, gt=0, le=1)

    def wanted(self) -> Wanted:
        """The same for the library."""
        return Wanted(**self.model_dump())


@router.get("/screen")
def screen_page(found: Annotated[Visitor, visitor_with(Role.SCREENER)]) -> Response:
    """Where pictures are decided on; all else comes by its script."""
    return page("screen.html.j2", found)


@router.get("/review")
def review_page(found: Annotated[Visitor, visitor_with(Role.REVIEWER)]) -> Response:
    """Where boxes are looked at again."""
    return page("review.html.j2", found)


@router.get("/supervise")
def supervise_page(found: Annotated[Visitor, visitor_with(Role.SUPERVISOR)]) -> Response:
    """How the work goes."""
    return page("supervise.html.j2", found)


@router.get("/api/screen")
def screen(store: StoreOf, person: Screener) -> Any:
    """What this screener has to decide on, with the criteria; nothing of any other screener's."""
    with store.corpus.reading() as connection:
        return camel_case(screening_state(connection, store.corpus.config, person.name))


@router.get("/pictures/photographs/{alias}.png")
def photograph(request: Request, store: StoreOf, alias: str, _: Screener) -> Response:
    """A photograph, to screeners."""
    with store.corpus.reading() as connection:
        found = find_photograph(connection, alias)
    if found is None:
        raise HTTPException(404, "there is no such picture")
    return picture_response(store.corpus, Picture(original_file(found.image_sha1), found.sha256), request)


@router.get("/api/review")
def review(store: StoreOf, person: Reviewer, wanted: Annotated[_Asked, Query()]) -> Any:
    """The boxes that this reviewer is to look at, without anything that could sway."""
    sources = person.may(Role.SUPERVISOR) or not person.may(Role.LABELER)
    if wanted.source and not sources:
        # Labelers are not to know which pictures are of which collection, in another role either.
        raise HTTPException(403, "who labels is not told where pictures are from; leave the source out")
    with store.corpus.reading() as connection:
        state = review_state(connection, store.corpus.config, person.name, wanted.wanted())
        choices = {"batches": _batches(connection), "sources": _sources(connection) if sources else []}
    return camel_case(state) | {"choices": choices}


@router.get("/api/review/look")
def look(store: StoreOf, person: Reviewer, event: Annotated[str, Query(max_length=200)]) -> Any:
    """A word of this reviewer with the labeler's: only once there is one."""
    with store.corpus.reading() as connection:
        found = look_of(connection, event, person.name)
    if found is None:
        raise HTTPException(404, "you have not looked at such a box yet")
    return camel_case(found)


@router.get("/api/supervise")
def supervise(store: StoreOf, _: Supervisor) -> Any:
    """Progress, second looks, and what was made of suggestions."""
    with store.corpus.reading() as connection:
        overall, labelers = progress(connection)
        looks = look_summary(connection, seed=store.corpus.config.seed)
        used = suggestion_use(connection)
    return {
        "overall": camel_case(overall),
        "labelers": [camel_case(one) for one in labelers],
        "looks": camel_case(looks),
        "suggestions": store.corpus.config.annotate.suggestions,
        "suggestionUse": [camel_case(one) for one in used],
    }


@router.get("/api/supervise/disagreements")
def disagree(store: StoreOf, _: Supervisor) -> Any:
    """The pairs of the agreement batches with everybody's boxes, and agreement on them."""
    with store.corpus.reading() as connection:
        found = disagreements(connection, store.corpus.config)
    agreed = found.agreement
    return {
        "pairs": [camel_case(one) for one in found.pairs],
        "leastIou": LEAST_IOU,
        "whyNone": found.why_none,
        "agreement": agreed
        and {
            "images": agreed.images,
            "photographs": agreed.photographs,
            "boxes": agreed.boxes,
            "resamples": agreed.resamples,
            "rule": agreed.rows[0].rule,
            "labelers": [asdict(one) for one in agreed.labelers],
            "rows": [
                {"perSide": row.per_side, "tiles": row.n, "alpha": asdict(row.alpha), "lost": row.unassigned_boxes}
                for row in agreed.rows
            ],
            "notes": list(agreed.notes),
        },
    }


@router.get("/api/supervise/export.zip")
def export(store: StoreOf, _: Supervisor) -> Response:
    """The tables as they are now, people by pseudonym; the same state gives the same bytes."""
    snapshot = take_snapshot(store.corpus)
    headers = {"Content-Disposition": 'attachment; filename="tables.zip"'}
    return StreamingResponse(zipped_tables(snapshot), media_type="application/zip", headers=headers)


def _batches(connection: Connection) -> list[str]:
    asked = select(BATCH.c.batch).where(BATCH.c.kind != BatchKind.TRAINING.value)
    return list(connection.execute(asked.order_by(BATCH.c.batch)).scalars())


def _sources(connection: Connection) -> list[str]:
    return [
        one for one in connection.execute(select(IMAGE.c.source).distinct().order_by(IMAGE.c.source)).scalars() if one
    ]
