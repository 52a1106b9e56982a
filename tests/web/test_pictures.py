"""Pictures and static files: to whom, with which headers, and what a damaged corpus answers.

Oracle: the files in the corpus' folder, read by the test itself.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from annotating import Running, batched, serve
from sqlalchemy import select, update

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.schema import IMAGE, ITEM, RECONSTRUCTION
from miscomp.web.files import static_files

pytestmark = pytest.mark.loopback


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return batched(tmp_path / "corpus", images=2, batches={"agreement_batches": 0, "batch_size": 4})


@pytest.fixture
def running(corpus: Corpus) -> Iterator[Running]:
    with serve(corpus, labeler="labeler-1") as running:
        yield running


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.address) as client:
        client.get(running.entrance)
        yield client


def pairs(client: httpx.Client) -> list[str]:
    batches = [one["batch"] for one in client.get("/api/batches").json()]
    return [item["alias"] for one in batches for item in client.get(f"/api/batches/{one}").json()["items"]]


def file_of(corpus: Corpus, alias: str) -> Path:
    with corpus.reading() as connection:
        asked = select(RECONSTRUCTION.c.file).join(
            ITEM,
            (ITEM.c.image_sha1 == RECONSTRUCTION.c.image_sha1) & (ITEM.c.model == RECONSTRUCTION.c.model),
        )
        return corpus.folder / str(connection.execute(asked.where(ITEM.c.alias == alias)).scalar_one())


def test_both_sides_come_as_they_lie_on_the_disk(corpus: Corpus, client: httpx.Client) -> None:
    alias = pairs(client)[0]
    answer = client.get(f"/pictures/{alias}/reconstruction.png")
    content = file_of(corpus, alias).read_bytes()
    assert answer.content == content
    assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-cache"
    original = client.get(f"/pictures/{alias}/original.png")
    assert original.status_code == 200 and original.content != content
    assert original.content in {one.read_bytes() for one in corpus.folder.glob("originals/*/*.png")}


def test_what_the_browser_has_is_not_sent_again(client: httpx.Client) -> None:
    address = f"/pictures/{pairs(client)[0]}/original.png"
    etag = client.get(address).headers["etag"]
    again = client.get(address, headers={"If-None-Match": f'"x", {etag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(address).headers["content-length"] == client.get(address).headers["content-length"]


def test_nothing_in_an_answer_tells_picture_codec_or_source(corpus: Corpus, client: httpx.Client) -> None:
    texts = [client.get("/api/batches").text]
    for alias in pairs(client):
        texts.append(client.get(f"/api/pairs/{alias}").text)
        texts.append(str(client.get(f"/pictures/{alias}/reconstruction.png").headers))
    said = "".join(texts)
    with corpus.reading() as connection:
        sha1s = connection.execute(select(IMAGE.c.image_sha1)).scalars().all()
        sources = connection.execute(select(IMAGE.c.source, IMAGE.c.name)).all()
    secrets = {*sha1s, *(word for row in sources for word in row), "01L", "02H", "jpeg", "webp", "bpp", "psnr"}
    assert {one for one in secrets if one in said} == set()


def test_the_pairs_of_others_are_not_there(corpus: Corpus, client: httpx.Client) -> None:
    """In lab mode a labeler may see what was given to that labeler; here the one person reviews as well."""
    with corpus.reading() as connection:
        everything = set(connection.execute(select(ITEM.c.alias)).scalars())
    (other, *_) = everything - {*pairs(client)}
    assert client.get(f"/api/pairs/{other}").status_code == 404
    assert client.get(f"/pictures/{other}/original.png").status_code == 200


def test_a_removed_picture_is_gone_and_says_so(corpus: Corpus, client: httpx.Client) -> None:
    alias = pairs(client)[0]
    with corpus.writing() as connection:
        sha1 = connection.execute(select(ITEM.c.image_sha1).where(ITEM.c.alias == alias)).scalars().first()
        connection.execute(update(IMAGE).where(IMAGE.c.image_sha1 == sha1).values(removed="2025-10-27T09:30:00Z"))
        connection.execute(update(RECONSTRUCTION).where(RECONSTRUCTION.c.image_sha1 == sha1).values(file=""))
    for path in (f"/pictures/{alias}/original.png", f"/pictures/{alias}/reconstruction.png", f"/api/pairs/{alias}"):
        answer = client.get(path)
        assert (answer.status_code, "removed" in answer.json()["error"]) == (410, True), path


@pytest.mark.parametrize("fault", ["missing", "damaged", "short", "other", "folder", "pipe", "device", "outside"])
def test_a_damaged_corpus_is_told_without_names(corpus: Corpus, client: httpx.Client, fault: str) -> None:
    alias = pairs(client)[0]
    file = file_of(corpus, alias)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()
    if fault == "damaged":
        file.write_bytes(content)
    elif fault == "short":
        file.write_bytes(content[:100])
    elif fault == "other":
        file.write_text("#!/bin/sh", encoding="utf-8")
    elif fault == "folder":
        file.mkdir()
    elif fault == "pipe":  # whoever opens one waits until somebody writes into it
        os.mkfifo(file)
    elif fault == "device":
        file.symlink_to("/dev/zero")
    elif fault == "outside":
        with corpus.writing() as connection:
            connection.execute(update(RECONSTRUCTION).values(file="../../../../etc/passwd"))
    answer = client.get(f"/pictures/{alias}/reconstruction.png")
    assert answer.status_code == 500
    said = answer.json()["error"]
    assert "miscomp corpus verify" in said and file.name not in said and "/" not in said
    assert client.get("/api/me").status_code == 200


def test_a_picture_that_changes_while_it_is_served_is_noticed(corpus: Corpus, client: httpx.Client) -> None:
    alias = pairs(client)[0]
    assert client.get(f"/pictures/{alias}/reconstruction.png").status_code == 200
    file = file_of(corpus, alias)
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    assert client.get(f"/pictures/{alias}/reconstruction.png").status_code == 500


def test_static_files_are_those_of_the_package(client: httpx.Client) -> None:
    known = static_files()
    assert {"base.css", "login.js", "logout.js"} <= known.files.keys()
    for name, (content, kind) in known.files.items():
        answer = client.get(f"/static/{known.version}/{name}")
        assert (answer.content, answer.headers["content-type"]) == (content, kind)
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/static/0123456789abcdef/base.css").status_code == 404
