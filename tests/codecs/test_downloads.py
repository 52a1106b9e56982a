"""Downloads that are cut off, refused or misled. Oracle: the bytes that a server on the loopback has."""

from __future__ import annotations

import errno
import io
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_server import Behaviour, Server
from served_weights import CONTENT, SHA256, at, fails, names, row

from miscomp.codecs import connections, downloads
from miscomp.codecs.downloads import Limits
from miscomp.codecs.weight_store import fetch, find


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MISCOMP_WEIGHTS", str(tmp_path / "cache" / "weights"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Behaviour(files={"/v1/w.pth.tar": CONTENT})).running() as running:
        yield running


def test_a_download_that_was_cut_off_goes_on_where_it_stopped(server: Server, cache: Path) -> None:
    server.behaviour.cut = 120_000
    message = fails(at(server))
    assert "broke off (IncompleteRead, 180000 bytes missing); give the same command again" in message
    assert find(at(server)) is None
    assert (cache / "w.pth.tar.part").read_bytes() == CONTENT[:120_000]
    server.behaviour.cut = None
    assert fetch(at(server)).read_bytes() == CONTENT
    assert [headers.get("Range") for _, headers in server.asked] == [None, "bytes=120000-"]
    assert names(cache) == ["w.pth.tar", "w.pth.tar.sha256"]


def test_a_server_without_ranges_sends_it_anew(server: Server, cache: Path) -> None:
    server.behaviour.cut = 1000
    fails(at(server))
    server.behaviour.cut, server.behaviour.ranges = None, False
    assert fetch(at(server)).read_bytes() == CONTENT


@pytest.mark.parametrize("heeds", [True, False])
def test_parts_of_two_versions_are_never_joined(server: Server, cache: Path, heeds: bool) -> None:
    """A server that knows If-Range sends the new file; one that does not is found out by its ETag."""
    server.behaviour.cut = 1000
    fails(at(server, ""))
    new = bytes(reversed(CONTENT))
    server.behaviour = Behaviour(files={"/v1/w.pth.tar": new}, etag='"two"', heed_if_range=heeds)
    assert fetch(at(server, "")).read_bytes() == new
    assert len(server.asked) == (2 if heeds else 3)


def test_without_a_mark_of_the_version_a_part_is_dropped(server: Server, cache: Path) -> None:
    server.behaviour.cut = 1000
    server.behaviour.etag = 'W/"weak"'
    fails(at(server))
    server.behaviour.cut = None
    assert fetch(at(server)).read_bytes() == CONTENT
    assert [headers.get("Range") for _, headers in server.asked] == [None, None]


def test_the_date_of_the_last_change_marks_a_version_too(server: Server, cache: Path) -> None:
    date = "Wed, 21 Oct 2020 07:28:00 GMT"
    server.behaviour = Behaviour(files=server.behaviour.files, etag="", cut=1000, headers={"Last-Modified": date})
    fails(at(server))
    server.behaviour.cut, server.behaviour.heed_if_range = None, False
    assert fetch(at(server)).read_bytes() == CONTENT
    assert server.asked[1][1]["If-Range"] == date


def test_a_part_that_had_all_bytes_is_taken(server: Server, cache: Path) -> None:
    server.behaviour.cut = 1000
    fails(at(server))
    (cache / "w.pth.tar.part").write_bytes(CONTENT)
    server.behaviour.cut = None
    assert fetch(at(server)).read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_part_that_is_too_long_is_dropped(server: Server, cache: Path) -> None:
    server.behaviour.cut = 1000
    fails(at(server))
    (cache / "w.pth.tar.part").write_bytes(CONTENT + b"more")
    server.behaviour.cut = None
    assert fetch(at(server)).read_bytes() == CONTENT
    assert [headers.get("Range") for _, headers in server.asked] == [None, "bytes=300004-", None]


@pytest.mark.parametrize(
    "memory", ["", "[" * 100_000, "3", '{"url": 3}', '{"url": "https://other/", "validator": "x"}']
)
def test_a_part_of_unknown_origin_is_dropped(server: Server, cache: Path, memory: str) -> None:
    cache.mkdir(parents=True)
    (cache / "w.pth.tar.part").write_bytes(b"junk")
    (cache / "w.pth.tar.part.json").write_text(memory)
    assert fetch(at(server)).read_bytes() == CONTENT
    assert "Range" not in server.asked[0][1]


@pytest.mark.parametrize("sha256", [SHA256, ""])
def test_chunks_say_where_they_end(server: Server, cache: Path, sha256: str) -> None:
    server.behaviour.chunked = True
    server.behaviour.cut = 1000
    assert "broke off (IncompleteRead" in fails(at(server, sha256))
    server.behaviour.cut = None
    assert fetch(at(server, sha256), force=True).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (404, "is not there (status 404): it may have moved; find the file and give it with --from"),
        (403, "was refused with status 403; find the file and give it with --from"),
        (503, "was refused with status 503; try later"),
    ],
)
def test_refusals_are_told(server: Server, cache: Path, status: int, told: str) -> None:
    server.behaviour.status = status
    assert fails(at(server)) == f"{server.root}/v1/w.pth.tar: {told}"
    assert names(cache) == []


