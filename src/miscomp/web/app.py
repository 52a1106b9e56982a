"""The application: routes behind the guard, and one form of every error."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from miscomp.errors import InputError, MiscompError, UsageError
from miscomp.web import api_guide, api_label, api_login, api_second, files, pages
from miscomp.web.security import Guard, told
from miscomp.web.store import Store

THREADS = 12
"""Requests that ask the database or the disk at the same time."""
SAVERS = 12
"""Saves besides. They wait where a command writes into the corpus, and pages and pictures must not wait with them."""
_DATA = ("/api/", "/pictures/", "/static/")
"""Where scripts ask: they want JSON, and no page to log in."""
_LOG = logging.getLogger(__name__)


def create_app(store: Store) -> FastAPI:
    """The application that serves a store. It has no documentation pages: what strangers see is the login alone."""
    app = FastAPI(
        title="miscomp annotate",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_life,
    )
    app.state.store = store
    app.state.gate = api_login.Gate()
    app.state.savers = CapacityLimiter(SAVERS)
    # What is asked for most first; photographs before pairs, whose address would fit theirs too.
    for room in (api_label, api_second, files, pages, api_login, api_guide):
        app.include_router(room.router)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(UsageError, _unusable)
    app.add_exception_handler(MiscompError, _broken)
    app.add_exception_handler(SQLAlchemyError, _broken)
    app.add_middleware(Guard, door=store.door)
    return app


@asynccontextmanager
async def _life(_: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    yield


def _answer(request: Request, status: int, reason: str, headers: Any = None) -> Response:
    if request.url.path.startswith(_DATA):
        return JSONResponse({"error": told(reason)}, status_code=status, headers=headers)
    response = pages.page("error.html.j2", status=status, reason=reason)
    response.headers.update(headers or {})
    return response


async def _refused(request: Request, error: Any) -> Response:
    if error.status_code == 401 and not request.url.path.startswith(_DATA):
        return RedirectResponse("/login", status_code=303)
    reason = "there is no such page" if error.detail == "Not Found" else str(error.detail)
    return _answer(request, error.status_code, reason, error.headers)


async def _malformed(request: Request, error: Any) -> Response:
    found = error.errors()[:3]
    said = "; ".join(f"{'.'.join(map(str, one['loc'][1:])) or 'request'}: {one['msg']}" for one in found)
    return _answer(request, 422, said)


async def _unusable(request: Request, error: Any) -> Response:
    return _answer(request, 422, str(error))


async def _broken(request: Request, error: Any) -> Response:
    """What the database or the disk refuses: names, paths and URLs stand in the log alone."""
    _LOG.error("%s %s: %s", request.method, told(request.url.path), told(error))
    if isinstance(error, InputError) and not isinstance(error.__cause__, SQLAlchemyError):
        return _answer(request, 500, "the corpus has something in it that cannot be used; the server's log says what")
    return _answer(request, 503, "the database cannot be used at the moment; nothing is lost, try again")
