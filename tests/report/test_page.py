"""The page: self-contained, safe against hostile names, complete, the same bytes twice."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_sample import HOSTILE, MODELS, NAMES, MakeRun

from miscomp.records import Failure
from miscomp.report.page import embedded_json, write_html
from miscomp.report.pictures import BESIDE
from miscomp.report.run import Run


class Reader(HTMLParser):
    """What a browser would see: elements with attributes, and the texts of scripts by id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.text = ""
        self._script: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._script = (dict(attrs).get("id") or "code") if tag == "script" else ("style" if tag == "style" else None)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.text += data
        else:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


@pytest.fixture
def page(make_run: MakeRun, tmp_path: Path) -> Reader:
    return read(write_html(make_run(tmp_path), tmp_path))


def test_the_page_needs_nothing_outside_itself(page: Reader, tmp_path: Path) -> None:
    assert not (tmp_path / BESIDE).exists()
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "video", "audio")
        for name in ("src", "srcset", "href", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/webp;base64,", "data:image/png;base64,", "#")), value
        assert not [name for name in attributes if name.startswith("on")]
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(|//cdn", html)


def test_the_page_may_run_only_its_own_script(page: Reader) -> None:
    policy = next(a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(page.scripts["code"].encode()).digest()).decode()
    assert policy is not None and f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_hostile_names_stay_text(page: Reader) -> None:
    assert not [a for t, a in page.elements if t == "img" and a.get("src") == "x"]
    assert HOSTILE in page.text and "broken<br>.jpg" in page.text and "<b>bold</b>" in page.text
    assert "gnp.⟨U+202E⟩live⟨U+2028⟩.png" in page.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028]", page.text)
    index = json.loads(page.scripts["index"])
    assert index["items"][1]["name"] == HOSTILE


def test_names_that_are_not_unicode_can_be_written(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path, ("caf\u00e9.png",))
    run = replace(run, failures=(Failure(name="x\udcff.png", reason="bad"),), unmatched=("y\udcff.png",))
    assert "x⟨U+DCFF⟩.png" in read(write_html(run, tmp_path)).text


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "]]>", "&lt;", "\u2028\u2029", "\ud800", "é"])
def test_embedded_json_holds_any_text_without_markup(text: str) -> None:
    embedded = embedded_json({"name": text})
    assert embedded.isascii() and not re.search("[<>&]", embedded)
    assert json.loads(embedded) == {"name": text}


def test_every_finding_failure_and_unmatched_file_is_in_the_page(page: Reader) -> None:
    index = json.loads(page.scripts["index"])
    assert len(index["items"]) == len(NAMES)
    for number, item in enumerate(index["items"]):
        details = json.loads(page.scripts[f"details-{number}"])
        assert [pair["model"] for pair in item["pairs"]] == list(MODELS)
        for pair, detail in zip(item["pairs"], details, strict=True):
            assert len(pair["findings"]) == len(detail["findings"]) == (0 if item["name"] == "plain sky.png" else 3)
            scores = [finding[0] for finding in pair["findings"]]
            assert scores == sorted(scores, reverse=True)
            assert all(len(finding["answers"]) == 5 for finding in detail["findings"])
    for text in (
        "is truncated after 12 bytes",
        "lonely & alone.webp",
        "No findings does not prove",
        "may have changed",
    ):
        assert text in page.text


def test_pictures_in_the_page_have_the_audited_pixels_and_the_original_stands_once(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run(tmp_path)
    page = read(write_html(run, tmp_path))

    def pixels(number: int) -> Any:
        content = page.scripts[f"picture-{number}"].partition(",")[2]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))

    item = json.loads(page.scripts["index"])["items"][0]
    lucid, jpeg = item["pairs"]
    assert lucid["original"] == jpeg["original"]
    for pair, result in zip(item["pairs"], run.results[:2], strict=True):
        for number, name in (
            (pair["original"], result.original_file),
            (pair["reconstruction"], result.reconstruction_file),
        ):
            with Image.open(tmp_path / name) as picture:
                assert np.array_equal(pixels(number), np.asarray(picture))


def test_identical_pictures_have_infinite_psnr_and_valid_json(page: Reader) -> None:
    sky = json.loads(page.scripts["index"], parse_constant=pytest.fail)["items"][4]
    assert sky["pairs"][0]["psnr"] == "inf" and sky["pairs"][0]["original"] == sky["pairs"][0]["reconstruction"]
    assert "∞" in page.text


def test_a_large_report_keeps_its_pictures_beside_it(make_run: MakeRun, tmp_path: Path) -> None:
    path = write_html(make_run(tmp_path), tmp_path, inline_limit_mb=0.1)
    page = read(path)
    index = json.loads(page.scripts["index"])
    assert index["beside"] and "data:image" not in path.read_text(encoding="utf-8")
    assert not [name for name in page.scripts if name.startswith(("details-", "picture-"))]
    sources = [a["src"] for t, a in page.elements if t == "img"] + index["pictures"]
    for source in sources:
        assert source is not None and re.fullmatch(r"report_files/[0-9a-f]{20}\.(webp|png)", source)
        assert (tmp_path / source).is_file()
    for number in range(len(NAMES)):
        script = (tmp_path / BESIDE / f"details-{number}.js").read_text(encoding="ascii")
        match = re.fullmatch(r"miscompDetails\((\d+), (.*)\);\n", script)
        assert match and int(match[1]) == number and len(json.loads(match[2])) == len(MODELS)


@pytest.mark.parametrize("limit", [30.0, 0.0])
def test_the_same_run_gives_the_same_bytes(make_run: MakeRun, tmp_path: Path, limit: float) -> None:
    written = []
    for name in ("a", "b"):
        folder = tmp_path / name
        write_html(make_run(folder), folder, inline_limit_mb=limit)
        written.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    assert written[0] == written[1]
    assert not [p for p in written[0] if p.suffix == ".partial"]


def test_without_scripts_the_summary_and_crops_are_in_the_page(page: Reader) -> None:
    assert "noscript" in [tag for tag, _ in page.elements]
    crops = [
        a for t, a in page.elements if t == "img" and (a.get("alt") or "").startswith(("Original", "Reconstruction"))
    ]
    assert len(crops) == 2 * 24
    assert (
        "Real bpp is file bytes \u00d7 8 / pixels" in page.text and "mean over images of per-image values" in page.text
    )


def test_nothing_found_and_nothing_audited_are_said_plainly(make_run: MakeRun, tmp_path: Path) -> None:
    sky = read(write_html(make_run(tmp_path, ("plain sky.png",)), tmp_path)).text
    assert "No place was found that may have changed" in sky
    empty = Run(version="1", settings={}, results=(), failures=(), unmatched=(), detector="d")
    assert "Nothing was audited" in read(write_html(empty, tmp_path)).text


def test_no_sentence_claims_that_something_changed(page: Reader) -> None:
    headings = [text for text in page.text.split("\n") if "place" in text and "changed" in text]
    assert headings and all("may have" in text for text in headings)
