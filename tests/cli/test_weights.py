"""The verb `weights`. Oracles: what a server on the loopback has, and the table of published weights."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from file_server import Behaviour, Server
from typer.testing import CliRunner, Result

from miscomp.cli.weights_commands import app
from miscomp.codecs import checkpoints, weight_store
from miscomp.codecs.checkpoints import all_checkpoints, checkpoints_of
from miscomp.codecs.downloads import Limits
from miscomp.errors import UnknownName, UsageError

PROJECT = Path(__file__).parents[2]
METRICS = ["vgg16", "lpips-vgg", "dists"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MISCOMP_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("MISCOMP_WEIGHTS_URL", raising=False)
    return tmp_path / "weights"


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What stands for the files of `mbt2018`, whose published digits are made to fit, and of `stf`, which has none."""
    files = {one.filename: f"{one.name} ".encode() * 1000 for one in checkpoints_of("mbt2018")}
    files |= {one.filename: _saved(one.quality) for one in checkpoints_of("stf")}
    digits = tuple(hashlib.sha256(files[one.filename]).hexdigest()[:8] for one in checkpoints_of("mbt2018"))
    old = checkpoints._FAMILIES["mbt2018"]
    made = checkpoints._Family(
        files=old.files, root=old.root, source=old.source, licence=old.licence, digits=digits, notes=old.notes
    )
    monkeypatch.setitem(checkpoints._FAMILIES, "mbt2018", made)
    return files


def _saved(number: int) -> bytes:
    """Where no hash is published, what comes must at least be a checkpoint."""
    file = io.BytesIO()
    torch.save({"weight": torch.full((9,), float(number))}, file)
    return file.getvalue()


@pytest.fixture
def server(contents: dict[str, bytes]) -> Iterator[Server]:
    files = {f"/{name}": content for name, content in contents.items()}
    with Server(Behaviour(files=files)).running() as running:
        yield running


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def records(result: Result) -> list[dict[str, object]]:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


def refusal(*arguments: object) -> str:
    error = run(*arguments).exception
    assert isinstance(error, UsageError), error
    return str(error)


def test_a_name_fetches_all_its_qualities(server: Server, cache: Path, contents: dict[str, bytes]) -> None:
    result = run("fetch", "mbt2018", "mbt2018@q3", "--mirror", server.root)
    assert result.exit_code == 0, result.output
    paths = [Path(line) for line in result.stdout.splitlines()]
    assert paths == [cache / one.filename for one in checkpoints_of("mbt2018")]
    assert all(path.read_bytes() == contents[path.name] for path in paths)
    assert len(server.asked) == 8
    assert (
        f"mbt2018@q3: 0.0 MB; its SHA-256 {hashlib.sha256(contents[paths[2].name]).hexdigest()} begins" in result.stderr
    )


def test_the_mirror_may_be_in_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISCOMP_WEIGHTS_URL", server.root)
    assert run("fetch", "stf@q2").exit_code == 0
    assert [path for path, _ in server.asked] == ["/stf_0035.pth.tar"]


def test_one_that_fails_does_not_stop_the_others(server: Server, cache: Path) -> None:
    del server.behaviour.files["/mbt2018-1-3f36cd77.pth.tar"]
    result = run("fetch", "mbt2018@q1", "mbt2018@q2", "--mirror", server.root)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [str(cache / "mbt2018-2-43b70cdd.pth.tar")]
    assert "is not there (status 404)" in result.stderr
    assert "1 of 2 failed: mbt2018@q1" in result.stderr


def test_weights_without_a_published_hash_have_theirs_told_and_kept(server: Server, cache: Path) -> None:
    result = run("fetch", "stf@q1", "--mirror", server.root)
    digest = hashlib.sha256((cache / "stf_0018.pth.tar").read_bytes()).hexdigest()
    assert f"its SHA-256 {digest} is recorded; none is published" in result.stderr
    assert (cache / "stf_0018.pth.tar.sha256").read_text().startswith(digest)


def test_weights_to_bring_are_not_looked_for(cache: Path) -> None:
    result = run("fetch", "stf@q1")
    assert result.exit_code == 1
    assert "github.com/Googolxx/STF links to the files. Get it there and give it with --from" in result.stderr


def test_files_of_ones_own_are_taken_from_a_folder(tmp_path: Path, cache: Path, contents: dict[str, bytes]) -> None:
    usb = tmp_path / "usb"
    usb.mkdir()
    for name in ("stf_0067.pth.tar", "mbt2018-5-b4a046dd.pth.tar"):
        (usb / name).write_bytes(contents[name])
    result = run("fetch", "--all", "--from", usb)
    assert result.exit_code == 0, result.output
    assert sorted(Path(line).name for line in result.stdout.splitlines()) == sorted(path.name for path in usb.iterdir())
    assert f"{len(all_checkpoints()) - 2} files are left out: they are not in {usb}" in result.stderr
    again = run("fetch", "stf@q3", "--from", usb / "stf_0067.pth.tar")
    assert "stf@q3: was there, and is as it should be" in again.stderr
    wrong = run("fetch", "mbt2018@q6", "--from", usb / "stf_0067.pth.tar")
    assert wrong.exit_code == 1
    assert "these are not the published weights of mbt2018@q6" in wrong.stderr
    assert "mbt2018@file:" in wrong.stderr


def test_a_metrics_weights_are_taken_and_checked_like_a_codecs(tmp_path: Path, cache: Path) -> None:
    mine = tmp_path / "mine.pth"
    mine.write_bytes(b"of my own")
    result = run("fetch", "lpips-vgg", "--from", mine)
    assert result.exit_code == 1
    assert "these are not the published weights of lpips-vgg. Your own need no fetching: give the file" in result.stderr
    assert not cache.exists() or not any(cache.iterdir())


