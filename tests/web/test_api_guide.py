"""The guide's page and the discussion of training, asked for over HTTP on a real server."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx
import numpy as np
import pytest
from annotating import Running, batched, serve
from PIL import Image
from trained import BOXES, LEADER, PASSWORD, TRAINED, cheap_hashes, training_corpus, visit_of

from miscomp.corpus.entries import BatchItem
from miscomp.corpus.schema import add
from miscomp.taxonomy import MultiKind
from miscomp.web import files

pytestmark = pytest.mark.loopback

PICTURES = Path(files.__file__).parent / "static" / "guide"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, list[BatchItem]]]:
    with cheap_hashes():
        corpus, items = training_corpus(tmp_path_factory.mktemp("lab") / "corpus")
        with serve(corpus) as running:
            yield running, items


@contextmanager
def client_of(running: Running, name: str = "") -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.address) as client:
        if name:
            assert client.post("/api/login", json={"name": name, "password": PASSWORD}).status_code == 200
        yield client


class Page(HTMLParser):
    """What a page refers to, and what its content policy would not let it do."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.alts: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.sources += [str(given["src"])] if "src" in given else []
        self.sources += [str(given["href"])] if tag in ("image", "link") and given["href"] != "data:," else []
        self.alts += [str(given.get("alt"))] if tag == "img" else []
        self.ids += [str(given["id"])] if "id" in given else []
        self.links += [str(given["href"])] if tag == "a" else []
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in given) else []


def test_strangers_are_led_to_the_login(lab: tuple[Running, list[BatchItem]]) -> None:
    running, (item, *_) = lab
    with client_of(running) as client:
        answer = client.get("/guide")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert client.get(f"/api/training/{item.alias}").status_code == 401


@pytest.mark.parametrize("name", [TRAINED[0], LEADER])
def test_the_guide_is_for_everybody_and_all_that_it_shows_is_there(
    lab: tuple[Running, list[BatchItem]], name: str
) -> None:
    with client_of(lab[0], name) as client:
        answer = client.get("/guide")
        assert answer.status_code == 200
        page = Page(answer.text)
        for source in {*page.sources}:
            assert client.get(source).status_code == 200, source
    assert page.inline == []
    assert all(re.fullmatch(r"(Original|Reconstruction): .{8,}", alt) for alt in page.alts)
    assert len(page.ids) == len({*page.ids})
    assert {one[1:] for one in page.links if one.startswith("#")} <= {*page.ids}


def test_every_picture_of_the_guide_is_shown_and_small(lab: tuple[Running, list[BatchItem]]) -> None:
    with client_of(lab[0], TRAINED[0]) as client:
        text = client.get("/guide").text
    found = sorted(PICTURES.iterdir())
    shown = {name for name in re.findall(r"/guide/([a-z]+-[a-z]+\.webp)", text)}
    # Of the pair that boxes are explained with, the original alone is shown.
    assert {one.name for one in found} - shown == {"tight-reconstruction.webp"}
    assert max(one.stat().st_size for one in found) <= 60_000
    assert sum(one.stat().st_size for one in found) < 1_000_000
    for one in found:
        with Image.open(one) as picture:
            assert (picture.format, picture.size) == ("WEBP", (360, 240))


def test_the_guide_names_all_kinds_and_the_numbers_of_the_settings(tmp_path: Path) -> None:
    settings = {
        "batches": {"instances": 7, "labelers": ["ann"]},
        "annotate": {"break_after_min": 33, "suggestions": True},
    }
    with serve(batched(tmp_path / "c", images=1, **settings)) as running, httpx.Client() as client:
        client.get(running.entrance)
        text = client.get(f"{running.address}/guide").text
    assert "first 7</strong>" in text
    assert "after 33 minutes" in text
    assert "Suggestions</b> of a detector" in text
    for kind in MultiKind:
        assert f"<b>{kind.value}." in text


def test_the_guide_says_nothing_of_suggestions_where_there_are_none(lab: tuple[Running, list[BatchItem]]) -> None:
    with client_of(lab[0], TRAINED[0]) as client:
        text = client.get("/guide").text
    assert "first 3</strong>" in text
    assert "Suggestions" not in text


def test_a_labeler_sees_everybodys_boxes_after_the_own_pass(lab: tuple[Running, list[BatchItem]]) -> None:
    running, (item, *_) = lab
    with client_of(running, "ann") as client:
        told = client.get(f"/api/training/{item.alias}").json()
    assert [one["name"] for one in told["labelers"]] == ["ann", "bob", "cem"]
    assert told["waiting"] == ["dan"]
    assert [len(one["boxes"]) for one in told["labelers"]] == [len(BOXES[name]) for name in ("ann", "bob", "cem")]
    assert [one["labelers"] for one in told["places"]] == [["ann", "bob", "cem"], ["cem"], ["ann"]]
    assert {name: told["places"][0][name] for name in "xywh"} == {"x": 16, "y": 24, "w": 42, "h": 32}
    box = told["labelers"][1]["boxes"][0]
    assert [box[one] for one in ("changed", "relevant", "suspicion", "expected")] == ["yes", "yes", "unsure", ""]
    assert told["labelers"][2]["flag"]["multiKind"] == "to_discuss"
    assert item.image_sha1 not in str(told)  # no picture, no model
    assert item.model not in str(told)


def test_before_it_the_reason_is_said_and_nothing_else(lab: tuple[Running, list[BatchItem]]) -> None:
    running, (item, *_) = lab
    with client_of(running, "dan") as client:
        answer = client.get(f"/api/training/{item.alias}")
    assert answer.status_code == 403
    assert list(answer.json()) == ["error"]
    assert "own pass" in answer.json()["error"]


def test_a_supervisor_may_look_and_other_aliases_are_nobodys(lab: tuple[Running, list[BatchItem]]) -> None:
    running, (item, *_) = lab
    with client_of(running, LEADER) as client:
        assert client.get(f"/api/training/{item.alias}").json()["waiting"] == ["dan"]
        for alias in ("0" * 40, "A" * 40, item.alias[:39], "x"):
            assert client.get(f"/api/training/{alias}").status_code == 404


def test_a_pass_that_is_finished_opens_the_discussion(lab: tuple[Running, list[BatchItem]]) -> None:
    running, (_, second, _) = lab
    with client_of(running, "dan") as client:
        assert client.get(f"/api/training/{second.alias}").status_code == 403
        with running.store.corpus.writing() as connection:
            add(connection, [visit_of(second, "dan")])
        told = client.get(f"/api/training/{second.alias}").json()
    assert (told["places"], told["waiting"]) == ([], ["ann", "bob", "cem"])


def test_the_script_makes_the_pictures_that_are_shipped() -> None:
    script = Path(__file__).parents[2] / "studies" / "guide_pictures.py"
    spec = importlib.util.spec_from_file_location("guide_pictures", script)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made  # its dataclasses look themselves up there
    spec.loader.exec_module(made)
    names = {one.__name__ for one in made.SCENES} | {*made.CROPS}
    assert {f"{name}-{side}.webp" for name in names for side in ("original", "reconstruction")} == {
        one.name for one in PICTURES.iterdir()
    }
    for name, both in (("tower", made.drawn(made.tower)), ("mast", made.cropped(made.CROPS["mast"]))):
        for side, pixels in zip(("original", "reconstruction"), both, strict=True):
            with Image.open(PICTURES / f"{name}-{side}.webp") as picture:
                shipped = np.asarray(picture.convert("RGB"), dtype=float)
            # WebP loses a little, and its versions differ in what; another picture is far off.
            assert np.abs(shipped - pixels).mean() < 4
