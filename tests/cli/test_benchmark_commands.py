"""The verb `benchmark` through the command line. Oracles: exit codes and streams of the documented contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmark_sample import write_pairs
from typer.testing import CliRunner, Result

from miscomp.cli.app import COMMANDS, app
from miscomp.cli.lazy import build
from miscomp.errors import TableError, UnknownName, UsageError

DOCUMENT = Path(__file__).parents[2] / "docs" / "scores.md"
BOTH = ("--detector", "difference", "--detector", "random", "--no-plots", "--resamples", 20)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["benchmark", *map(str, arguments)])


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs")


def test_it_prints_a_table_and_the_page_s_path(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(pairs, *BOTH, "-o", out)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["detector", "AP"] and lines[1].startswith("difference  1.00 (1.00 to 1.00)")
    assert lines[2].startswith("random") and lines[-1] == f"page: {out}/benchmark.html"
    assert "3 labels, 0 hard negatives, 3 controls (0.0 MP), 6 pairs of 3 photographs" in result.stdout
    again = run(pairs, *BOTH, "-o", out)
    assert again.stdout == result.stdout and again.stderr.count("done earlier") == 6


def test_json_has_all_figures_and_failures_leave_with_1(pairs: Path, tmp_path: Path) -> None:
    (pairs / "originals" / "photo1.png").unlink()
    out = tmp_path / "out"
    result = run(pairs, *BOTH, "-o", out, "--json")
    assert result.exit_code == 1
    record = json.loads(result.stdout)
    assert record == json.loads((out / "benchmark.json").read_text())
    assert record["counts"]["pairs"] == 4 and len(record["failures"]) == 2
    assert result.stderr.count("failed: photo1.png: ") == 2


def test_wrong_requests_are_refused(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for kind, message, *arguments in (
        (UnknownName, "unknown detector 'ssmi'", pairs, "--detector", "ssmi"),
        (UsageError, "named twice", pairs, *BOTH, *BOTH),
        (TableError, "cannot be read as a table", tmp_path / "nowhere", *BOTH),
    ):
        error = run(*arguments, "-o", out).exception
        assert isinstance(error, kind) and message in str(error)
    assert run(pairs, "--resamples", -1, "-o", out).exit_code == 2
    assert run(pairs).exit_code == 2
    assert not out.exists()


def test_every_option_is_on_its_page() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    options = [max(one.opts, key=len) for one in build(COMMANDS["benchmark"]).params if one.opts[0].startswith("-")]
    short = {"--output": "-o", "--plots": "--no-plots", "--text": "--no-text"}
    assert [option for option in options if short.get(option, option) not in page] == []
