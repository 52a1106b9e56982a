"""The page in a browser: keys flip, step and filter. Needs Chromium; skips with a message where there is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import NEEDS_BROWSER, dump
from report_sample import MakeRun

from miscomp.report.page import write_html

pytestmark = NEEDS_BROWSER


@pytest.mark.parametrize("limit", [30.0, 0.0])
def test_the_viewer_opens_a_finding_from_the_address(make_run: MakeRun, tmp_path: Path, limit: float) -> None:
    page = write_html(make_run(tmp_path), tmp_path, inline_limit_mb=limit)
    document = dump(page, "#image=1&codec=1&finding=2", tmp_path / "profile")
    viewer = document[document.index('<dialog id="viewer"') :]
    assert re.match(r'<dialog id="viewer"[^>]* open', viewer)
    assert ">ORIGINAL<" in viewer and "3 places may have changed" in viewer
    assert re.search(r'<li class="card selected" data-rank="2"', viewer)
    assert "5 images, 24 findings" in document
    assert "alert(1)" in document and "<img src=x" not in document
