"""The labelers' interface: batches, pairs, saves. Oracle: what was saved is what comes back, and is in the tables."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from annotating import Running, batched, serve

from miscomp.corpus.entries import LabelEvent
from miscomp.corpus.schema import fetch
from miscomp.web.app import SAVERS, THREADS
from miscomp.web.identity import CSRF_HEADER

pytestmark = pytest.mark.loopback


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    corpus = batched(tmp_path_factory.mktemp("api") / "corpus", images=1)
    with serve(corpus, labeler="labeler-1") as running:
        yield running


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.address) as client:
        client.get(running.entrance)
        client.headers[CSRF_HEADER] = client.get("/api/me").json()["csrf"]
        yield client


def first_pair(client: httpx.Client) -> str:
    (batch, *_) = client.get("/api/batches").json()
    return str(client.get(f"/api/batches/{batch['batch']}").json()["items"][0]["alias"])


def box(alias: str, **values: Any) -> dict[str, Any]:
    return {
        "kind": "box", "uuid": str(uuid.uuid4()), "alias": alias, "action": "add", "x": 3, "y": 4, "w": 20, "h": 10,
        "changed": "yes", "relevant": "yes", "suspicion": "no", "note": "<b>Ä</b>", **values,
    }  # fmt: skip


def test_who_asks_and_how_the_project_is_set(client: httpx.Client) -> None:
    found = client.get("/api/me").json()
    assert found["name"] == "labeler-1" and found["suggestions"] is False and found["breakAfterMin"] == 45
    assert len(found["csrf"]) == 43


def test_batches_and_their_pairs_are_named_as_scripts_expect(client: httpx.Client) -> None:
    (batch,) = client.get("/api/batches").json()
    assert batch.keys() == {"batch", "kind", "size", "done", "activeS", "medianS"}
    found = client.get(f"/api/batches/{batch['batch']}").json()
    assert found.keys() == {"batch", "kind", "instances", "items"}
    assert (found["kind"], found["instances"], len(found["items"])) == ("agreement", None, batch["size"])
    assert found["items"][0].keys() == {"alias", "position", "width", "height", "done", "boxes"}
    assert client.get("/api/batches/b000000").status_code == 404


def test_what_is_saved_comes_back(running: Running, client: httpx.Client) -> None:
    alias = first_pair(client)
    event = box(alias)
    flag = {"kind": "flag", "uuid": str(uuid.uuid4()), "alias": alias, "multi": True, "multi_kind": "", "overall": True}
    answer = client.post("/api/save", json={"events": [event, flag]}).json()
    assert [one["outcome"] for one in answer["replies"]] == ["stored", "stored"]
    again = client.post("/api/save", json={"events": [event]}).json()
    assert again["replies"][0]["outcome"] == "known"
    state = client.get(f"/api/pairs/{alias}").json()
    assert state.keys() >= {"alias", "batch", "kind", "position", "size", "width", "height", "done", "instances"}
    (drawn,) = [one for one in state["boxes"] if one["event"] == event["uuid"]]
    assert {name: drawn[name] for name in ("x", "y", "w", "h", "changed", "suspicion", "expected", "note")} == {
        "x": 3, "y": 4, "w": 20, "h": 10, "changed": "yes", "suspicion": "no", "expected": "", "note": "<b>Ä</b>",
    }  # fmt: skip
    assert state["flag"] == {"multi": True, "multiKind": "", "overall": True, "note": ""}
    with running.store.corpus.reading() as connection:
        (row,) = [one for one in fetch(connection, LabelEvent) if one.uuid == event["uuid"]]
    assert (row.labeler, row.x, row.changed, row.suspicion) == ("labeler-1", 3, 1.0, 0.0)


def test_each_event_is_answered_by_itself(client: httpx.Client) -> None:
    alias = first_pair(client)
    events = [
        box(alias, x=40),
        box("0" * 40),
        box(alias, x=100_000),
        box(alias, labeler="bob"),
        box(alias, x="3"),
        {"kind": "x"},
        {},
        box(alias, x=50, note="\0"),
        box(alias, x=60),
    ]
    replies = client.post("/api/save", json={"events": events}).json()["replies"]
    assert [one["outcome"] for one in replies] == ["stored", *["refused"] * 7, "stored"], replies
    assert all(one["reason"] and "\n" not in one["reason"] for one in replies[1:-1])


def test_two_windows_that_change_one_box_do_not_overwrite_each_other(client: httpx.Client) -> None:
    alias = first_pair(client)
    drawn = box(alias, x=80)
    client.post("/api/save", json={"events": [drawn]})
    changes = [box(alias, action="change", replaces=drawn["uuid"], x=x) for x in (81, 82)]
    outcomes = [client.post("/api/save", json={"events": [one]}).json()["replies"][0]["outcome"] for one in changes]
    assert outcomes == ["stored", "conflict"]
    stands = [one["event"] for one in client.get(f"/api/pairs/{alias}").json()["boxes"]]
    assert changes[0]["uuid"] in stands and changes[1]["uuid"] not in stands and drawn["uuid"] not in stands


def test_more_events_than_fit_are_refused_whole(client: httpx.Client) -> None:
    answer = client.post("/api/save", json={"events": [{} for _ in range(201)]})
    assert answer.status_code == 422 and "200" in answer.json()["error"]


def test_a_corpus_is_left_as_it_is_by_looking(running: Running, client: httpx.Client) -> None:
    def events() -> list[LabelEvent]:
        with running.store.corpus.reading() as connection:
            return fetch(connection, LabelEvent)

    before = events()
    alias = first_pair(client)
    for path in ("/label", "/api/batches", f"/api/pairs/{alias}", f"/pictures/{alias}/original.png"):
        assert client.get(path).status_code == 200
    assert events() == before


def test_pages_and_pictures_do_not_wait_with_saves(running: Running, client: httpx.Client) -> None:
    """As while a command writes into the corpus: more saves than there are threads, and all are stored in the end."""
    alias = first_pair(client)
    codes: list[int] = []

    def send(number: int) -> None:
        said = {"events": [box(alias, x=number, w=9)]}
        codes.append(
            httpx.post(
                f"{running.address}/api/save", json=said, headers=client.headers, cookies=client.cookies, timeout=50
            ).status_code
        )

    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(THREADS + SAVERS + 1)]
    with running.store.corpus.writing():
        for one in threads:
            one.start()
        time.sleep(0.5)
        assert codes == []
        for path in ("/api/me", f"/api/pairs/{alias}", f"/pictures/{alias}/original.png", "/label"):
            assert client.get(path, timeout=10).status_code == 200
    for one in threads:
        one.join(30)
    assert codes == [200] * len(threads)
