"""The routes of second looks, asked as browsers ask. Oracles: the rows of the database, and what each role may know."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from annotating import Running, serve
from corpora import TIME, label
from second import done, items, number, pictures, shared_corpus

from miscomp.annotate.people import join_roles
from miscomp.annotate.sessions import open_session
from miscomp.corpus.corpus import original_file, reconstruction_file
from miscomp.corpus.entries import Account, Role
from miscomp.corpus.exports.release import ExportOptions
from miscomp.corpus.exports.run import export_corpus
from miscomp.corpus.schema import add
from miscomp.records import Box
from miscomp.web.identity import CSRF_HEADER, cookie_name

pytestmark = pytest.mark.loopback

PEOPLE = {
    "ann": (Role.LABELER,),
    "eve": (Role.REVIEWER,),
    "lou": (Role.REVIEWER, Role.LABELER),
    "sam": (Role.SUPERVISOR,),
    "kim": (Role.SCREENER,),
    "max": (Role.SCREENER,),
}
HERE, THERE = Box(10, 10, 20, 20), Box(100, 100, 20, 20)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    corpus = shared_corpus(tmp_path_factory.mktemp("second") / "corpus")
    first, second = items(corpus, agreement=True)[:2]
    with corpus.writing() as connection:
        for item, who, boxes in ((first, "ann", (HERE,)), (first, "bob", (THERE,)), (second, "ann", ())):
            add(connection, [*done(item, who)])
            drawn = [label(item.image_sha1, item.model, one, who, origin="person", category="SHAPE") for one in boxes]
            add(connection, drawn)
    accounts = [Account(name=one, roles=join_roles(roles), password="", added=TIME) for one, roles in PEOPLE.items()]
    with corpus.writing() as connection:
        add(connection, accounts)
    with serve(corpus) as found:
        yield found


@pytest.fixture(scope="module")
def clients(running: Running) -> Iterator[dict[str, httpx.Client]]:
    found = {}
    for name in PEOPLE:
        client = httpx.Client(base_url=running.address)
        value, _ = open_session(running.store.corpus, name, time=datetime.now(UTC))
        client.cookies.set(cookie_name(running.store), value)
        client.headers[CSRF_HEADER] = client.get("/api/me").json()["csrf"]
        found[name] = client
    yield found
    for client in found.values():
        client.close()


def say(client: httpx.Client, **message: Any) -> str:
    answer = client.post("/api/save", json={"events": [message]})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["replies"][0]["outcome"])


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/screen", {"kim", "max"}),
        ("/api/screen", {"kim", "max"}),
        ("/review", {"eve", "lou"}),
        ("/api/review", {"eve", "lou"}),
        ("/supervise", {"sam"}),
        ("/api/supervise", {"sam"}),
        ("/api/supervise/disagreements", {"sam"}),
        ("/api/supervise/export.zip", {"sam"}),
    ],
)
def test_each_page_is_for_its_role_alone(clients: dict[str, httpx.Client], path: str, allowed: set[str]) -> None:
    assert {name for name, client in clients.items() if client.get(path).status_code == 200} == allowed
    assert {client.get(path).status_code for name, client in clients.items() if name not in allowed} == {403}


def test_a_screener_sees_photographs_by_their_alias_and_decides(
    running: Running, clients: dict[str, httpx.Client]
) -> None:
    kim, other = clients["kim"], clients["max"]
    state = kim.get("/api/screen").json()
    assert state["pictures"] == 3 and len(state["waiting"]) == 3 and state["include"]
    alias = state["waiting"][0]["alias"]
    answer = kim.get(f"/pictures/photographs/{alias}.png")
    files = {original_file(one.image_sha1) for one in pictures(running.store.corpus)}
    assert hashlib.sha1(answer.content).hexdigest() in {Path(one).stem for one in files}
    assert alias not in {Path(one).stem for one in files}
    for name in ("ann", "eve", "sam"):
        assert clients[name].get(f"/pictures/photographs/{alias}.png").status_code == 403
    for wrong in ("0" * 40, "original", "..%2f..%2fcorpus", Path(next(iter(files))).stem):
        assert kim.get(f"/pictures/photographs/{wrong}.png").status_code == 404
    before = other.get("/api/screen").json()
    assert say(kim, kind="choice", uuid=number("kim"), alias=alias, choice="exclude", note="dark") == "stored"
    now = kim.get("/api/screen").json()
    assert (now["done"], now["decided"][-1]["choice"], now["decided"][-1]["note"]) == (1, "exclude", "dark")
    assert other.get("/api/screen").json() == before
    assert say(clients["eve"], kind="choice", uuid=number("eve"), alias=alias, choice="include") == "refused"


def test_a_reviewer_sees_boxes_and_pictures_and_learns_the_category_after_the_word(
    running: Running, clients: dict[str, httpx.Client]
) -> None:
    eve = clients["eve"]
    answer = eve.get("/api/review")
    state = answer.json()
    assert (state["boxes"], state["done"], state["pairs"]) == (2, 0, 1)
    corpus = running.store.corpus
    for word in ("SHAPE", "ann", "bob", "01L", *(one.image_sha1[:8] for one in pictures(corpus))):
        assert word not in answer.text
    (pair,) = state["waiting"]
    item = items(corpus, agreement=True)[0]
    for side, file in (
        ("original", original_file(item.image_sha1)),
        ("reconstruction", reconstruction_file(item.image_sha1, item.model)),
    ):
        assert eve.get(f"/pictures/{pair['alias']}/{side}.png").content == (corpus.folder / file).read_bytes()
    event = pair["boxes"][0]["event"]
    assert eve.get("/api/review/look", params={"event": event}).status_code == 404
    assert (
        say(eve, kind="look", uuid=number("look"), event=event, judgement="confirm", category="AMPLITUDE") == "stored"
    )
    told = eve.get("/api/review/look", params={"event": event}).json()
    assert (told["category"], told["firstCategory"], told["firstSymbol"]) == ("AMPLITUDE", "SHAPE", False)
    assert clients["lou"].get("/api/review/look", params={"event": event}).status_code == 404
    assert eve.get("/api/review").json()["done"] == 1


def test_what_reviewers_ask_for_is_checked(clients: dict[str, httpx.Client]) -> None:
    eve, lou = clients["eve"], clients["lou"]
    assert eve.get("/api/review", params={"source": "ramps"}).json()["boxes"] == 2
    assert eve.get("/api/review").json()["choices"]["sources"] == ["ramps"]
    assert lou.get("/api/review").json()["choices"]["sources"] == [], "labelers are not told of sources"
    assert lou.get("/api/review", params={"source": "ramps"}).status_code == 403
    assert eve.get("/api/review", params={"uncategorised": "true"}).json()["boxes"] == 0
    for wrong in ({"share": "0"}, {"share": "2"}, {"share": "nan"}, {"batch": "x" * 65}, {"other": "1"}):
        assert eve.get("/api/review", params=wrong).status_code == 422, wrong


def test_a_supervisor_sees_progress_and_disagreements_and_never_a_codec(clients: dict[str, httpx.Client]) -> None:
    sam = clients["sam"]
    answer, shared = sam.get("/api/supervise"), sam.get("/api/supervise/disagreements")
    state = answer.json()
    assert {one["labeler"]: one["pairsDone"] for one in state["labelers"]} == {"ann": 2, "bob": 1}
    assert state["overall"]["pairs"] == 16 and state["suggestions"] is False
    assert state["suggestionUse"] == [], "nobody was shown any"
    first = shared.json()["pairs"][0]
    assert (first["disagreement"], first["unmatched"]) == (1.0, 2)
    assert {one["labeler"]: one["category"] for one in first["boxes"]} == {"ann": "SHAPE", "bob": "SHAPE"}
    assert sam.get(f"/pictures/{first['alias']}/original.png").status_code == 200
    assert [one["perSide"] for one in shared.json()["agreement"]["rows"]] == [1, 2, 4, 8, 16]
    for text in (answer.text, shared.text):
        assert not any(word in text for word in ("01L", "02H", "jpeg", "webp", "bpp"))


def test_the_export_is_that_of_the_command_and_the_same_each_time(
    running: Running, clients: dict[str, httpx.Client], tmp_path: Path
) -> None:
    answer = clients["sam"].get("/api/supervise/export.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.content == clients["sam"].get("/api/supervise/export.zip").content
    export_corpus(running.store.corpus, tmp_path / "out", ExportOptions(formats=("tables",)))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        tables = {name: found.read(name) for name in found.namelist()}
    assert tables == {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.csv")}
    assert b"labeler-" in tables["annotations.csv"] and b"ann" not in tables["annotations.csv"].split(b"\n", 1)[1]
