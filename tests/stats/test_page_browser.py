"""The page of statistics in a browser. Needs Chromium; skips with a message where there is none."""

from __future__ import annotations

import re
from pathlib import Path

from browser import NEEDS_BROWSER, dump
from corpora import small_corpus

from miscomp.stats.material import from_corpus
from miscomp.stats.page import write_report
from miscomp.stats.page_choice import GalleryRequest
from miscomp.stats.page_gallery import make_gallery

pytestmark = NEEDS_BROWSER


def test_the_viewer_opens_an_annotation_and_the_filters_count(tmp_path: Path) -> None:
    corpus, out = small_corpus(tmp_path / "corpus", images=2), tmp_path / "out"
    out.mkdir()
    gallery = make_gallery(corpus, from_corpus(corpus), out, GalleryRequest())
    page = write_report(out, title="Ramps", tables=[], figures=[], gallery=gallery)
    number = next(k for k, item in enumerate(gallery.items) if item.category == "SHAPE")
    document = dump(page, f"#image={number}&codec=0&finding=0", tmp_path / "profile")
    viewer = document[document.index('<dialog id="viewer"') :]
    assert re.match(r'<dialog id="viewer"[^>]* open', viewer)
    assert ">ORIGINAL<" in viewer and "1 annotation in this crop" in viewer and f"{number + 1} / 9" in viewer
    card = viewer[viewer.index('<li class="card selected" data-rank="0"') :]
    assert "annotated" in card and "SYMBOL" in card and "x 16, y 24, 40 × 32 · drawn by ann (simulated)" in card
    assert "NaN" not in viewer and "undefined" not in viewer and "score" not in card[: card.index("</li>")]
    assert "9 of 9 annotations" in document
