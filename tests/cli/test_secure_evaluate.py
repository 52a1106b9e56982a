"""`secure evaluate` through the command line. Oracles: exit codes and streams of the documented contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from ramps import noisy_ramps
from self_destroying import honest, inverting
from typer.testing import CliRunner, Result

from miscomp.cli.secure_evaluate import evaluate
from miscomp.errors import UnknownName, UsageError
from miscomp.secure.codec import SecureCodec

QUICK = ("--no-text", "--no-plots", "--edit", "median")


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def opened(weights: Path | None = None, *, codec: str = "slic", quality: float | None = None) -> SecureCodec:
        return inverting() if codec == "slic" else honest()

    monkeypatch.setattr("miscomp.secure.codec.open_secure", opened)
    return noisy_ramps(tmp_path / "photos")


def test_it_prints_a_table_and_the_page_s_path_and_tells_progress(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (photos, *QUICK, "--base", "webp@q70", "-o", out)
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("inverting@q40, first compression, means over 2 image(s): 55.")
    assert lines[1].startswith("base honest@q70: ") and lines[-1] == f"page: {out}/evaluation.html"
    assert any(line.startswith("Median 5 x 5") for line in lines)
    assert [line.split(": ")[0] for line in result.stderr.splitlines()] == [
        "[1/2] a.png", "[2/2] b.png", "writing the report"
    ]  # fmt: skip
    again = run(*arguments)
    assert again.stdout == result.stdout and again.stderr.count("done earlier") == 2


def test_json_has_all_figures_and_failures_leave_with_1(photos: Path, tmp_path: Path) -> None:
    (photos / "b.png").write_bytes(b"nothing")
    out = tmp_path / "out"
    result = run(photos, *QUICK, "-o", out, "--json")
    assert result.exit_code == 1 and "failed: b.png: " in result.stderr
    record = json.loads(result.stdout)
    assert record == json.loads((out / "evaluation.json").read_text())
    assert record["images"] == 1 and record["first_compression"]["base"] is None
    assert [one["name"] for one in record["failures"]] == ["b.png"]


def test_wrong_requests_are_refused(photos: Path, tmp_path: Path) -> None:
    for kind, message, *arguments in (
        (UnknownName, "unknown edit 'blurr'", "--edit", "blurr"),
        (UsageError, "2 to 100 points", "--curve", "1"),
    ):
        result = run(photos, "--no-text", "--no-plots", *arguments, "-o", tmp_path / "out")
        assert isinstance(result.exception, kind) and message in str(result.exception)
    assert run(photos, "-o", tmp_path / "out", "--seed", "-1").exit_code == 2
    assert not (tmp_path / "out").exists()


def test_the_help_ends_with_an_example() -> None:
    words = " ".join(run("--help").stdout.split())
    assert "Example: miscomp secure evaluate photos -o evaluation" in words


def test_a_base_named_alone_is_at_the_codec_s_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    from miscomp.cli.secure_evaluate import _base
    from miscomp.secure.codec import open_secure

    asked: list[str] = []

    def opened(weights: Path | None = None, *, codec: str = "slic", quality: float | None = None) -> SecureCodec:
        asked.append(codec)
        return honest()

    slic = open_secure(quality=0.6)
    monkeypatch.setattr("miscomp.secure.codec.open_secure", opened)
    assert _base("none", slic) is None and asked == []
    _base(None, slic), _base("jpeg@q75", slic), _base("lucid", slic)
    assert asked == ["lucid@q0.6", "jpeg@q75", "lucid@q0.6"]
    assert _base(None, inverting()) is None and len(asked) == 3
