"""Attacks on the server from outside: other names, other sites, other methods, too much, too slowly.

Oracle: the HTTP and browser standards that each test names; the server is real and listens on the loopback.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from annotating import Running, batched, serve
from starlette.routing import Route

from miscomp.web import security, server
from miscomp.web.identity import CSRF_HEADER
from miscomp.web.security import MAX_BODY, MAX_TARGET

pytestmark = pytest.mark.loopback

OPEN = {"/", "/login", "/enter", "/api/login", "/static/{version}/{name:path}"}
"""What answers strangers."""


SAVING = b"POST /api/save HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serve(batched(tmp_path_factory.mktemp("web") / "corpus", images=1), labeler="labeler-1") as running:
        yield running


@pytest.fixture(scope="module")
def stranger(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.address) as client:
        yield client


@pytest.fixture(scope="module")
def person(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.address) as client:
        assert client.get(running.entrance).status_code == 200
        client.headers[CSRF_HEADER] = client.get("/api/me").json()["csrf"]
        yield client


def raw(running: Running, request: bytes, *, wait: float = 5.0) -> bytes:
    """What the server sends for some bytes, until it closes the connection or is silent for a while."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=wait) as sock:
        sock.sendall(request)
        got = b""
        try:
            while piece := sock.recv(65536):
                got += piece
                if b"\r\n\r\n" in got and b"}" in got:
                    break
        except (TimeoutError, ConnectionResetError):
            pass
        return got


def walk(routes: Any) -> Iterator[Any]:
    for one in routes:
        inner = getattr(one, "routes", None) or getattr(getattr(one, "original_router", None), "routes", None)
        if inner:
            yield from walk(inner)
        else:
            yield one


def paths(running: Running) -> list[tuple[str, str]]:
    app: Any = running.app
    found = [(method, one.path) for one in walk(app.routes) if isinstance(one, Route) for method in one.methods or ()]
    found += [(method, one.path) for one in walk(app.routes) if not isinstance(one, Route) for method in one.methods]
    return sorted({*found})


def test_strangers_get_nothing_but_the_login(running: Running, stranger: httpx.Client) -> None:
    known = paths(running)
    assert ("POST", "/api/save") in known and ("GET", "/pictures/{alias}/original.png") in known
    for method, path in known:
        if path in OPEN or method == "HEAD":
            continue
        filled = path.replace("{alias}", "0" * 40).replace("{batch}", "b100000")
        answer = stranger.request(method, filled, json={} if method == "POST" else None)
        if filled.startswith(("/api/", "/pictures/")):
            assert answer.status_code == 401, path
            assert list(answer.json()) == ["error"]
        else:
            assert (answer.status_code, answer.headers["location"]) == (303, "/login"), path


def test_every_change_needs_the_sessions_token(running: Running, person: httpx.Client) -> None:
    changes = [path for method, path in paths(running) if method not in ("GET", "HEAD") and path not in OPEN]
    assert "/api/save" in changes and "/api/logout" in changes
    for path in changes:
        for token in ("", "x" * 43, "ä", person.headers[CSRF_HEADER] + "x"):
            answer = person.post(path, json={}, headers={CSRF_HEADER.encode(): token.encode("latin-1")})
            assert answer.status_code == 403, path
    assert person.post("/api/save", json={"events": []}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8377", "[::2]", "10.0.0.1", "0"],
)
def test_a_page_that_rebinds_its_own_name_gets_nothing(stranger: httpx.Client, host: str) -> None:
    answer = stranger.get("/login", headers={"Host": host})
    assert answer.status_code == 421
    assert "miscomp" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:80", "localhost."])
def test_the_loopbacks_own_names_are_known(stranger: httpx.Client, host: str) -> None:
    assert stranger.get("/static/none/x.js", headers={"Host": host}).status_code == 404


