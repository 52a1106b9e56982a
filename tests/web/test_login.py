"""Accounts on a real server: logging in and out, guessing, cookies, roles. Oracle: what each test's name says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from annotating import Running, batched, serve
from argon2 import PasswordHasher
from sqlalchemy import select

from miscomp.annotate import accounts
from miscomp.annotate.accounts import add_account, disable, set_password, set_roles
from miscomp.corpus.entries import Role
from miscomp.corpus.schema import SESSION
from miscomp.web.api_login import WRONG, Gate, network_of
from miscomp.web.exposure import Exposure
from miscomp.web.identity import CSRF_HEADER

pytestmark = pytest.mark.loopback

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        # Cheap hashes: the costs are tried where accounts are.
        patch.setattr(accounts, "_hasher", lambda: PasswordHasher(1, 8, 1))
        accounts._nobodys.cache_clear()
        corpus = batched(tmp_path_factory.mktemp("lab") / "corpus", images=1)
        add_account(corpus, "labeler-1", roles=[Role.LABELER], password=PASSWORD)
        add_account(corpus, "labeler-2", roles=[Role.LABELER], password=PASSWORD)
        add_account(corpus, "sue", roles=[Role.SUPERVISOR], password=PASSWORD)
        add_account(corpus, "rev", roles=[Role.REVIEWER], password=PASSWORD)
        with serve(corpus) as running:
            yield running
    accounts._nobodys.cache_clear()


@pytest.fixture(autouse=True)
def _fresh_gate(lab: Running) -> None:
    lab.app.state.gate = Gate()


@contextmanager
def client_of(lab: Running, name: str = "") -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab.address) as client:
        if name:
            answer = client.post("/api/login", json={"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            client.headers[CSRF_HEADER] = client.get("/api/me").json()["csrf"]
        yield client


def visit(running: Running, cookies: dict[str, str] | None = None) -> httpx.Client:
    return httpx.Client(base_url=running.address, cookies=cookies)


def sessions(lab: Running) -> list[tuple[str, str]]:
    with lab.store.corpus.reading() as connection:
        return [(one.token, one.account) for one in connection.execute(select(SESSION.c.token, SESSION.c.account))]


def test_who_logs_in_gets_a_session_that_no_script_reads(lab: Running) -> None:
    with client_of(lab) as client:
        answer = client.post("/api/login", json={"name": "labeler-1", "password": PASSWORD})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie and "domain" not in cookie
        value = client.cookies[f"miscomp-{lab.store.identity}"]
        assert value not in [token for token, _ in sessions(lab)]  # the database has its hash alone
        assert client.get("/api/me").json()["roles"] == ["labeler"]


def test_a_cookie_of_before_is_never_taken_over(lab: Running) -> None:
    """Session fixation: a cookie that somebody planted does not become a logged-in one."""
    name = f"miscomp-{lab.store.identity}"
    with client_of(lab) as client:
        answer = client.post(
            "/api/login", json={"name": "labeler-1", "password": PASSWORD}, headers={"Cookie": f"{name}=planted"}
        )
        assert answer.status_code == 200 and client.cookies[name] != "planted"
    with client_of(lab, "labeler-1") as client:
        old = client.cookies[name]
        client.post("/api/login", json={"name": "labeler-2", "password": PASSWORD})
        assert client.get("/api/me").json()["name"] == "labeler-2"
        with visit(lab, {name: old}) as thief:
            assert thief.get("/api/me").status_code == 401


def test_every_wrong_login_is_answered_alike(lab: Running) -> None:
    disable(lab.store.corpus, "rev")
    tries = [("labeler-1", "wrong"), ("nobody", "wrong"), ("rev", PASSWORD), ("", ""), ("LABELER-1", PASSWORD)]
    tries += [("labeler-1", "x" * 1500), ("a\0b", "x"), ("ö" * 150, "ö"), ("labeler-1'--", PASSWORD)]
    with client_of(lab) as client:
        answers = []
        for name, password in tries:
            lab.app.state.gate = Gate()
            # In ASCII, as half a character has no other form.
            content = json.dumps({"name": name, "password": password})
            answers.append(client.post("/api/login", content=content, headers={"Content-Type": "application/json"}))
    disable(lab.store.corpus, "rev", disabled=False)
    assert {(one.status_code, one.text) for one in answers} == {(401, f'{{"error":"{WRONG}"}}')}
    assert not any("set-cookie" in one.headers for one in answers)


def test_who_guesses_at_a_name_has_to_wait(lab: Running) -> None:
    with client_of(lab) as client:
        codes = [client.post("/api/login", json={"name": "sue", "password": str(n)}).status_code for n in range(7)]
        assert codes == [401] * 5 + [429] * 2
        # Waiting holds for the right password too, and not for others.
        answer = client.post("/api/login", json={"name": "sue", "password": PASSWORD})
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
        assert client.post("/api/login", json={"name": "labeler-1", "password": PASSWORD}).status_code == 200


def test_who_guesses_at_many_names_has_to_wait(lab: Running) -> None:
    with client_of(lab) as client:
        codes = []
        for number in range(30):
            codes.append(client.post("/api/login", json={"name": f"n{number}", "password": "x"}).status_code)
            if number == 10:  # an account of one's own buys nothing
                client.post("/api/login", json={"name": "labeler-1", "password": PASSWORD})
        assert codes[:19] == [401] * 19 and codes[-1] == 429


def test_guesses_at_once_are_counted_too(lab: Running) -> None:
    codes: list[int] = []

    def guess() -> None:
        with client_of(lab) as client:
            codes.append(client.post("/api/login", json={"name": "sue", "password": "x"}).status_code)

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert codes.count(401) <= 5 and codes.count(429) >= 7


def test_after_logging_out_the_cookie_is_worth_nothing(lab: Running) -> None:
    with client_of(lab, "labeler-1") as client:
        kept = dict(client.cookies)
        assert client.post("/api/logout", json={}).status_code == 200
        assert not client.cookies
        with visit(lab, kept) as thief:
            assert thief.get("/api/me").status_code == 401
            assert thief.get("/label").headers["location"] == "/login"


def test_a_disabled_account_is_out_at_once(lab: Running) -> None:
    with client_of(lab, "labeler-2") as client, client_of(lab, "labeler-2") as elsewhere:
        disable(lab.store.corpus, "labeler-2")
        assert (client.get("/api/me").status_code, elsewhere.get("/api/me").status_code) == (401, 401)
        disable(lab.store.corpus, "labeler-2", disabled=False)
        assert client.get("/api/me").status_code == 401  # and stays out until the next login


def test_another_password_logs_out_everywhere(lab: Running) -> None:
    with client_of(lab, "labeler-2") as client:
        set_password(lab.store.corpus, "labeler-2", PASSWORD)
        assert client.get("/api/me").status_code == 401


def test_roles_hold_from_the_next_request_on(lab: Running) -> None:
    with client_of(lab, "sue") as client:
        assert client.get("/api/batches").status_code == 403
        assert client.post("/api/save", json={"events": []}).status_code == 403
        assert client.get("/").headers["location"] == "/supervise"
        set_roles(lab.store.corpus, "sue", [Role.SUPERVISOR, Role.LABELER])
        assert client.get("/api/batches").status_code == 200
        set_roles(lab.store.corpus, "sue", [Role.SUPERVISOR])
        assert client.get("/label").status_code == 403


@pytest.mark.parametrize("path", ["/api/screen", "/api/review", "/api/supervise", "/api/supervise/export.zip"])
def test_a_labeler_gets_nothing_of_other_roles(lab: Running, path: str) -> None:
    with client_of(lab, "labeler-1") as client:
        assert client.get(path).status_code == 403


def test_the_token_of_another_session_is_refused(lab: Running) -> None:
    with client_of(lab, "labeler-1") as client, client_of(lab, "labeler-2") as other:
        headers = {CSRF_HEADER: other.headers[CSRF_HEADER]}
        assert client.post("/api/save", json={"events": []}, headers=headers).status_code == 403


@pytest.mark.parametrize("value", ["", "x", "x" * 4000, "ä", '"', "=labeler-1", "' OR 1=1 --", "%00"])
def test_made_up_cookies_are_nobodys(lab: Running, value: str) -> None:
    with client_of(lab) as client:
        cookie = f"miscomp-{lab.store.identity}={value}".encode("latin-1")
        assert client.get("/api/me", headers={b"Cookie": cookie}).status_code == 401


def test_the_key_of_a_single_labeler_opens_no_lab(lab: Running) -> None:
    with client_of(lab) as client:
        for key in ("", lab.store.keys.printed, lab.store.keys.make_once()):
            answer = client.get("/enter", params={"key": key})
            assert answer.status_code == 401 and "set-cookie" not in answer.headers


def test_a_session_by_key_is_worth_nothing_once_there_are_accounts(tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", images=1)
    with serve(corpus, labeler="labeler-1") as single, visit(single) as client:
        client.get(single.entrance)
        assert client.get("/api/me").status_code == 200
        kept = dict(client.cookies)
    add_account(corpus, "labeler-1", roles=[Role.LABELER], password=PASSWORD)
    with serve(corpus) as lab, visit(lab, kept) as client:
        assert client.get("/api/me").status_code == 401


def test_a_key_for_one_use_is_used_up(tmp_path: Path) -> None:
    with serve(batched(tmp_path / "corpus", images=1), labeler="labeler-1") as single, visit(single) as client:
        once = single.store.keys.make_once()
        assert client.get("/enter", params={"key": once}).status_code == 200
        assert client.get("/enter", params={"key": once}).status_code == 401
        assert client.get("/enter", params={"key": "ä"}).status_code == 401
        assert client.get("/enter").status_code == 401


def test_a_single_labelers_session_outlives_the_server(tmp_path: Path) -> None:
    """After a crash the browser sends what it kept, without another key."""
    corpus = batched(tmp_path / "corpus", images=1)
    with serve(corpus, labeler="labeler-1") as first, visit(first) as client:
        client.get(first.entrance)
        kept, port = dict(client.cookies), first.port
    with serve(corpus, labeler="labeler-1", port=port) as second, visit(second, kept) as client:
        assert client.get("/api/me").json()["name"] == "labeler-1"
    with serve(corpus, labeler="labeler-2") as third, visit(third, kept) as client:
        assert client.get("/api/me").status_code == 401


def test_under_tls_cookies_are_secure_and_of_this_host_alone(tmp_path: Path) -> None:
    exposure = Exposure(proxies=("127.0.0.1",), names=("labels.example.org",))
    corpus = batched(tmp_path / "corpus", images=1)
    with serve(corpus, labeler="labeler-1", door=exposure.door()) as running, visit(running) as client:
        cookie = client.get(running.entrance).headers["set-cookie"]
        assert cookie.startswith("__Host-miscomp-") and "; Secure" in cookie and "Path=/" in cookie
        assert client.get("/login", headers={"Host": "labels.example.org"}).status_code == 401
        assert client.get("/login", headers={"Host": "evil.example.org"}).status_code == 421


def test_a_labeler_sees_no_pair_that_another_was_given(tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", images=3, batches={"agreement_batches": 0, "batch_size": 4})
    for name in ("labeler-1", "labeler-2"):
        add_account(corpus, name, roles=[Role.LABELER], password=PASSWORD)
    with serve(corpus) as running, client_of(running, "labeler-1") as first, client_of(running, "labeler-2") as second:
        (batch, *_) = [one["batch"] for one in first.get("/api/batches").json()]
        alias = first.get(f"/api/batches/{batch}").json()["items"][0]["alias"]
        for path in (f"/api/batches/{batch}", f"/api/pairs/{alias}", f"/pictures/{alias}/original.png"):
            assert (first.get(path).status_code, second.get(path).status_code) == (200, 404), path
        # The answer is that to an alias that never was.
        never = second.get(f"/pictures/{'0' * 40}/original.png")
        assert never.text == second.get(f"/pictures/{alias}/original.png").text


def test_a_database_that_is_away_is_told_as_such(tmp_path: Path) -> None:
    """The browser keeps what it has to say, and tries again."""
    corpus = batched(tmp_path / "corpus", images=1)
    with serve(corpus, labeler="labeler-1") as running, visit(running) as client:
        client.get(running.entrance)
        database = corpus.folder / "corpus.sqlite"
        corpus.engine.dispose()
        database.write_bytes(b"no database" * 1000)
        answer = client.get("/api/batches")
        assert answer.status_code == 503
        assert str(tmp_path) not in answer.text and "sqlite" not in answer.text.lower()


def test_a_cookie_that_a_neighbour_planted_beside_the_own_lets_nobody_in(lab: Running) -> None:
    """Cookies do not know ports, and frameworks strip white space that browsers keep."""
    name = f"miscomp-{lab.store.identity}".encode()
    with client_of(lab, "labeler-1") as own, client_of(lab, "labeler-2") as other:
        mine, theirs = (one.cookies[name.decode()].encode() for one in (own, other))
    for cookie, status in (
        (name + b"=" + mine, 200),
        (b"a=b;" + name + b"=" + mine + b";" + name + b"=" + mine, 200),
        (name + b"=" + mine + b"; " + name + b"=" + theirs, 401),
        (name + b"=" + theirs + b"; " + name + b"=", 401),
        (name + b"=" + mine + b"; \xa0" + name + b"=" + theirs, 200),
        (b"\xa0" + name + b"=" + mine, 401),
        (b"\x85" + name + b"=" + mine, 401),
        (name.upper() + b"=" + mine, 401),
        (name + b'="' + mine + b'"', 401),
        (name + b"=\xff", 401),
        (name, 401),
    ):
        answer = httpx.get(f"{lab.address}/api/me", headers=[(b"Cookie", cookie)])
        assert answer.status_code == status, cookie
        assert status != 200 or answer.json()["name"] == "labeler-1"
    lines = [(b"Cookie", name + b"=" + mine), (b"Cookie", name + b"=" + theirs)]
    assert httpx.get(f"{lab.address}/api/me", headers=lines).status_code == 401


def test_whoever_has_many_addresses_of_a_network_counts_as_one() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("testclient") == "testclient"
