"""The verb `audit` through the command line. Oracles: exit codes and streams of the documented contract."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from miscomp.cli.app import app
from miscomp.disclose.reading import read_disclosure
from miscomp.errors import ImageError, InputError, MiscompError, UnknownName, UsageError
from miscomp.images import write_png
from miscomp.report.run import disclosed_file, read_json

ESCAPE = "\x1b[31mred\n.png"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments), "--jobs", "1", "--no-text"])


def refused(kind: type[MiscompError], *arguments: object) -> str:
    """The message of an error; the program's `main` turns it into an exit code."""
    error = run(*arguments).exception
    assert isinstance(error, kind), error
    return str(error)


def photo(path: Path, *, seed: int = 0, width: int = 64) -> None:
    path.parent.mkdir(exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 20, (48, width, 3))
    write_png(path, np.clip(128 + noise, 0, 255).astype(np.uint8))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a.png", "b.png")):
        photo(tmp_path / "photos" / name, seed=seed)
    return tmp_path / "photos"


def test_a_rate_that_was_not_reached_is_told_and_is_no_failure(photos: Path, tmp_path: Path) -> None:
    result = run(photos, "--codec", "jpeg@0.01bpp", "--codec", "webp@q5", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    told = [line for line in result.stderr.splitlines() if "not reached" in line]
    assert told == ["rate not reached: jpeg@0.01bpp on 2 of 2 images; the report says why"]
    reached = run(photos, "--codec", "jpeg@3bpp", "-o", tmp_path / "other")
    assert reached.exit_code == 0 and "not reached" not in reached.stderr


def test_an_audit_prints_a_table_and_the_report_s_path_and_tells_progress(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(photos, "--codec", "webp@q5", "--codec", "jpeg@like:webp", "-o", out)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("codec") and lines[-1] == f"report: {out}/report.html"
    assert [line.split()[:2] for line in lines[1:3]] == [["webp@q5", "2"], ["jpeg@like:webp", "2"]]
    told = re.sub(r"\d+\.\d s", "N s", result.stderr).splitlines()
    assert told == [
        "[1/4] a.png, webp@q5: N s",
        "[2/4] a.png, jpeg@like:webp: N s",
        "[3/4] b.png, webp@q5: N s",
        "[4/4] b.png, jpeg@like:webp: N s",
        "writing the report",
        "faces were not looked for: no face detector was given (--faces)",
    ]
    again = run(photos, "--codec", "webp@q5", "--codec", "jpeg@like:webp", "-o", out)
    assert again.stdout == result.stdout and again.stderr.count("done earlier") == 4


def test_json_is_one_object_and_failures_leave_with_1(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    result = run(photos, "--codec", "jpeg@q5", "-o", out, "--json")
    assert result.exit_code == 1
    record = json.loads(result.stdout)
    findings = sum(len(pair.findings) for pair in read_json(out / "report.json").results)
    assert {key: record[key] for key in ("report", "images", "pairs", "findings", "unmatched")} == {
        "report": f"{out}/report.html", "images": 2, "pairs": 2, "findings": findings, "unmatched": []
    }  # fmt: skip
    ((failure),) = record["failures"]
    assert failure["name"] == "broken.png" and "is not an image" in failure["reason"]
    assert f"failed: broken.png: {failure['reason']}" in result.stderr.splitlines()


def test_reconstructions_are_matched_and_files_without_partner_are_no_failure(photos: Path, tmp_path: Path) -> None:
    photo(tmp_path / "made" / "a.png", seed=5)
    photo(tmp_path / "made" / "stray.png")
    result = run(photos, tmp_path / "made", "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["unmatched"] == ["photos/b.png", "made/stray.png"]
    assert "no partner: made/stray.png" in result.stderr
    (pair,) = read_json(tmp_path / "out" / "report.json").results
    assert (pair.row.filename, pair.row.model) == ("a.png", "given")


def test_two_files_of_different_size_are_a_failure_that_names_both_sizes(photos: Path, tmp_path: Path) -> None:
    photo(tmp_path / "other.png", width=63)
    result = run(photos / "a.png", tmp_path / "other.png", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "failed: a.png: given: the original has 64 x 48 pixels" in result.stderr and "63 x 48" in result.stderr
    assert "0 reconstruction(s)" in result.stdout and (tmp_path / "out" / "report.html").exists()


def test_wrong_requests_are_refused_before_anything_is_written(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "Did you mean 'jpeg'" in refused(UnknownName, photos, "--codec", "jpg@q5", "-o", out)
    assert "does not exist" in refused(ImageError, tmp_path / "none", "--codec", "jpeg@q5", "-o", out)
    photo(tmp_path / "made" / "c.png")
    assert "none of 2 originals" in refused(UsageError, photos, tmp_path / "made", "-o", out)
    assert run(photos, "--codec", "jpeg@q5").exit_code == 2  # no -o
    assert not out.exists()
    assert run(photos, "--codec", "jpeg@q5", "-o", out).exit_code == 0
    assert "--force" in refused(UsageError, photos, "--codec", "jpeg@q6", "-o", out)
    assert run(photos, "--codec", "jpeg@q6", "-o", out, "--force").exit_code == 0


def test_a_limit_on_megapixels_is_kept(photos: Path, tmp_path: Path) -> None:
    result = run(photos, "--codec", "jpeg@q5", "--max-megapixels", 0.003, "-o", tmp_path / "out")
    assert result.exit_code == 1 and result.stderr.count("failed: a.png:") == 1


def test_names_cannot_write_to_the_terminal(photos: Path, tmp_path: Path) -> None:
    photo(photos / ESCAPE)
    (photos / ("broken" + ESCAPE)).write_bytes(b"no picture")
    result = run(photos, "--codec", "jpeg@q5", "-o", tmp_path / "out")
    assert "\x1b" not in result.output and "⟨U+001B⟩[31mred⟨U+000A⟩.png, jpeg@q5" in result.stderr
    assert any(line.startswith("failed: broken⟨U+001B⟩") for line in result.stderr.splitlines())


def test_a_terminal_gets_a_bar_and_stdout_stays_data(photos: Path, tmp_path: Path) -> None:
    (photos / "[bold]odd[red].png").write_bytes(b"no picture")
    main, child = pty.openpty()
    command = [sys.executable, "-m", "miscomp", "audit", str(photos), "--codec", "jpeg@q5", "--no-text", "--jobs", "1"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [*command, "-o", str(tmp_path / "out"), "--json"], stdout=subprocess.PIPE, stderr=child, env=environment
    ) as process:
        os.close(child)
        told = b""
        with suppress(OSError):  # the end of a terminal without its other side
            while block := os.read(main, 4096):
                told += block
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["pairs"] == 2
    os.close(main)
    assert process.returncode == 1
    assert "3/3" in told.decode() and "[1/3] [bold]odd[red].png: failed: is not an image" in told.decode()


def test_disclosed_copies_have_the_same_pixels_and_the_report_links_them(photos: Path, tmp_path: Path) -> None:
    plain, told = tmp_path / "plain", tmp_path / "told"
    assert run(photos, "--codec", "jpeg@q20", "-o", plain).exit_code == 0
    assert not (plain / "disclosed").exists()
    assert run(photos, "--codec", "jpeg@q20", "-o", told, "--disclose").exit_code == 0
    found = read_json(told / "report.json")
    assert found == read_json(plain / "report.json")  # what an audit finds does not depend on it
    copies = sorted((told / "disclosed").iterdir())
    assert len(copies) == len(found.results) == 2
    for result in found.results:
        copy = told / disclosed_file(result)
        reading = read_disclosure(copy)
        assert reading.confirmed and reading.statement is not None
        assert reading.statement.findings == len(result.findings)
        assert (told / "report.html").read_text().count(f"disclosed/{copy.name}") == 1
    before = [copy.read_bytes() for copy in copies]
    assert run(photos, "--codec", "jpeg@q20", "-o", told, "--disclose").exit_code == 0  # goes on
    assert [copy.read_bytes() for copy in copies] == before
    assert run(photos, "--codec", "jpeg@q20", "-o", told, "--force").exit_code == 0
    assert not (told / "disclosed").exists()


def test_a_copy_that_cannot_be_made_is_told_and_the_report_is_whole(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "told"
    assert run(photos, "--codec", "jpeg@q20", "-o", folder).exit_code == 0
    (folder / "report.html").unlink()
    first, _ = (disclosed_file(result) for result in read_json(folder / "report.json").results)
    (folder / first).mkdir(parents=True)  # nothing can be written there
    message = refused(InputError, photos, "--codec", "jpeg@q20", "-o", folder, "--disclose")
    assert "a.png by jpeg@q20" in message and "b.png" not in message
    assert (folder / "report.html").is_file()
    assert len([path for path in (folder / "disclosed").iterdir() if path.is_file()]) == 1
