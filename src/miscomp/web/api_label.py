"""What the labelers' page asks for, and where it says what was done."""

from __future__ import annotations

import json
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from miscomp.annotate.messages import SaveTold
from miscomp.annotate.people import Person
from miscomp.annotate.save import save
from miscomp.annotate.times import server_time, stamp
from miscomp.annotate.work import batches_of, find_pair, instances_of, items_of, kind_of, pair_of
from miscomp.corpus.entries import Role
from miscomp.folders import package_version
from miscomp.web.identity import Someone, StoreOf, admitted, person_with
from miscomp.web.records import camel_case
from miscomp.web.store import Store

router = APIRouter(prefix="/api")

Labeler = Annotated[Person, person_with(Role.LABELER)]
_TELLERS = (Role.LABELER, Role.SCREENER, Role.REVIEWER)
"""Who has something to store; which events are whose, `save` knows."""


@router.get("/me")
def me(store: StoreOf, found: Someone) -> dict[str, Any]:
    """Who asks, and how this project is set."""
    settings = store.corpus.config.annotate
    return {
        "name": found.person.name,
        "roles": sorted(found.person.roles),
        "csrf": found.csrf,
        "breakAfterMin": settings.break_after_min,
        "suggestions": settings.suggestions,
        "version": package_version(),
        "mode": store.mode,
        "corpus": store.identity,
    }


@router.get("/batches")
def batches(store: StoreOf, person: Labeler) -> list[Any]:
    """What the labeler was given."""
    with store.corpus.reading() as connection:
        return [camel_case(one) for one in batches_of(connection, person.name)]


@router.get("/batches/{batch}")
def batch(store: StoreOf, batch: str, person: Labeler) -> dict[str, Any]:
    """The pairs of a batch, in their order."""
    with store.corpus.reading() as connection:
        kind = kind_of(connection, batch, person.name)
        items = items_of(connection, batch, person.name)
    if kind is None or items is None:
        raise HTTPException(404, "there is no such batch among yours")
    instances = instances_of(kind, store.corpus.config)
    return {"batch": batch, "kind": kind, "instances": instances, "items": [camel_case(one) for one in items]}


@router.get("/pairs/{alias}")
def pair(store: StoreOf, alias: str, person: Labeler) -> Any:
    """A pair as its labeler left it."""
    with store.corpus.reading() as connection:
        state = pair_of(connection, alias, person=person, config=store.corpus.config)
        removed = state is None and find_pair(connection, alias, person.name) is not None
    if removed:
        raise HTTPException(410, "this picture was removed from the corpus; go on with the next")
    if state is None:
        raise HTTPException(404, "there is no such pair among yours")
    return camel_case(state)


@router.post("/save")
async def store_events(request: Request) -> Response:
    """Store events; each is answered by itself, and what is answered is on the disk."""
    # One thread for all of it, and no dependencies: this is asked for more often than all else together.
    return await run_sync(_save, request, await request.body(), limiter=request.app.state.savers)


def _save(request: Request, body: bytes) -> Response:
    store: Store = request.app.state.store
    person = admitted(request, store, *_TELLERS)
    try:
        told = SaveTold.model_validate(json.loads(body))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from None
    except (ValueError, RecursionError):
        raise HTTPException(422, "the message is no JSON that can be read") from None
    time = server_time()
    replies = save(store.corpus, person, told.events, time=time)
    return JSONResponse({"replies": [one.model_dump() for one in replies], "time": stamp(time)})