def test_two_host_headers_are_refused(running: Running) -> None:
    for second in (b"evil.example", b"127.0.0.1"):
        got = raw(running, b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: " + second + b"\r\n\r\n")
        assert got.split(b" ")[1] in (b"400", b"421")
    assert raw(running, b"GET /login HTTP/1.1\r\n\r\n").split(b" ")[1] == b"400"
    assert raw(running, b"GET /login HTTP/1.0\r\n\r\n").split(b" ")[1] == b"421"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[::1"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_other_sites_change_nothing(person: httpx.Client, headers: dict[str, str]) -> None:
    assert person.post("/api/save", json={"events": []}, headers=headers).status_code == 403


def test_the_pages_own_scripts_may(running: Running, person: httpx.Client) -> None:
    own = {"Origin": running.address, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert person.post("/api/save", json={"events": []}, headers=own).status_code == 200


def test_other_sites_read_nothing_either(person: httpx.Client) -> None:
    for site in ("cross-site", "same-site"):
        assert person.get("/api/me", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}).status_code == 403
    # A link in a mail may lead here.
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert person.get("/login", headers=link, follow_redirects=True).status_code == 200
    answer = person.options("/api/save", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_answer_has_the_headers(person: httpx.Client, stranger: httpx.Client, running: Running) -> None:
    answers = [
        person.get("/label"),
        person.get("/api/me"),
        person.get("/nothing"),
        person.post("/api/save", content=b"{"),
        stranger.get("/"),
        stranger.get("/login", headers={"Host": "evil.example"}),
        stranger.put("/login"),
        stranger.post("/api/login", content=b"x" * (MAX_BODY + 1)),
        stranger.get(person.get("/label").text.split('stylesheet" href="')[1].split('"')[0]),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in answer.headers["permissions-policy"]
        assert "server" not in answer.headers
    assert [one.headers["cache-control"] for one in answers[:-1]] == ["no-store"] * 8
    assert "immutable" in answers[-1].headers["cache-control"]


def test_pages_have_no_script_or_style_of_their_own(person: httpx.Client) -> None:
    for path in ("/label", "/login", "/nothing", "/screen", "/review", "/supervise", "/guide"):
        text = person.get(path, follow_redirects=True).text
        assert "<style" not in text and "style=" not in text and " on" + "click" not in text
        assert text.count("<script") == text.count('<script type="module" src="/static/')


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_other_methods_are_refused(stranger: httpx.Client, method: str) -> None:
    answer = stranger.request(method, "/login")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_head_answers_as_get_without_a_body(person: httpx.Client) -> None:
    got, head = person.get("/label"), person.head("/label")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert person.head("/api/save").status_code == 405


def test_a_long_body_is_not_read(running: Running, person: httpx.Client) -> None:
    assert person.post("/api/save", content=b" " * (MAX_BODY + 1)).status_code in (413, 415)
    kind = {"Content-Type": "application/json"}
    assert person.post("/api/save", content=b" " * (MAX_BODY + 1), headers=kind).status_code == 413
    # A length that lies, or says nothing sensible.
    for length in (b"99999999999999999999999999", b"-1", b"1e3", b"1, 2"):
        request = b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
        assert raw(running, request + length + b"\r\n\r\n").split(b" ")[1] in (b"400", b"413")


def test_a_long_body_in_pieces_is_counted_while_it_comes(running: Running) -> None:
    head = (
        b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    got = raw(running, head + piece * 9 + b"0\r\n\r\n")
    assert got.split(b" ")[1] == b"413"
    assert b"connection: close" in got.lower()
    # One that never ends is cut off, after little of it.
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as sock:
        sent = 0
        with pytest.raises(OSError, match=r"reset|pipe"):
            sock.sendall(head)
            while sent < 64 * MAX_BODY:
                sock.sendall(piece)
                sent += len(piece)
    assert sent < 64 * MAX_BODY


def test_smuggled_requests_are_refused(running: Running) -> None:
    both = (
        b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/me HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    got = raw(running, both, wait=0.5)
    assert got.count(b"HTTP/1.1 ") <= 2 and b'"csrf"' not in got
    twice = (
        b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        b"Content-Length: 3\r\n\r\n{} "
    )
    assert raw(running, twice).split(b" ")[1] == b"400"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"NaN",
        b'{"events": null}',
        b'{"events": {}}',
        b'{"events": [1]}',
        b'{"events": [], "more": 1}',
        b"[" * 200_000,
        b'{"events":' + b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 100_000,
        b'{"events": [' + b"{}," * 200 + b"{}]}",
        json.dumps({"events": [{"kind": "x" * 400_000}] * 1}).encode()[:MAX_BODY],
    ],
)
def test_malformed_json_is_one_line_of_refusal(person: httpx.Client, body: bytes) -> None:
    answer = person.post("/api/save", content=body, headers={"Content-Type": "application/json"})
    if answer.status_code == 200:
        assert {one["outcome"] for one in answer.json()["replies"]} == {"refused"}
        return
    assert answer.status_code in (400, 422)
    said = answer.json()["error"]
    assert "\n" not in said and "Traceback" not in said and len(said) <= 500


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_only_json_is_taken(person: httpx.Client, kind: str) -> None:
    assert person.post("/api/save", content=b'{"events": []}', headers={"Content-Type": kind}).status_code == 415


@pytest.mark.parametrize(
    "path",
    [
        "/static/../store.py",
        "/static/VERSION/../../store.py",
        "/static/VERSION/%2e%2e/templates/base.html.j2",
        "/static/VERSION/..%2f..%2fstore.py",
        "/static/VERSION//etc/passwd",
        "/static/VERSION/%5c..%5cstore.py",
        "/static/VERSION/",
        "/static/VERSION",
        "/static/",
        "/static/VERSION/base.css%00.js",
        "/static/VERSION/guide/",
        "/pictures/../corpus.sqlite",
        "/pictures/" + "0" * 40 + "/../../corpus.sqlite",
        "/pictures/%2e%2e%2f%2e%2e%2fcorpus/original.png",
        "/pictures/" + "0" * 39 + "/original.png",
        "/pictures/" + "0" * 40 + "/original.PNG",
        "/pictures/" + "0" * 40 + "/stream.png",
        "/pictures/" + "0" * 40 + "/original.png/x",
        "/pictures/" + "G" * 40 + "/original.png",
        "/pictures/" + "0" * 40 + "%0a/original.png",
        "/corpus.sqlite",
        "/.git/config",
        "/api/batches/..%2f..",
        "/api/batches/b1'%20or%201=1--",
        "/api/pairs/" + "x" * 1000,
        "/api/pairs/%F0%9F%92%A9",
        "/api/pairs/%ED%A0%80",
        "/docs",
        "/openapi.json",
        "/redoc",
        "/API/ME",
    ],
)
def test_no_path_leads_to_a_file(running: Running, person: httpx.Client, path: str) -> None:
    version = person.get("/label").text.split("/static/")[1].split("/")[0]
    target = path.replace("VERSION", version)
    cookie = "; ".join(f"{one.name}={one.value}" for one in person.cookies.jar)
    # Past the client, which would tidy the path up.
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    got = raw(running, request.encode())
    assert got.split(b" ")[1] in (b"404", b"400"), got[:200]
    assert b"SQLite" not in got and b"import " not in got and b"Traceback" not in got


def test_long_addresses_and_heads_are_refused(running: Running, stranger: httpx.Client) -> None:
    assert stranger.get("/" + "x" * MAX_TARGET).status_code == 414
    assert stranger.get("/login?" + "x" * (MAX_TARGET + 1)).status_code == 414
    long = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: " + b"x" * 60_000 + b"\r\n\r\n"
    assert raw(running, long).split(b" ")[1] in (b"400", b"431")
    many = b"".join(b"X-%d: y\r\n" % number for number in range(5000))
    assert raw(running, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n").split(b" ")[1] in (b"400", b"431")


def test_no_websocket_is_opened(running: Running) -> None:
    upgrade = (
        b"GET /label HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert raw(running, upgrade, wait=0.5).split(b" ")[1] != b"101"


def test_errors_on_pages_are_escaped(person: httpx.Client) -> None:
    answer = person.get("/%3Cscript%3Ealert(1)%3C/script%3E")
    assert answer.status_code == 404 and "<script>alert" not in answer.text


def test_a_word_of_a_proxy_is_not_believed_without_one(person: httpx.Client, running: Running) -> None:
    answer = person.get("/api/me", headers={"X-Forwarded-For": "10.9.9.9", "X-Forwarded-Host": "evil.example"})
    assert answer.status_code == 200
    assert (
        person.get("/", headers={"X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"})
        .headers["location"]
        .startswith("/")
    )


def test_the_log_has_neither_key_nor_body(
    running: Running, stranger: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("ERROR", logger="httpx")  # what asks here logs addresses, too
    caplog.set_level("INFO")
    stranger.get(running.entrance)
    stranger.post("/api/login", json={"name": "ann", "password": "a secret of ann's"})
    stranger.get("/x%1b[2Jy")
    text = caplog.text
    assert "/enter 200" in text and "/api/login" in text
    assert running.store.keys.printed not in text and "secret" not in text and "\x1b" not in text


def test_a_fault_of_ours_tells_nothing(
    person: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a secret in /home/ann")

    monkeypatch.setattr("miscomp.web.api_label.batches_of", broken)
    answer = person.get("/api/batches")
    assert answer.status_code == 500
    assert list(answer.json()) == ["error"] and "secret" not in answer.text and "home" not in answer.text
    assert "a secret in" in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_who_sends_a_head_by_drops_is_cut_off(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.4)
    for first in (b"", b"GET / HTTP/1.1\r\nHost: loc", b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\nGET /y HT"):
        with socket.create_connection(("127.0.0.1", running.port), timeout=5) as sock:
            begun = time.monotonic()
            sock.sendall(first)
            ended = False
            while time.monotonic() - begun < 3 and not ended:
                try:
                    sock.sendall(b"a" if first else b"")
                    sock.settimeout(0.1)
                    ended = sock.recv(65536) == b""
                except TimeoutError:
                    continue
                except OSError:
                    ended = True
            assert ended
            assert time.monotonic() - begun < 2.5


def test_who_sends_a_body_by_drops_is_cut_off(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "BODY_SECONDS", 0.3)
    head = (
        b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    assert raw(running, head).split(b" ")[1] == b"408"


def test_others_are_served_while_many_dawdle(running: Running, person: httpx.Client) -> None:
    slow = [socket.create_connection(("127.0.0.1", running.port), timeout=5) for _ in range(60)]
    try:
        for one in slow:
            one.sendall(SAVING + b"Content-Length: 9\r\n\r\n")
        begun = time.monotonic()
        assert person.get("/api/me").status_code == 200
        assert time.monotonic() - begun < 2
    finally:
        for one in slow:
            one.close()


def test_nothing_of_the_pages_comes_from_elsewhere() -> None:
    """Works without a network, and tells nobody else who looks at what."""
    folder = Path(server.__file__).parent
    allowed = ("http://www.w3.org/",)  # names of XML, never fetched
    for file in [*folder.glob("static/**/*"), *folder.glob("templates/*")]:
        if file.suffix not in (".js", ".css", ".svg", ".j2", ".html"):
            continue
        text = file.read_text(encoding="utf-8")
        for scheme in ("http://", "https://", "//cdn", "ws://", "wss://"):
            for part in text.split(scheme)[1:]:
                assert (scheme + part).startswith(allowed), f"{file.name}: {scheme}{part[:40]}"
