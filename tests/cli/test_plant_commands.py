"""The verb `plant` through the command line. Oracles: exit codes and streams of the documented contract."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from planted import lawn
from typer.testing import CliRunner, Result

from miscomp.cli.app import COMMANDS, app
from miscomp.cli.lazy import build
from miscomp.errors import UnknownName, UsageError
from miscomp.images import write_png
from miscomp.pairset import read_pair_set
from miscomp.plant.catalog import KINDS

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmark.md"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["plant", *map(str, arguments)])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate(("a.png", "b.png")):
        write_png(tmp_path / "photos" / name, lawn(192, 256, seed=seed, contrast=30))
    return tmp_path / "photos"


def test_it_prints_counts_and_tells_progress_and_goes_on(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plant' is not installed")
    out = tmp_path / "out"
    arguments = (photos, "--codec", "jpeg@1.5bpp", "--seed", 4, "--natural", 0, "--no-controls", "--jobs", 1, "-o", out)
    result = run(*arguments, "--kinds", "signal,text-erased,texture", "--strengths", "0.5,1")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    labels = sum(len(pair.labels) for pair in read_pair_set(out).pairs)
    assert lines[0] == "photographs: 2" and lines[-1] == f"sheets: {out}/sheets"
    assert labels and lines[2].startswith(f"labels: {labels} (")
    told = re.sub(r"\d+\.\d s", "N s", result.stderr).splitlines()
    assert told[:2] == ["[1/2] a.png: N s", "[2/2] b.png: N s"]
    again = run(*arguments, "--kinds", "signal,text-erased,texture", "--strengths", "0.5,1")
    assert again.stdout == result.stdout and again.stderr.count("done earlier") == 2
    refused = run(*arguments, "--kinds", "signal", "--strengths", "0.5,1").exception
    assert isinstance(refused, UsageError) and "kinds" in str(refused)


def test_json_is_the_summary_and_failures_leave_with_1(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    options = ("--kinds", "texture", "--natural", 0, "--no-controls", "--jobs", 1, "--json")
    result = run(photos, "--codec", "jpeg@1.5bpp", *options, "-o", out)
    assert result.exit_code == 1
    record = json.loads(result.stdout)
    assert record == json.loads((out / "summary.json").read_text()) and record["settings"]["kinds"] == ["texture"]
    (failure,) = record["failures"]
    assert f"failed: broken.png: {failure['reason']}" in result.stderr.splitlines()


def test_the_list_has_every_kind_and_needs_nothing_else() -> None:
    result = run("--list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(KINDS.names)
    assert lines[0].split()[1:3] == ["SHAPE", "symbol"] and lines[-1].split()[1] == "negative"


def test_wrong_requests_are_refused(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for kind, message, *arguments in (
        (UnknownName, "Did you mean 'character'", photos, "--kinds", "charakter"),
        (UsageError, "with commas between them", photos, "--strengths", "1;2"),
        (UsageError, "strength lies above 0", photos, "--strengths", "2"),
        (UsageError, "no photographs"),
        (UsageError, "asked for twice", photos, "--codec", "jpeg@q5", "--codec", "jpeg@q5"),
    ):
        error = run(*arguments, "-o", out).exception
        assert isinstance(error, kind) and message in str(error)
    assert run(photos).exit_code == 2  # no folder
    assert run(photos, "--seed", -1, "-o", out).exit_code == 2
    assert not out.exists()


def test_every_option_and_kind_is_on_its_page() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    options = [max(one.opts, key=len) for one in build(COMMANDS["plant"]).params if one.opts[0].startswith("-")]
    short = {"--output": "-o", "--controls": "--no-controls"}
    assert [option for option in options if short.get(option, option) not in page] == []
    assert [row.name for row in KINDS if f"`{row.name}`" not in page] == []
