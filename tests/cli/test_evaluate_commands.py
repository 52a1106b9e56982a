"""The verb `evaluate` through the command line. Oracles: exit codes and streams of the documented contract."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ramps import noisy_ramps
from typer.testing import CliRunner, Result

from miscomp.cli.app import COMMANDS, app
from miscomp.cli.lazy import build
from miscomp.errors import UnknownName, UsageError

DOCUMENT = Path(__file__).parents[2] / "docs" / "evaluate.md"


QUICK = ("--no-plots", "--no-memory")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return noisy_ramps(tmp_path / "photos")


def test_it_prints_tables_and_the_summary_s_path_and_tells_progress(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (
        photos,
        "--codec",
        "jpeg",
        "--codec",
        "webp@q10",
        "--points",
        4,
        "--no-plots",
        "--no-memory",
        "-o",
        out,
    )
    result = run(*arguments, "--generations", 2)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["codec", "setting", "real", "bpp"] and lines[-1] == f"summary: {out}/summary.json"
    assert [line.split()[0] for line in lines[1:6]] == ["jpeg"] * 4 + ["webp"]
    assert "means over 2 image(s)" in lines[6]
    assert "no value for webp against jpeg: the test has 1 of at least 4 points" in lines
    assert re.search(r"^webp +q10 +2 .* of 2$", result.stdout, re.MULTILINE)
    told = re.sub(r"\d+\.\d s", "N s", result.stderr).splitlines()
    assert told[0] == "[1/10] a.png, jpeg@q5: N s" and told[-1] == "[10/10] b.png, webp@q10: N s"
    again = run(*arguments, "--generations", 2)
    assert again.stdout == result.stdout and again.stderr.count("done earlier") == 10


def test_json_is_the_summary_and_failures_leave_with_1(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    result = run(photos, "--codec", "jpeg", "--bpp", "1,2.5", *QUICK, "-o", out, "--json")
    assert result.exit_code == 1
    record = json.loads(result.stdout)
    assert record == json.loads((out / "summary.json").read_text())
    assert record["settings"]["codecs"] == ["jpeg@1bpp", "jpeg@2.5bpp"] and record["left_out"] == ["broken.png"]
    ((failure),) = record["failures"]
    assert f"failed: broken.png: {failure['reason']}" in result.stderr.splitlines()


def test_several_files_may_be_named(photos: Path, tmp_path: Path) -> None:
    images = sorted(photos.iterdir())
    result = run(
        *images,
        "--codec",
        "jpeg@q5",
        "--published",
        "none",
        "--no-plots",
        "--no-memory",
        "-o",
        tmp_path / "out",
        "--json",
    )
    assert result.exit_code == 0 and json.loads(result.stdout)["images"] == 2


def test_wrong_requests_are_refused(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for kind, message, *arguments in (
        (UnknownName, "Did you mean 'jpeg'", "--codec", "jpg"),
        (UsageError, "rates with commas", "--codec", "jpeg", "--bpp", "0.1;0.2"),
        (UnknownName, "unknown published curve", "--codec", "jpeg", "--published", "v"),
    ):
        error = run(photos, *arguments, "-o", out).exception
        assert isinstance(error, kind) and message in str(error)
    assert run(photos, "-o", out).exit_code == 2  # no codec
    assert run(photos, "--codec", "jpeg", "--points", 1, "-o", out).exit_code == 2
    assert not out.exists()


def test_every_option_is_on_its_page() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    options = [max(one.opts, key=len) for one in build(COMMANDS["evaluate"]).params if one.opts[0].startswith("-")]
    short = {"--output": "-o", "--plots": "--no-plots", "--memory": "--no-memory"}
    assert [option for option in options if short.get(option, option) not in page] == []


def test_tolerances_without_what_they_apply_to_are_refused(tmp_path: Path) -> None:
    for option in ("--tolerance-bpp", "--tolerance-psnr", "--tolerance-ms-ssim"):
        result = run("photo.png", "--codec", "jpeg", option, 2, "-o", tmp_path / "out")
        assert isinstance(result.exception, UsageError) and "apply to --expect published only" in str(result.exception)
