"""Connections to servers that are not trusted: http and https alone, redirects few and never to less safety."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any
from urllib.parse import urlsplit

from miscomp.errors import UsageError
from miscomp.folders import package_version

MAX_REDIRECTS = 5


class Refusal(Exception):
    """Something that the server does is not allowed; the message says what."""


def check_address(url: str, what: str) -> None:
    """Raise `UsageError` unless this is an http or https address of a plain path."""
    try:
        parts = urlsplit(url)
        plain = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        plain = False
    if not plain or parts.scheme not in ("http", "https") or parts.query or parts.fragment or not url.isascii():
        raise UsageError(f"{what} is no plain http or https address; write it as https://host/folder")


def open_address(url: str, headers: Mapping[str, str], patience: float) -> http.client.HTTPResponse:
    """Ask for what lies at an http or https address; each wait is at most `patience` seconds.

    The proxy variables of the environment are heeded. Raises `HTTPError` for what the server refuses, `Refusal`, and
    `OSError` and `HTTPException` where the connection fails.
    """
    own = {"User-Agent": f"miscomp/{package_version().split()[0]}", "Accept-Encoding": "identity"}
    # The usual opener would also follow addresses of files on this machine.
    opener = urllib.request.OpenerDirector()
    near = is_loopback(urlsplit(url).hostname or "")
    for handler in (
        urllib.request.ProxyHandler({} if near else None),
        _Http(),
        _Https(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    response = opener.open(urllib.request.Request(url, headers={**own, **headers}), timeout=patience)
    if not isinstance(response, http.client.HTTPResponse):
        raise Refusal("was not answered over http or https")
    return response


class _Watched(http.client.HTTPConnection):
    """Ends a wait for an answer when its time is up; a socket's own limit starts anew with each byte."""

    def getresponse(self) -> http.client.HTTPResponse:
        passed = threading.Event()
        timer = threading.Timer(self.timeout or 0, _end, [self.sock, passed])
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
        except (OSError, http.client.HTTPException):
            if passed.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
        if passed.is_set():  # to the reader, a head that was cut off looks like one that ended
            response.close()
            raise TimeoutError
        return response


class _WatchedTls(_Watched, http.client.HTTPSConnection):
    pass


def _end(sock: socket.socket, passed: threading.Event) -> None:
    passed.set()
    with suppress(OSError):  # closed in the same moment
        sock.shutdown(socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Watched, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_WatchedTls, req, context=ssl.create_default_context())


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = max_repeats = MAX_REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        fp.close()  # else its whole body would be read first, however long
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        same = old.scheme == new.scheme == "http" and old.hostname == new.hostname
        if new.scheme != "https" and not same:
            raise Refusal(f"redirects away from https, to {new.scheme}; use another mirror")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