@pytest.mark.parametrize("how", ["wait", "drip", "drip_head"])
def test_a_server_that_hangs_is_left(server: Server, cache: Path, how: str) -> None:
    setattr(server.behaviour, how, {"wait": 20, "drip": 0.05, "drip_head": 0.05}[how])
    message = fails(at(server), limits=Limits(patience=0.3))
    assert "did not send anything much within 0.3 seconds; give the same command again" in message
    assert find(at(server)) is None


def test_redirects_are_followed_a_few_times(server: Server, cache: Path) -> None:
    steps = {f"/{number}": f"/{number + 1}" for number in range(10)}
    server.behaviour.redirect = {**steps, "/10": "/v1/w.pth.tar"}
    assert fetch(row(f"{server.root}/7")).read_bytes() == CONTENT
    assert "redirects in a circle, more than 5 times" in fails(row(f"{server.root}/0"), force=True)
    server.behaviour.redirect = {"/loop": "/loop"}
    assert "redirects in a circle" in fails(row(f"{server.root}/loop"), force=True)
    assert find(row()) is not None


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/w", "http://192.0.2.1/w", "data:,x"])
def test_redirects_to_less_safety_are_not_followed(server: Server, cache: Path, to: str) -> None:
    server.behaviour.redirect = {"/v1/w.pth.tar": to}
    assert "away from https" in fails(at(server))


def test_the_size_is_bounded(server: Server, cache: Path) -> None:
    small = Limits(max_bytes=299_999, patience=5)
    assert "has 300000 bytes; at most 299999 are fetched" in fails(at(server), limits=small)
    server.behaviour.lengths = False
    assert "sends more than 299999 bytes" in fails(at(server), limits=small)
    assert sum(path.stat().st_size for path in cache.iterdir()) < 1000


def test_an_encoded_answer_is_refused(server: Server, cache: Path) -> None:
    server.behaviour.headers = {"Content-Encoding": "gzip"}
    assert "an encoding that was not asked for" in fails(at(server))


def test_no_network_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    message = fails(row("http://127.0.0.1:9/w.pth.tar"))
    assert "cannot be reached ([Errno 111] Connection refused)" in message
    assert "bring the file and give it with --from" in message

    def unknown(*arguments: object, **options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for variable in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    assert "cannot be reached ([Errno -2] Name or service not known)" in fails(row("https://weights.example/w.pth.tar"))


def test_a_full_disk_keeps_the_part(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def write(self, content: Any, /) -> int:
            if self.tell() > 100_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content[: 100_001 - self.tell()])

    def opened(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if path.name.endswith(".part") and mode in ("wb", "r+b"):
            return Full(path, mode)
        return open(path, mode, *arguments, **options)

    monkeypatch.setattr(downloads, "_CHUNK", 50_000)
    with monkeypatch.context() as context:
        context.setattr(Path, "open", opened)
        message = fails(at(server))
    assert "w.pth.tar.part: cannot be written: No space left on device; make room, then give the same" in message
    kept = (cache / "w.pth.tar.part").read_bytes()
    assert len(kept) > 0 and kept == CONTENT[: len(kept)]
    assert fetch(at(server)).read_bytes() == CONTENT
    assert server.asked[1][1]["Range"] == f"bytes={len(kept)}-"


def test_the_proxy_of_the_environment_is_used(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is asked for the whole address; a server on this machine is asked without it."""
    monkeypatch.setenv("http_proxy", server.root)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.behaviour.files["http://weights.example/w.pth.tar"] = CONTENT
    assert fetch(row(), mirror="http://weights.example").read_bytes() == CONTENT
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:9")
    assert fetch(at(server), force=True).read_bytes() == CONTENT


def test_https_without_a_trusted_certificate_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def distrust(*arguments: object, **options: object) -> None:
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_message = "self-signed certificate"
        raise error

    monkeypatch.setattr(connections._WatchedTls, "connect", distrust)
    for variable in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    message = fails(row("https://weights.example/w.pth.tar"))
    assert "cannot prove who it is (self-signed certificate); nothing was fetched" in message


def test_what_is_kept_of_a_part_is_its_address_and_version(server: Server, cache: Path) -> None:
    server.behaviour.cut = 10
    fails(at(server))
    kept = json.loads((cache / "w.pth.tar.part.json").read_text())
    assert kept == {"url": f"{server.root}/v1/w.pth.tar", "validator": '"one"'}