def test_requests_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    assert "or --all" in refusal("fetch")
    assert "or --all" in refusal("fetch", "stf", "--all")
    assert "is no folder, but 6 files are asked for" in refusal("fetch", "stf", "--from", tmp_path / "one.pt")
    assert "is no folder; with --all" in refusal("fetch", "--all", "--from", tmp_path / "one.pt")
    assert "one of stf@q1 to stf@q6" in refusal("fetch", "stf@q7")
    assert isinstance(run("fetch", "sft").exception, UnknownName)
    assert "no plain http or https address" in refusal("fetch", "stf@q1", "--mirror", "/folder")
    assert not (tmp_path / "weights").exists()


def test_all_leaves_out_what_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def fetch(checkpoint: checkpoints.Checkpoint, **options: object) -> Path:
        asked.append(checkpoint.name)
        return Path(__file__)

    monkeypatch.setattr(weight_store, "fetch", fetch)
    result = run("fetch", "--all")
    assert asked == [one.name for one in all_checkpoints() if one.url]
    assert "9 files are left out: bring your own" in result.stderr


def test_verify_fails_for_a_file_that_changed(server: Server, cache: Path) -> None:
    assert "no weights were fetched to" in run("verify").stderr
    run("fetch", "stf@q1", "mbt2018@q2", "mbt2018@q3", "--mirror", server.root)
    assert [one["verdict"] for one in records(run("verify", "--json"))] == ["ok", "ok", "as recorded"]
    assert run("verify").exit_code == 0
    (cache / "stf_0018.pth.tar").write_bytes(b"changed")
    (cache / "mbt2018-2-43b70cdd.pth.tar").unlink()
    result = run("verify", "--json")
    assert result.exit_code == 1
    assert [(one["name"], one["verdict"]) for one in records(result)] == [
        ("mbt2018@q2", "missing"),
        ("mbt2018@q3", "ok"),
        ("stf@q1", "wrong hash"),
    ]
    assert records(result)[2]["sha256"] == hashlib.sha256(b"changed").hexdigest()
    plain = run("verify")
    assert re.search(r"^wrong hash +stf@q1 +/.*stf_0018\.pth\.tar$", plain.stdout, re.MULTILINE)
    assert "2 of 3 are not as they should be" in plain.stderr


def test_list_says_what_is_here(server: Server, cache: Path) -> None:
    run("fetch", "mbt2018@q3", "--mirror", server.root)
    listed = records(run("list", "--json"))
    assert [one["name"] for one in listed] == [one.name for one in all_checkpoints()]
    (here,) = [one for one in listed if one["state"] == "cached"]
    assert (here["name"], here["path"]) == ("mbt2018@q3", str(cache / "mbt2018-3-22901978.pth.tar"))
    assert here["bytes"] == Path(str(here["path"])).stat().st_size
    assert sum(one["state"] == "bring your own" for one in listed) == 9
    assert [one["name"] for one in listed if one["codec"] is None and one["quality"] is None] == METRICS
    lines = run("list").stdout.splitlines()
    assert lines[0] == f"in {cache}"
    assert "mbt2018                       cached: q3; to be fetched: q1 q2 q4 q5 q6 q7 q8" in lines
    assert "hific                         bring your own: q1 q2 q3" in lines
    assert "vgg16                         to be fetched: vgg16-397923af.pth" in lines
    assert any(line.startswith("dists: trained by DISTS' authors") and "licence: MIT" in line for line in lines)
    assert any(line.startswith("cdc, cdc-mse: trained by CDC's authors") and "licence: none" in line for line in lines)


def test_nothing_of_it_needs_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from miscomp.cli.app import main\n"
        "try: main(['weights', 'list'])\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src"), "MISCOMP_WEIGHTS": str(tmp_path)},
    )
    assert done.stderr.strip() == "False"


def test_the_page_lists_every_codec_and_option() -> None:
    page = (PROJECT / "docs/weights.md").read_text(encoding="utf-8")
    for codec in checkpoints.CODECS_WITH_CHECKPOINTS:
        assert f"`{codec.removesuffix('-ms-ssim')}`" in page
    assert all(f"`{name}`" in page for name in METRICS)
    for word in ("--all", "--from", "--mirror", "--force", "--json", "MISCOMP_WEIGHTS", "MISCOMP_WEIGHTS_URL"):
        assert word in page
    for verdict in ("ok", "as recorded", "not recorded", "wrong hash", "missing", "unreadable"):
        assert f"| `{verdict}` |" in page
    assert f"{Limits().max_bytes // 2**30} GiB" in page


def test_what_is_no_checkpoint_is_not_kept_where_no_hash_is_published(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "page.html").write_bytes(b"<html>404 not found</html>")
    (tmp_path / "empty.pt").write_bytes(b"")
    for name in ("page.html", "empty.pt"):
        result = run("fetch", "hific@q2", "--from", tmp_path / name)
        assert result.exit_code == 1 and "what came are no weights and was not kept" in result.output
    assert not any(cache.glob("hific*"))
    files = {f"/{one.filename}": b"<html>404 not found</html>" for one in checkpoints_of("cdc")}
    with Server(Behaviour(files=files)).running() as running:
        result = run("fetch", "cdc@q2", "--mirror", running.root)
    assert result.exit_code == 1 and "what came are no weights and was not kept" in result.output
    assert not any(cache.glob("image-*"))
