"""Fetch one large file over HTTP into a part file, from where an earlier attempt stopped.

The server is not trusted: size and patience are bounded, and what it sends is bytes and nothing more.
"""

from __future__ import annotations

import errno
import http.client
import json
import re
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError

from miscomp.codecs.connections import MAX_REDIRECTS, Refusal, open_address
from miscomp.errors import WeightsError
from miscomp.folders import write_text

_CHUNK = 2**18
_SLOWEST = 1024
"""Bytes a second below which a server counts as hanging."""
_AGAIN = "give the same command again to go on where it stopped"

_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.ASCII)

Progress = Callable[[int, int | None], None]
"""Told of the bytes so far and, where known, of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a download may cost."""

    max_bytes: int = 3 * 2**30
    patience: float = 30.0
    """Seconds to wait for an answer, and in which some kilobytes must come."""


def download(url: str, part: Path, *, limits: Limits, progress: Progress) -> bool:
    """Fill `part` with what lies at `url`; a part of the same file, left by an earlier attempt, is gone on with.

    Returns whether the server said where the file ends: if not, only its hash can tell that it is whole. Raises
    `WeightsError`; what has come by then stays in `part`, where going on with it makes sense.
    """
    for begun in (_begun(url, part), _Begun()):
        try:
            return _receive(url, part, begun, limits=limits, progress=progress)
        except _StartOver:
            continue
        except (OSError, http.client.HTTPException, Refusal) as error:
            raise _in_words(url, part, error, limits) from error
    raise WeightsError(url, "its server refuses to send the file from its beginning; try later or another mirror")


def discard(part: Path) -> None:
    """Remove a part file and what is known about it."""
    for path in (part, _memory(part)):
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Begun:
    """What an earlier attempt left; `validator` is the server's mark of that version of the file."""

    size: int = 0
    validator: str = ""


class _StartOver(Exception):
    """The part cannot be gone on with."""


def _memory(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _begun(url: str, part: Path) -> _Begun:
    """Without a validator nothing tells whether the rest would belong to the same version: then start anew."""
    try:
        known = json.loads(_memory(part).read_text(encoding="ascii"))
        size = part.stat().st_size
    except (OSError, ValueError, RecursionError):
        return _Begun()
    good = isinstance(known, dict) and known.get("url") == url and isinstance(known.get("validator"), str)
    return _Begun(size, known["validator"]) if good and known["validator"] else _Begun()


def _remember(url: str, part: Path, headers: Message) -> None:
    """Keep a strong ETag, else the date of the last change, for `If-Range`."""
    tag = headers.get("ETag", "")
    validator = tag if tag.startswith('"') else headers.get("Last-Modified", "")
    write_text(_memory(part), json.dumps({"url": url, "validator": validator[:1000]}) + "\n")


def _receive(url: str, part: Path, begun: _Begun, *, limits: Limits, progress: Progress) -> bool:
    headers = {"Range": f"bytes={begun.size}-", "If-Range": begun.validator} if begun.size else {}
    try:
        response = open_address(url, headers, limits.patience)
    except HTTPError as error:
        error.close()
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and begun.size:
            if error.headers.get("Content-Range", "") == f"bytes */{begun.size}":
                return True  # an earlier attempt was stopped when all had come
            raise _StartOver from error
        raise
    with closing(response), part.open("r+b" if begun.size else "wb") as file:
        at, total = _place(response, begun)
        if total is not None and total > limits.max_bytes:
            raise Refusal(f"has {total} bytes; at most {limits.max_bytes} are fetched")
        file.seek(at)
        file.truncate()
        if at == 0:
            _remember(url, part, response.headers)
        end = _copy(response, file, at, total, limits=limits, progress=progress)
    if total is not None and end < total:
        raise http.client.IncompleteRead(b"", total - end)
    return total is not None or (response.status == HTTPStatus.OK and bool(response.chunked))


def _place(response: http.client.HTTPResponse, begun: _Begun) -> tuple[int, int | None]:
    """Where the answer's first byte belongs, and how many bytes the file has."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Refusal("is sent in an encoding that was not asked for; use another mirror")
    length = response.headers.get("Content-Length", "")
    if response.status == HTTPStatus.OK:
        return 0, int(length) if _is_count(length) else None
    if response.status != HTTPStatus.PARTIAL_CONTENT or not begun.size:
        raise Refusal(f"was answered with status {response.status}, which is no file; use another mirror")
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if not found or int(found[1]) != begun.size:
        raise _StartOver
    # A server whose answer has no ETag is trusted to have honoured If-Range.
    if begun.validator.startswith('"') and response.headers.get("ETag", begun.validator) != begun.validator:
        raise _StartOver
    return begun.size, None if found[2] == "*" else int(found[2])


def _copy(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    at: int,
    total: int | None,
    *,
    limits: Limits,
    progress: Progress,
) -> int:
    """Write what comes behind `at`; returns where it ends."""
    most, since, fresh = total or limits.max_bytes, time.monotonic(), 0
    progress(at, total)
    while (total is None or at < total) and (chunk := response.read1(_CHUNK)):
        at, fresh = at + len(chunk), fresh + len(chunk)
        if at > most:
            file.seek(0)
            file.truncate()
            raise Refusal(f"sends more than {most} bytes; use another mirror")
        file.write(chunk)
        progress(at, total)
        if time.monotonic() - since >= limits.patience:
            if fresh < _SLOWEST * limits.patience:
                raise TimeoutError
            since, fresh = time.monotonic(), 0
    return at


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


_DISK = {errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}


def _in_words(url: str, part: Path, error: Exception, limits: Limits) -> WeightsError:
    """What went wrong, for people; `__cause__` is for debugging."""
    if isinstance(error, Refusal):
        return WeightsError(url, str(error))
    if isinstance(error, HTTPError):
        error.close()
        return WeightsError(url, _refusal(error.code))
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return WeightsError(url, f"its server did not send anything much within {limits.patience:g} seconds; {_AGAIN}")
    if isinstance(cause, OSError) and (cause.errno in _DISK or cause.filename):
        return WeightsError(part, f"cannot be written: {cause.strerror}; make room, then {_AGAIN}")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return WeightsError(url, f"its server cannot prove who it is ({cause.verify_message}); nothing was fetched")
    if isinstance(error, URLError):
        advice = "check the network and the address; without network, bring the file and give it with --from"
        return WeightsError(url, f"cannot be reached ({cause}); {advice}")
    missing = f", {error.expected} bytes missing" if isinstance(error, http.client.IncompleteRead) else ""
    return WeightsError(url, f"broke off ({type(error).__name__}{missing}); {_AGAIN}")


def _refusal(code: int) -> str:
    if 300 <= code < 400:
        return f"redirects in a circle, more than {MAX_REDIRECTS} times or away from https; use another mirror"
    if code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return f"is not there (status {code}): it may have moved; find the file and give it with --from"
    later = code >= 500 or code == HTTPStatus.TOO_MANY_REQUESTS
    return f"was refused with status {code}; {'try later' if later else 'find the file and give it with --from'}"
