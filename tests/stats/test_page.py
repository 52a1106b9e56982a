"""The page of statistics. Oracles: pixels cut from the corpus' own files, counts that follow from what was drawn, the
policy's own hash, and a reader of HTML that is not the one that wrote it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import BOXES, MODELS, add_picture, add_reconstruction, label, picture, small_corpus
from labelled import simulated
from PIL import Image

from miscomp.corpus.checks.removal import find_pictures, remove_picture
from miscomp.corpus.corpus import Corpus, open_corpus, reconstruction_file
from miscomp.corpus.entries import Copied
from miscomp.corpus.schema import add, fetch
from miscomp.records import Box
from miscomp.stats.material import Material, from_corpus
from miscomp.stats.page import write_report
from miscomp.stats.page_choice import GalleryRequest, cell_of, choose
from miscomp.stats.page_gallery import Gallery, GalleryItem, make_gallery
from miscomp.stats.tabular import Cell, Column, StatFigure, StatTable

HOSTILE = "</script><img src=x onerror=alert(1)>"
HIDDEN = "gnp.\u202elive"

TABLE = StatTable(
    name="table2",
    title="Annotations by model",
    note="Shares of viewed images.",
    columns=(
        Column(key="model", title="model"),
        Column(key="share", title="annotated", unit="%", decimals=1, about="Share of viewed images with a box."),
        Column(key="side", title="side", unit="px", decimals=1),
        Column(key="total", title="boxes"),
    ),
    rows=(
        {
            "model": Cell(value="01L"),
            "share": Cell(value=0.125, low=0.05, high=0.25, n=1563),
            "side": Cell(value=None, n=0),
            "total": Cell(value=18019),
        },
        {"model": Cell(value=HOSTILE), "side": Cell(value=55.25)},
    ),
)
FIGURE = StatFigure(name="figure5", title="Areas", note=f"Median against bpp {HOSTILE}")


class Reader(HTMLParser):
    """Elements with their attributes, texts of scripts by id, and what else is text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.text = ""
        self._within = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._within = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within:
            self.scripts[self._within] = self.scripts.get(self._within, "") + data
        else:
            self.text += data

    def index(self) -> Any:
        return json.loads(self.scripts["index"])

    def details(self, number: int) -> Any:
        return json.loads(self.scripts[f"details-{number}"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine boxes in two pictures; see `corpora`."""
    folder = tmp_path_factory.mktemp("made") / "corpus"
    small_corpus(folder, images=2).engine.dispose()
    return folder


@pytest.fixture
def corpus(made: Path, tmp_path: Path) -> Corpus:
    """A copy of it."""
    return open_corpus(Path(shutil.copytree(made, tmp_path / "corpus")))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "statistics"
    folder.mkdir()
    return folder


def gallery_of(corpus: Corpus, folder: Path, material: Material | None = None, **request: int) -> Gallery:
    return make_gallery(corpus, material or from_corpus(corpus), folder, GalleryRequest(**request))


def page_of(folder: Path, gallery: Gallery | None = None, **values: Any) -> Reader:
    asked: dict[str, Any] = {"title": "A corpus", "tables": [TABLE], "figures": [FIGURE], "gallery": gallery}
    return Reader(write_report(folder, **{**asked, **values}))


def pixels_of(path: Path) -> Any:
    with Image.open(path) as found:
        return np.asarray(found.convert("RGB"))


def test_the_page_needs_nothing_but_its_folder(corpus: Corpus, out: Path) -> None:
    page = page_of(out, gallery_of(corpus, out))
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "video", "audio")
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith("#")  # type: ignore[union-attr]
        source = attributes.get("src")
        if source is not None and source != "figure5.svg":
            assert (out / source).is_file() and Path(source).parent.name == "gallery"
    assert not re.search(r"https?://|@import|url\(|//cdn", (out / "report.html").read_text(encoding="utf-8"))


def test_the_page_may_run_only_its_own_script(corpus: Corpus, out: Path) -> None:
    page = page_of(out, gallery_of(corpus, out))
    policy = next(a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(page.scripts["script"].encode()).digest()).decode()
    assert policy is not None and f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_texts_of_others_stay_texts(corpus: Corpus, out: Path) -> None:
    material = from_corpus(corpus)
    boxes = tuple(replace(one, labeler=HOSTILE, note=HIDDEN, id=f"{HOSTILE}{one.id}") for one in material.annotations)
    gallery = gallery_of(corpus, out, replace(material, annotations=boxes))
    page = page_of(out, gallery, title=HOSTILE, facts=((HOSTILE, HIDDEN),))
    assert not [attributes for tag, attributes in page.elements if tag == "img" and attributes.get("src") == "x"]
    assert page.text.count(HOSTILE) > 10 and "gnp.⟨U+202E⟩live" in page.text
    assert "\u202e" not in (out / "report.html").read_text(encoding="utf-8")
    assert page.details(0)[0]["findings"][0]["foundBy"] == f"{HOSTILE} (simulated)"


def test_the_same_arguments_give_the_same_bytes(corpus: Corpus, tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        page_of(folder, gallery_of(corpus, folder))
        contents.append({path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert contents[0] == contents[1] and len(contents[0]) == 9


def test_a_table_has_numbers_with_intervals_and_how_many(out: Path) -> None:
    page = page_of(out)
    words = " ".join(page.text.split())
    assert "12.5 [5.0, 25.0] n = 1563" in words and "18019" in words and "55.2" in words
    assert "Shares of viewed images." in words and "Share of viewed images with a box." in words
    assert words.count("Annotations by model") == 3 and words.count("Shares of viewed images.") == 2
    heads = [attributes for tag, attributes in page.elements if tag == "th" and attributes.get("scope") == "col"]
    assert [one.get("class") for one in heads] == [None, "n", "n", "n"]


def test_a_figure_is_told_to_those_who_cannot_see_it(out: Path) -> None:
    drawn = [one for tag, one in page_of(out).elements if tag == "img"]
    assert [one["src"] for one in drawn] == ["figure5.svg"]
    assert drawn[0]["alt"] == f"Areas. {FIGURE.note}"


def test_a_page_without_a_gallery_runs_no_script(out: Path) -> None:
    page = page_of(out)
    assert list(page.scripts) == ["style"] and "Gallery" not in page.text
    assert [path.name for path in out.iterdir()] == ["report.html"]


def test_every_control_has_a_name(corpus: Corpus, out: Path) -> None:
    html = (page_of(out, gallery_of(corpus, out)), (out / "report.html").read_text(encoding="utf-8"))[1]
    assert len(re.findall(r"<label>\w+ <select", html)) == html.count("<select") == 4
    assert not re.search(r"<img(?![^>]*\balt=)", html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert all(name in ids for name in re.findall(r'(?:aria-labelledby|href)="#?([a-z]+-\w+)"', html))


def test_crops_are_the_pixels_around_the_box(corpus: Corpus, out: Path) -> None:
    gallery = gallery_of(corpus, out)
    assert len(gallery.items) == gallery.annotations == gallery.simulated == 9
    for item in gallery.items:
        one, area = item.annotation, item.view.window
        assert area.intersection(one.box) == one.box.area and not item.view.reduced
        sides = (
            (item.original, corpus.original(one.image_sha1)),
            (item.reconstruction, corpus.folder / reconstruction_file(one.image_sha1, one.model)),
        )
        for name, whole in sides:
            expected = pixels_of(whole)[area.y : area.bottom, area.x : area.right]
            assert np.array_equal(pixels_of(out / name), expected)
            assert one.image_sha1 in name


def test_an_item_holds_the_other_boxes_of_its_crop(corpus: Corpus, out: Path) -> None:
    page = page_of(out, gallery := gallery_of(corpus, out))
    number = next(k for k, item in enumerate(gallery.items) if item.annotation.labeler == "ann" and item.others)
    item, found = gallery.items[number], page.details(number)[0]["findings"]
    names = [one["foundBy"] for one in found]
    assert names[0] == "ann (simulated)" and "bob (simulated)" in names
    area = item.view.window
    for box in found:
        x, y, w, h = box["place"]
        assert Box(x, y, w, h) in BOXES
        left, top = max(x, area.x), max(y, area.y)
        right, bottom = min(x + w, area.right), min(y + h, area.bottom)
        assert box["box"] == [left - area.x, top - area.y, right - left, bottom - top]
    assert len(page.index()["items"][number]["pairs"][0]["findings"]) == len(found)


def test_a_large_crop_is_reduced_and_says_so(corpus: Corpus, out: Path) -> None:
    box = Box(100, 80, 600, 300)
    sha1 = add_picture(corpus, picture(9, width=1024, height=768), name="large.png")
    add_reconstruction(corpus, sha1, picture(9, width=1024, height=768), MODELS[0])
    with corpus.writing() as connection:
        add(connection, [label(sha1, "01L", box, "ann")])
    gallery = gallery_of(corpus, out)
    number = next(k for k, item in enumerate(gallery.items) if item.annotation.image_sha1 == sha1)
    page = page_of(out, gallery)
    assert pixels_of(out / gallery.items[number].reconstruction).shape == (384, 512, 3)
    assert page.index()["items"][number]["cut"] == [0, 0, 2.0]
    detail = page.details(number)[0]
    assert detail["findings"][0]["box"] == [50, 40, 300, 150] and detail["findings"][0]["place"] == [100, 80, 600, 300]
    assert "1024 pixels wide" in detail["warnings"][0] and "crop reduced" in page.text


def test_what_is_chosen_is_spread_over_codecs_rates_and_categories() -> None:
    material = simulated(40, prevalence={"01L": 0.6, "01H": 0.02, "02L": 0.3}, models=("01L", "01H", "02L"), error=0.01)
    there = Counter(cell_of(material, one) for one in material.annotations)
    assert len(there) == 12 and max(there.values()) > 15 * min(there.values())
    chosen = choose(material, material.annotations, GalleryRequest(count=36))
    shown = Counter(cell_of(material, one) for one in chosen)
    assert sum(shown.values()) == 36 and all(shown[cell] == 3 for cell in there)


def test_a_smaller_gallery_is_the_beginning_of_a_larger_one_and_another_seed_another() -> None:
    material = simulated(10)
    ask = [choose(material, material.annotations, GalleryRequest(count=count)) for count in (12, 40)]
    assert ask[1][:12] == ask[0]
    assert choose(material, material.annotations[::-1], GalleryRequest(count=12)) == ask[0]
    assert choose(material, material.annotations, GalleryRequest(count=12, seed=1)) != ask[0]
    every = choose(material, material.annotations, GalleryRequest(count=10**6))
    assert len(every) == len(set(every)) == len(material.annotations)


def test_the_gallery_is_bounded_and_says_of_how_many(corpus: Corpus, out: Path) -> None:
    gallery = gallery_of(corpus, out, count=3)
    assert len(gallery.items) == 3 and len(list((out / "gallery").iterdir())) <= 6
    assert "3 of 9 annotations" in " ".join(page_of(out, gallery).text.split())
    assert not gallery_of(corpus, out, count=0).items and not list((out / "gallery").iterdir())


def test_what_detectors_found_is_counted_and_not_shown(corpus: Corpus, out: Path) -> None:
    material = from_corpus(corpus)
    first, *rest = material.annotations
    gallery = gallery_of(corpus, out, replace(material, annotations=(replace(first, origin="detector"), *rest)))
    assert (gallery.detections, gallery.annotations) == (1, 8)
    assert "What detectors found is not shown: 1 box." in page_of(out, gallery).text


def test_removed_missing_and_damaged_pictures_are_left_out_and_counted(corpus: Corpus, out: Path) -> None:
    first, second = sorted({one.image_sha1 for one in from_corpus(corpus).annotations}, key=_boxes_in(corpus))
    (corpus.folder / reconstruction_file(second, "01L")).unlink()
    (corpus.folder / reconstruction_file(second, "02L")).write_bytes(b"\x89PNG no picture")
    with corpus.owned(), corpus.reading() as connection:
        found = find_pictures(connection, [first])
    with corpus.owned():
        remove_picture(corpus, found[0], "asked for")
    gallery = gallery_of(corpus, out)
    expected = {"of removed pictures": 1, "whose files are missing": 4, "whose files are damaged": 4}
    assert gallery.left_out == expected and not gallery.items
    assert [Path(one.name).name for one in gallery.failures] == [f"{second}.png"]
    page = page_of(out, gallery)
    assert "4 annotations whose files are missing" in page.text and "No annotation could be shown." in page.text
    assert list(page.scripts) == ["style"]


def _boxes_in(corpus: Corpus) -> Any:
    counted = Counter(one.image_sha1 for one in from_corpus(corpus).annotations)
    return lambda sha1: counted[sha1]


@pytest.mark.parametrize("inside", [False, True])
def test_a_picture_that_is_removed_is_removed_from_the_gallery(corpus: Corpus, out: Path, inside: bool) -> None:
    folder = corpus.folder / "statistics" if inside else out
    folder.mkdir(exist_ok=True)
    gallery = gallery_of(corpus, folder)
    with corpus.reading() as connection:
        assert [(one.path, one.what) for one in fetch(connection, Copied)] == [(str(folder.resolve()), "statistics")]
        sha1 = gallery.items[0].annotation.image_sha1
        found = find_pictures(connection, [sha1])
    gallery_of(corpus, folder)
    with corpus.owned():
        removal = remove_picture(corpus, found[0], "asked for")
    left = [path.name for path in (folder / "gallery").iterdir()]
    assert left and not [name for name in left if sha1 in name]
    assert [one.path for one in removal.look] == [str(folder.resolve())]


def test_crops_of_an_earlier_gallery_go_and_other_files_stay(corpus: Corpus, out: Path) -> None:
    before = {name for item in gallery_of(corpus, out).items for name in (item.original, item.reconstruction)}
    (out / "gallery" / "mine.png").write_bytes(b"of somebody")
    after = gallery_of(corpus, out, count=1)
    kept = {f"gallery/{path.name}" for path in (out / "gallery").iterdir()}
    assert kept == {after.items[0].original, after.items[0].reconstruction, "gallery/mine.png"} and len(before) > 2


def test_the_filters_offer_what_there_is(corpus: Corpus, out: Path) -> None:
    page = page_of(out, gallery := gallery_of(corpus, out))
    values = [one.get("value") for tag, one in page.elements if tag == "option"]
    assert values == ["", "C1", "C2", "", "low", "", "SHAPE", "none", "", "ann", "bob"]
    cards = [one for tag, one in page.elements if tag == "figure" and "data-item" in one]
    assert [_card(one) for one in cards] == [_item(item) for item in gallery.items]
    assert [one["data-item"] for one in cards] == [str(number) for number in range(9)]


def _card(attributes: dict[str, str | None]) -> tuple[str | None, ...]:
    return tuple(attributes[f"data-{name}"] for name in ("codec", "rate", "category", "labeler"))


def _item(item: GalleryItem) -> tuple[str, ...]:
    return item.codec, item.rate, item.category or "none", item.annotation.labeler
