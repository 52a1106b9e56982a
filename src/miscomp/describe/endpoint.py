"""A model behind an OpenAI-compatible address, chosen by the user. Crops of the pictures are sent to it.

It asks `POST .../v1/chat/completions` with pictures as PNG data URIs. The server is not trusted: the answer's size and
the time are limited, a redirect is never followed, and what it writes is text and nothing else.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from PIL import Image

from miscomp.codecs.connections import is_loopback
from miscomp.describe.base import Answer, DescribeError, clean
from miscomp.errors import UsageError
from miscomp.images import Pixels

MAX_ANSWER_BYTES = 1 << 20
_MOST_TOKENS = 10**9
_LONGEST_TIMEOUT = 3600
_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_FATAL = frozenset({401, 402, 403, 404, 405, 407})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the model answers; made by `parse_address`."""

    host: str
    port: int
    path: str
    tls: bool

    @property
    def shown(self) -> str:
        """Host and port, for messages and results."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse_address(url: str) -> Address:
    """Read the base of an OpenAI-compatible address, `https://host/v1`; `/v1` is added where there is no path.

    Raises `UsageError` for anything else: a user name, query or fragment (they could hold a key), and `http` to another
    machine, where the pictures and the key could be read on the way.
    """
    allowed = "give the base of an OpenAI-compatible address, such as https://host/v1 or http://localhost:8000/v1"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UsageError(f"the endpoint cannot be read as an address; {allowed}") from None
    if not host or parts.scheme not in ("http", "https") or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"the endpoint is no http or https address; {allowed}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"the endpoint holds a user name, a query or a fragment, which could be a key; {allowed}")
    tls = parts.scheme == "https"
    if not tls and not is_loopback(host):
        raise UsageError(
            f"http to {host} would send pictures and key readable by others; use https, or a tunnel to localhost"
        )
    return Address(host=host, port=port or (443 if tls else 80), path=_path(parts), tls=tls)


def _path(parts: SplitResult) -> str:
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return (path or "/v1") + "/chat/completions"


def read_key(variable: str) -> str:
    """The key in an environment variable. Raises `UsageError` naming the variable and never what is in it."""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"--key-env: the environment variable {variable} is not set or is empty; put the key there")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise UsageError(f"--key-env: {variable} holds characters that no key has, such as spaces; set it again")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDescriber:
    """Asks a model behind `address`; the proxy variables of the environment are not used.

    `timeout` is in seconds, for a whole request. The key is in no representation, message or answer.
    """

    address: Address
    model: str
    key: str = field(default="", repr=False)
    seed: int = 0
    timeout: float = 120.0
    max_answer_tokens: int = 600

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= _LONGEST_TIMEOUT:
            raise UsageError(f"a timeout lies above 0 and is at most {_LONGEST_TIMEOUT} seconds, got {self.timeout}")

    @property
    def name(self) -> str:
        return f"{self.model} at {self.address.shown}"

    def describe(self, crops: Sequence[Pixels], question: str) -> Answer:
        status, wait, body = self._post(json.dumps(self._request(crops, question)).encode("ascii"))
        text = body.decode("utf-8", errors="replace")
        if status != 200:
            raise self._refusal(status, wait, text)
        return self._answer(text)

    def _request(self, crops: Sequence[Pixels], question: str) -> dict[str, Any]:
        pictures = [{"type": "image_url", "image_url": {"url": _data_uri(crop)}} for crop in crops]
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": [*pictures, {"type": "text", "text": question}]}],
            "temperature": 0,
            "seed": self.seed,
            "max_tokens": self.max_answer_tokens,
            "stream": False,
        }

    def _post(self, body: bytes) -> tuple[int, float | None, bytes]:
        """Status, seconds to wait as the server asks, and body of one request."""
        connection = self._connection()
        deadline = _Deadline(self.timeout)
        try:
            connection.connect()
            with deadline.over(connection.sock):
                connection.request("POST", self.address.path, body, self._headers())
                with connection.getresponse() as response:
                    content = response.read(MAX_ANSWER_BYTES + 1)
                    missing = response.length
            if deadline.passed:
                raise TimeoutError
            if len(content) > MAX_ANSWER_BYTES:
                raise self._failure(f"answered with more than {MAX_ANSWER_BYTES} bytes; is it a model's address?")
            if missing:
                raise http.client.IncompleteRead(content, missing)
            return response.status, _seconds(response.getheader("Retry-After")), content
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise self._broken(error, passed=deadline.passed) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if not self.address.tls:
            return http.client.HTTPConnection(self.address.host, self.address.port, timeout=self.timeout)
        context = ssl.create_default_context()  # checks the certificate and the host's name
        return http.client.HTTPSConnection(self.address.host, self.address.port, timeout=self.timeout, context=context)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "miscomp"}
        return {**headers, "Authorization": f"Bearer {self.key}"} if self.key else headers

    def _broken(self, error: Exception, *, passed: bool) -> DescribeError:
        if passed or isinstance(error, TimeoutError):
            return self._failure(f"did not answer within {self.timeout:g} seconds", transient=True)
        if isinstance(error, ConnectionRefusedError | socket.gaierror | ssl.SSLCertVerificationError | UnicodeError):
            problem = self._readable(str(error))
            return self._failure(f"cannot be reached ({problem}); check the address and that it runs", fatal=True)
        problem = self._readable(f"{type(error).__name__}: {error}")
        return self._failure(f"broke off ({problem})", transient=True)

    def _refusal(self, status: int, wait: float | None, body: str) -> DescribeError:
        if 300 <= status < 400:
            return self._failure(
                f"redirects elsewhere (status {status}), which is not followed: pictures and key go only to the "
                "address that was given",
                fatal=True,
            )
        problem = f"refused with status {status}: {self._readable(_server_message(body))}"
        return self._failure(problem, transient=status in _TRANSIENT, fatal=status in _FATAL, wait=wait)

    def _answer(self, body: str) -> Answer:
        content = _load(body)
        try:
            said = content["choices"][0]["message"]["content"]
        except (TypeError, KeyError, IndexError):
            raise self._failure(
                f"answered what is no chat completion: {self._readable(body)}", transient=True
            ) from None
        # Some servers answer in parts.
        parts = said if isinstance(said, list) else [said]
        text = "".join(part.get("text", "") if isinstance(part, dict) else part for part in parts if _is_text(part))
        if not text.strip():
            raise self._failure("answered with no text; does the model take pictures?")
        usage = content.get("usage")
        tokens = usage if isinstance(usage, dict) else {}
        return Answer(
            text=self._without_key(text),
            prompt_tokens=_count(tokens.get("prompt_tokens")),
            completion_tokens=_count(tokens.get("completion_tokens")),
        )

    def _failure(
        self, problem: str, *, transient: bool = False, fatal: bool = False, wait: float | None = None
    ) -> DescribeError:
        return DescribeError(self.name, problem, transient=transient, fatal=fatal, wait=wait)

    def _readable(self, text: str) -> str:
        return clean(self._without_key(text), 300) or "no message"

    def _without_key(self, text: str) -> str:
        # A server may repeat what it was sent; the key must not come back into results or messages.
        return text.replace(self.key, "[key]") if self.key else text


class _Deadline:
    """Ends a request when its time is up, however slowly the server goes on sending.

    A socket's own limit starts anew with each byte.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.passed = False

    @contextmanager
    def over(self, sock: socket.socket) -> Iterator[None]:
        """Watch over a socket; the connection lets go of it before the answer is read, so it is held here."""
        timer = threading.Timer(self._seconds, self._end, [sock])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _end(self, sock: socket.socket) -> None:
        self.passed = True
        with suppress(OSError):  # closed in the same moment
            sock.shutdown(socket.SHUT_RDWR)


def _data_uri(crop: Pixels) -> str:
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, format="PNG", compress_level=3)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _load(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _server_message(body: str) -> str:
    """`error.message` where there is one, else the body."""
    content = _load(body)
    error = content.get("error") if isinstance(content, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else body


def _is_text(part: object) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("text", ""), str))


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None


def _seconds(header: str | None) -> float | None:
    """`Retry-After` in seconds; a date is left out."""
    return float(header) if header is not None and header.isascii() and header.isdigit() and len(header) < 9 else None
