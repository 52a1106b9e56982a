"""A picture as an answer: checked against its row's hash, then streamed from the disk."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass
from io import BufferedReader

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from miscomp.annotate.aliases import find_reconstruction
from miscomp.annotate.people import Person
from miscomp.annotate.work import find_pair
from miscomp.corpus.corpus import Corpus, original_file
from miscomp.corpus.entries import Role
from miscomp.errors import InputError

FOREVER = "private, max-age=31536000, immutable"
"""For what is the same for everybody and has its content in its address."""
CHECKED = "private, no-cache"
"""For pictures: kept by the browser, and asked for again each time. Else whoever sat down at it after a logout could
see them, and one that was removed from the corpus would be shown for a year."""
_PIECE = 1024 * 1024
_REMEMBERED = 100_000
"""Files that were found whole; some 20 MiB."""
_TELL = "tell who keeps it to run: miscomp corpus verify"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """A file of the corpus and what its row says of it."""

    relative: str
    """From the corpus' folder on; empty where its pixels were removed."""
    sha256: str


class _Whole:
    """Which files have the hash that their rows say; a file that changed is read anew."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int, int, int, str], None] = OrderedDict()

    def check(self, file: BufferedReader, sha256: str) -> int:
        """The size of a file. Raises `ValueError` where it has not that hash."""
        status = os.fstat(file.fileno())
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, sha256)
        if key not in self._known:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise ValueError("has another hash than its row")
            file.seek(0)
            self._known[key] = None
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return status.st_size


_WHOLE = _Whole()


class PictureResponse(Response):
    """Streams a file that is open already, and closes it however the request ends."""

    def __init__(self, file: BufferedReader, size: int, sha256: str) -> None:
        headers = {"Content-Length": str(size), "ETag": f'"{sha256}"', "Cache-Control": CHECKED}
        super().__init__(media_type="image/png", headers=headers)
        self._file = file
        self._size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file in pieces, each when the reader took the one before."""
        with self._file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            left = self._size
            while left > 0:
                piece = await run_in_threadpool(self._file.read, min(left, _PIECE))
                if not piece:
                    raise OSError("a picture became shorter while it was read")
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


def _without_waiting(path: str, flags: int) -> int:
    """Open a file. A pipe that somebody put in its place would be waited for, and a device be read without end."""
    opened = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    raise OSError("is no file")


def picture_response(corpus: Corpus, picture: Picture, request: Request) -> Response:
    """A picture, or 304 where the browser has it. Call in a thread.

    Raises 410 for one that was removed, 500 for one that is missing or damaged; what is wrong stands in the log.
    """
    if not picture.relative:
        raise HTTPException(410, "this picture was removed from the corpus; go on with the next")
    tags = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    try:
        path = corpus.file(picture.relative)
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - the response closes it
    except (OSError, InputError) as error:
        _LOG.error("%s: %s", picture.relative, error)
        raise HTTPException(500, f"this picture is missing in the corpus; {_TELL}") from None
    try:
        size = _WHOLE.check(file, picture.sha256)
        if f'"{picture.sha256}"' in tags:
            file.close()
            return Response(status_code=304, headers={"ETag": f'"{picture.sha256}"', "Cache-Control": CHECKED})
        return PictureResponse(file, size, picture.sha256)
    except (OSError, ValueError) as error:
        file.close()
        _LOG.error("%s: %s", picture.relative, error)
        raise HTTPException(500, f"this picture is damaged in the corpus; {_TELL}") from None


def pictures_of(connection: Connection, alias: str, person: Person) -> tuple[Picture, Picture] | None:
    """Original and reconstruction of a pair; none where there is none, or where this person may not see it.

    Labelers see what they were given; reviewers and supervisors every pair, as imported ones are in no batch.
    """
    if pair := find_pair(connection, alias, person.name) if person.may(Role.LABELER) else None:
        gone = not pair.file
        original = "" if gone else original_file(pair.image_sha1)
        return Picture(original, pair.original_sha256), Picture(pair.file, pair.file_sha256)
    if not (person.may(Role.REVIEWER) or person.may(Role.SUPERVISOR)):
        return None
    found = find_reconstruction(connection, alias)
    if found is None:
        return None
    image, made = found
    return Picture(original_file(image.image_sha1), image.sha256), Picture(made.file, made.sha256)
