"""The demo as a user runs it, with two of its photographs and codecs that need no weights; the network is closed."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from miscomp.cli.app import app
from miscomp.demo import PHOTOGRAPHS

pytestmark = pytest.mark.skipif(
    not (find_spec("skimage") and find_spec("sklearn")), reason="the extra 'demo' is not installed"
)


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    two = tuple(photo for photo in PHOTOGRAPHS if photo.file in ("data/coins.png", "data/page.png"))
    monkeypatch.setattr("miscomp.demo.PHOTOGRAPHS", two)
    monkeypatch.setattr("miscomp.demo.DEMO_CODECS", ("webp@0.3bpp", "jpeg@like:webp"))


@pytest.mark.usefixtures("small_demo")
def test_the_demo_writes_a_report_and_credits_and_says_where(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    command = ["demo", "-o", str(folder), "--jobs", "1", "--no-text"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == f"report: {folder / 'report.html'}"
    assert (folder / "report.html").stat().st_size > 10_000
    with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["filename"], row["model"]) for row in csv.DictReader(file)]
    assert sorted(rows) == [(n, m) for n in ("coins.png", "page.png") for m in ("jpeg@like:webp", "webp@0.3bpp")]
    credits = (folder / "CREDITS.txt").read_text(encoding="utf-8")
    assert "coins.png" in credits and "Brooklyn Museum" in credits
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0 and again.stderr.count("done earlier") == 4
