"""Bytes that browsers get: scripts and styles from a fixed list, pictures by alias. No path comes from a request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from miscomp.annotate.people import Person
from miscomp.corpus.entries import Role
from miscomp.web.identity import StoreOf, person_with
from miscomp.web.pictures import FOREVER, Picture, picture_response, pictures_of
from miscomp.web.store import Store

router = APIRouter()

KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""What is served of the folder `static`; other files there are not."""


@dataclass(frozen=True, slots=True)
class Static:
    """All scripts, styles and pictures of the pages, in memory."""

    version: str
    """16 hex digits of all their content: a new release has new addresses."""
    files: dict[str, tuple[bytes, str]]
    """Content and type by name, `guide/one.png`."""


@cache
def static_files() -> Static:
    """The files of the package, read once."""
    found = {
        name: (file.read_bytes(), KINDS[Path(name).suffix])
        for name, file in sorted(_walk(files("miscomp.web") / "static", ""))
        if Path(name).suffix in KINDS
    }
    digest = hashlib.sha256()
    for name, (content, _) in found.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return Static(digest.hexdigest()[:16], found)


def _walk(folder: Traversable, before: str) -> Iterator[tuple[str, Traversable]]:
    for one in folder.iterdir():
        if one.is_dir():
            yield from _walk(one, f"{before}{one.name}/")
        else:
            yield before + one.name, one


@router.get("/static/{version}/{name:path}")
async def static(version: str, name: str) -> Response:
    """A file of the list, to anybody: there is nothing of a corpus in it."""
    known = static_files()
    found = known.files.get(name) if version == known.version else None
    if found is None:
        raise HTTPException(404, "there is no such file; load the page again")
    return Response(found[0], media_type=found[1], headers={"Cache-Control": FOREVER})


Viewer = Annotated[Person, person_with(Role.LABELER, Role.REVIEWER, Role.SUPERVISOR)]


@router.get("/pictures/{alias}/original.png")
def original(request: Request, store: StoreOf, alias: str, person: Viewer) -> Response:
    """The photograph of a pair, to those who may see it; to others there is none."""
    return picture_response(store.corpus, _sides(store, alias, person)[0], request)


@router.get("/pictures/{alias}/reconstruction.png")
def reconstruction(request: Request, store: StoreOf, alias: str, person: Viewer) -> Response:
    """What a codec made of it."""
    return picture_response(store.corpus, _sides(store, alias, person)[1], request)


def _sides(store: Store, alias: str, person: Person) -> tuple[Picture, Picture]:
    with store.corpus.reading() as connection:
        found = pictures_of(connection, alias, person)
    if found is None:
        raise HTTPException(404, "there is no such picture")
    return found
