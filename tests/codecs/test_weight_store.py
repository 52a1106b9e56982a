"""The folder of fetched weights. Oracles: the bytes that a server on the loopback has, and hashes by hashlib."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import Behaviour, Server
from served_weights import CONTENT, SHA256, at, fails, names, row

from miscomp.codecs.checkpoints import Checkpoint
from miscomp.codecs.downloads import Limits
from miscomp.codecs.locks import locked
from miscomp.codecs.weight_store import cache_folder, fetch, find, recorded, state, verify
from miscomp.errors import UsageError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MISCOMP_WEIGHTS", str(tmp_path / "cache" / "weights"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Behaviour(files={"/v1/w.pth.tar": CONTENT})).running() as running:
        yield running


def test_a_file_comes_whole_and_is_recorded(server: Server, cache: Path) -> None:
    checkpoint, seen = at(server), list[tuple[int, int | None]]()
    assert (find(checkpoint), state(checkpoint)) == (None, "to be fetched")
    path = fetch(checkpoint, progress=lambda done, total: seen.append((done, total)))
    assert path == cache / "w.pth.tar" == find(checkpoint)
    assert path.read_bytes() == CONTENT
    assert state(checkpoint) == "cached"
    assert names(cache) == ["w.pth.tar", "w.pth.tar.sha256"]
    assert (cache / "w.pth.tar.sha256").read_text() == f"{SHA256}  w.pth.tar\n"
    assert recorded(checkpoint) == SHA256
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT))
    ((_, headers),) = server.asked
    assert headers["User-Agent"].startswith("miscomp/")
    assert headers["Accept-Encoding"] == "identity"
    assert "Range" not in headers


def test_what_is_there_is_checked_and_kept(server: Server, cache: Path) -> None:
    path = fetch(at(server))
    assert fetch(at(server)) == path
    assert len(server.asked) == 1
    path.write_bytes(b"changed")
    assert "w.pth.tar: is there, but its SHA-256 is" in fails(at(server))
    assert path.read_bytes() == b"changed"
    fetch(at(server), force=True)
    assert path.read_bytes() == CONTENT


def test_a_wrong_hash_leaves_nothing(server: Server, cache: Path) -> None:
    message = fails(at(server, "00000000"))
    assert f"what came has the SHA-256 {SHA256}, published is 00000000...; it was removed" in message
    assert names(cache) == []


def test_unpublished_hashes_are_recorded(server: Server, cache: Path) -> None:
    assert fetch(at(server, "")).read_bytes() == CONTENT
    assert recorded(at(server, "")) == SHA256


def test_a_file_of_unknown_length_and_hash_is_refused(server: Server, cache: Path) -> None:
    server.behaviour.lengths = False
    assert "nobody knows whether all came" in fails(at(server, ""))
    assert names(cache) == []
    assert fetch(at(server)).read_bytes() == CONTENT


def test_two_do_not_fetch_one_file_at_once(server: Server, cache: Path) -> None:
    server.behaviour.gate = threading.Event()
    first = threading.Thread(target=fetch, args=[at(server)], daemon=True)
    first.start()
    assert server.first.wait(5)
    assert fails(at(server)) == f"{cache / 'w.pth.tar'}: another process is fetching it; wait until it has ended"
    server.behaviour.gate.set()
    first.join(5)
    assert fetch(at(server)).read_bytes() == CONTENT
    assert len(server.asked) == 1
    assert names(cache) == ["w.pth.tar", "w.pth.tar.sha256"]


def test_a_lock_that_its_owner_removed_keeps_nobody_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file is taken away between opening and locking, as by an owner who is done."""
    fcntl = pytest.importorskip("fcntl")
    cache.mkdir(parents=True)
    path, calls = cache / "x.lock", list[int]()
    real = fcntl.flock

    def flock(lock: int, how: int) -> None:
        calls.append(lock)
        if len(calls) == 1:
            path.unlink()
        real(lock, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = locked(path)
    assert os.path.samestat(os.fstat(lock), path.stat())
    assert len(calls) == 2
    os.close(lock)


def test_a_mirror_stands_in_for_the_published_folder(server: Server, cache: Path) -> None:
    checkpoint = row("https://weights.example/elsewhere/w.pth.tar")
    for root in (f"{server.root}/v1", f"{server.root}/v1/"):
        assert fetch(checkpoint, mirror=root, force=True).read_bytes() == CONTENT
    for wrong in ("file:///tmp", "/tmp", "ftp://host/x", "http://user:key@host/", "https://host/?a=b", "https://[x/"):
        assert "the mirror is no plain http or https address" in fails(checkpoint, mirror=wrong, force=True)


def test_a_file_of_ones_own_is_checked_and_copied(tmp_path: Path, cache: Path) -> None:
    own = tmp_path / "usb" / "w.pth.tar"
    own.parent.mkdir()
    own.write_bytes(CONTENT)
    checkpoint = row("https://weights.example/w.pth.tar")
    for given in (own, own.parent):
        assert fetch(checkpoint, from_file=given, force=True).read_bytes() == CONTENT
        assert recorded(checkpoint) == SHA256
    own.write_bytes(b"others")
    assert f"{cache / 'w.pth.tar'}: is there and holds other weights than {own}" in fails(checkpoint, from_file=own)
    message = fails(checkpoint, from_file=own, force=True)
    assert message.startswith(f"{own}: its SHA-256 is {hashlib.sha256(b'others').hexdigest()}")
    assert "not the published weights of mbt2018@q3" in message and f"name them as mbt2018@file:{own}" in message
    assert find(checkpoint) is not None and (cache / "w.pth.tar").read_bytes() == CONTENT
    assert "no such file" in fails(checkpoint, from_file=tmp_path / "none", force=True)
    assert "weights have at most 3" in fails(checkpoint, from_file=own, force=True, limits=Limits(max_bytes=3))
    assert names(cache) == ["w.pth.tar", "w.pth.tar.sha256"]


def test_weights_to_bring_say_where_they_are(tmp_path: Path, cache: Path) -> None:
    assert state(row()) == "bring your own"
    assert "w.pth.tar: cannot be fetched by this program: made up for a test. Get it there" in fails(row())
    own = tmp_path / "w.pth.tar"
    own.write_bytes(b"any")
    fetch(row(sha256=""), from_file=own)
    assert state(row()) == "cached"


def test_verify_tells_what_became_of_each_file(cache: Path) -> None:
    cache.mkdir(parents=True)
    good, other = CONTENT, b"other"
    records = {"a": good, "c": good, "e": good, "f": other, "g": good}
    for name, content in {"a": good, "b": other, "c": good, "d": good, "e": other}.items():
        (cache / name).write_bytes(content)
    (cache / "g").mkdir()
    for name, content in records.items():
        (cache / f"{name}.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    published = {"a": SHA256[:8], "b": SHA256[:8], "c": "", "d": "", "e": "", "f": "", "g": "", "h": SHA256}
    rows = [
        Checkpoint(name="x", filename=name, url="", sha256=digits, source="", licence="")
        for name, digits in published.items()
    ]
    verdicts = {checked.checkpoint.filename: checked.verdict for checked in verify(rows)}
    assert verdicts == {
        "a": "ok",
        "b": "wrong hash",
        "c": "as recorded",
        "d": "not recorded",
        "e": "wrong hash",
        "f": "missing",
        "g": "unreadable",
    }
    assert [checked.good for checked in verify(rows)] == [True, False, True, True, False, False, False]


def test_the_folder_is_the_users_cache_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISCOMP_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder().parts[-2:] == ("miscomp", "weights")
    assert cache_folder().is_relative_to(tmp_path)
    monkeypatch.setenv("MISCOMP_WEIGHTS", "~/w")
    assert cache_folder() == tmp_path / "w"
    (tmp_path / "w").write_text("a file")
    with pytest.raises(UsageError, match="choose another with the environment variable MISCOMP_WEIGHTS"):
        fetch(row("https://weights.example/w"))
