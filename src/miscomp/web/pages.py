"""The pages: shells that scripts fill. Where nobody is logged in they lead to the login."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from miscomp.annotate.people import Person
from miscomp.corpus.entries import Role
from miscomp.report.environment import page_environment
from miscomp.web.files import static_files
from miscomp.web.identity import StoreOf, Visitor, log_in, sole_account, visitor_of, visitor_with
from miscomp.web.store import Mode

router = APIRouter()

PLACES = (
    (Role.LABELER, "/label", "Label"),
    (Role.SUPERVISOR, "/supervise", "Supervise"),
    (Role.SCREENER, "/screen", "Screen"),
    (Role.REVIEWER, "/review", "Review"),
)
"""Which page a role works on, and what it is called."""

Maybe = Annotated[Visitor | None, Depends(visitor_of)]


@cache
def _environment() -> Environment:
    return page_environment("miscomp.web")


def page(template: str, found: Visitor | None = None, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page from a template that extends `base.html.j2`; `found` is who looks at it."""
    person = found.person if found else None
    text = (
        _environment()
        .get_template(template)
        .render(
            static=f"/static/{static_files().version}",
            name=person.name if person else "",
            csrf=found.csrf if found else "",
            places=places_of(person),
            **values,
        )
    )
    return HTMLResponse(text, status_code=status)


def places_of(person: Person | None) -> list[tuple[str, str]]:
    """Address and name of the pages that a person may see."""
    return [(path, word) for role, path, word in PLACES if person and person.may(role)]


@router.get("/")
def home(found: Maybe) -> Response:
    """To where the work is."""
    places = places_of(found.person if found else None)
    return RedirectResponse(places[0][0] if places else "/login", status_code=303)


@router.get("/login")
def login(store: StoreOf, found: Maybe) -> Response:
    """Name and password; with one labeler alone, a word on how to get in."""
    if found is not None:
        return RedirectResponse("/", status_code=303)
    lab = store.mode is Mode.LAB
    return page("login.html.j2", lab=lab, status=200 if lab else 401)


@router.get("/enter")
async def enter(store: StoreOf, key: str = "") -> Response:
    """What the printed address opens: the key makes a session.

    The page that follows is opened by this one and not by a redirect: after a redirect from another site (a terminal
    in a web page) browsers would not send the new cookie.
    """
    if store.mode is not Mode.SINGLE or not store.keys.take(key):
        return page("login.html.j2", lab=store.mode is Mode.LAB, status=401)
    response = page("enter.html.j2")
    await run_in_threadpool(log_in, store, response, sole_account(store))
    return response


@router.get("/label")
def label(found: Annotated[Visitor, visitor_with(Role.LABELER)]) -> Response:
    """The labelers' page; all else comes by its script."""
    return page("label.html.j2", found)
