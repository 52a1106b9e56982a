"""`miscomp disclose`: a statement goes into a copy and comes back; what disagrees, was changed or copied is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_sample import MODELS, make_sample
from typer.testing import CliRunner, Result

from miscomp.cli.app import app
from miscomp.errors import MiscompError, UnknownName, UsageError
from miscomp.images import read, write_png
from miscomp.report.run import write_json

pytest.importorskip("c2pa", reason="c2pa-python is not installed")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["disclose", *map(str, arguments)])


def refused(kind: type[MiscompError], *arguments: object) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def record(*arguments: object) -> dict[str, Any]:
    return dict(json.loads(run(*arguments, "--json").stdout))


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    write_json(make_sample(folder, ("a.png",)), folder / "report.json")
    return folder


@pytest.fixture
def picture(audit: Path, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "coded.png"
    path.write_bytes(next((audit / "pairs").glob("*/reconstruction.png"), next(audit.rglob("*.png"))).read_bytes())
    yield path


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    assert run("keygen", tmp_path / "keys").exit_code == 0
    return tmp_path / "keys"


def reconstruction(audit: Path) -> Path:
    from miscomp.report.run import read_json

    result = next(one for one in read_json(audit / "report.json").results if one.findings)
    return audit / result.reconstruction_file


def test_what_an_audit_found_goes_into_a_copy_and_comes_back(audit: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    done = run("write", reconstruction(audit), "--from", audit, "-o", target)
    assert done.exit_code == 0, done.output
    assert np.array_equal(read(target).pixels, read(reconstruction(audit)).pixels)
    found = record("read", target)
    assert set(found["statements"]) == {"xmp", "exif"}
    assert found["statements"]["xmp"]["findings"] > 0
    shown = run("read", target)
    assert "candidate" in shown.stdout and "Absent is not clean" in shown.stdout
    assert "removed" in shown.stdout  # that stripping cannot be seen
    assert run("verify", target).exit_code == 0
    assert "Kandidaten" in run("read", target, "--language", "de").stdout


def test_a_signed_copy_is_trusted_by_those_who_trust_the_root_alone(audit: Path, keys: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    signing = ("--chain", keys / "chain.pem", "--key", keys / "key.pem")
    assert run("write", reconstruction(audit), "--from", audit, "-o", target, *signing).exit_code == 0
    assert run("verify", target).exit_code == 0
    assert "Valid is not authentic" in run("verify", target).stdout
    assert run("verify", target, "--trust", keys / "root.pem").exit_code == 0
    assert run("keygen", tmp_path / "other").exit_code == 0
    assert run("verify", target, "--trust", tmp_path / "other" / "root.pem").exit_code == 1


def test_a_signed_copy_is_not_broken_unless_asked(audit: Path, keys: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    signing = ("--chain", keys / "chain.pem", "--key", keys / "key.pem")
    run("write", reconstruction(audit), "--from", audit, "-o", first, *signing)
    stopped = run("write", first, "--codec", "lucid", "-o", second)
    assert stopped.exit_code == 1 and "signed manifest" in stopped.stderr and not second.exists()
    assert run("write", first, "--codec", "lucid", "-o", second, "--break-manifest").exit_code == 0
    checked = run("verify", second)
    assert checked.exit_code == 1
    assert "does not hold" in checked.stdout and "disagreement: xmp and c2pa differ" in checked.stdout
    assert run("write", first, "--codec", "lucid", "-o", tmp_path / "third.png", *signing).exit_code == 0
    assert run("verify", tmp_path / "third.png", "--trust", keys / "root.pem").exit_code == 0


def test_a_statement_that_was_copied_to_other_pixels_does_not_fit(audit: Path, tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    first = tmp_path / "first.png"
    run("write", reconstruction(audit), "--from", audit, "-o", first)
    with Image.open(first) as image:
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", image.info["xmp"].decode())
        other = Image.fromarray(255 - np.asarray(image.convert("RGB")))
        other.save(tmp_path / "copied.png", pnginfo=info)
    checked = run("verify", tmp_path / "copied.png")
    assert checked.exit_code == 1 and "not those" in checked.stdout
    marked = run("mark", tmp_path / "copied.png", "-o", tmp_path / "marked.png")
    assert marked.exit_code == 1 and not (tmp_path / "marked.png").exists()


def test_a_picture_that_says_nothing_is_read_and_fails_to_verify(tmp_path: Path) -> None:
    write_png(tmp_path / "plain.png", np.zeros((16, 16, 3), np.uint8))
    shown = run("read", tmp_path / "plain.png")
    assert shown.exit_code == 0 and "Absent is not clean" in shown.stdout
    assert run("verify", tmp_path / "plain.png").exit_code == 1


def test_a_picture_that_was_saved_again_needs_to_be_said_so(audit: Path, tmp_path: Path) -> None:
    path, target = tmp_path / "again.jpg", tmp_path / "out.jpg"
    Image.open(reconstruction(audit)).convert("RGB").save(path, quality=90)
    stopped = run("write", path, "--from", audit, "-o", target)
    assert stopped.exit_code == 1 and "--resaved" in stopped.stderr
    chosen = ("--image", "a.png", "--model", MODELS[0], "--resaved")
    assert run("write", path, "--from", audit, "-o", target, *chosen).exit_code == 0
    assert run("verify", target).exit_code == 0
    assert "saved again" in record("read", target)["statements"]["xmp"]["note"]


def test_marks_are_drawn_on_a_copy_that_says_the_same(audit: Path, tmp_path: Path) -> None:
    first, target = tmp_path / "first.png", tmp_path / "marked.png"
    run("write", reconstruction(audit), "--from", audit, "-o", first)
    before = first.read_bytes()
    assert run("mark", first, "-o", target, "--style", "strip").exit_code == 0
    assert first.read_bytes() == before
    height, width = read(first).pixels.shape[:2]
    assert read(target).pixels.shape[0] > height
    assert np.array_equal(read(target).pixels[:height, :width], read(first).pixels)
    assert run("verify", target).exit_code == 0
    assert "mark was drawn" in record("read", target)["statements"]["xmp"]["note"]


def test_several_files_keep_their_names_and_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.webp"):
        Image.fromarray(np.full((16, 16, 3), 99, np.uint8)).save(folder / name)
    (folder / "c.jpg").write_bytes(b"\xff\xd8\xff nonsense")
    done = run("write", folder, "--codec", "hific", "-o", tmp_path / "out")
    assert done.exit_code == 1 and "c.jpg" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.webp"]
    found = record("read", tmp_path / "out" / "b.webp")
    assert found["digital_source_type"].endswith("compositeWithTrainedAlgorithmicMedia")
    assert not found["statements"]["xmp"]["compared"]


def test_the_trust_record_is_in_public_words_and_claims_no_conformance(audit: Path, keys: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    signing = ("--chain", keys / "chain.pem", "--key", keys / "key.pem")
    run("write", reconstruction(audit), "--from", audit, "-o", target, *signing)
    assert run("read", target, "--trust-record", tmp_path / "trust.json").exit_code == 0
    found = json.loads((tmp_path / "trust.json").read_text())
    assert set(found) >= {"@context", "asset_info", "declaration", "manifests"}
    assert len(found["manifests"]) == 1
    assert "No conformance" in found["extras:conformance"]


def test_wrong_requests_are_refused_before_anything_is_written(picture: Path, audit: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert "--from" in refused(UsageError, "write", picture, "-o", out)
    assert "one of them" in refused(
        UsageError, "write", picture, "--codec", "lucid", "-o", out, "--chain", picture
    )  # a chain without a key
    assert "--chain" in refused(UsageError, "write", picture, "--codec", "lucid", "-o", out, "--key", picture)
    assert "ISO-8601" in refused(UsageError, "write", picture, "--codec", "lucid", "-o", out, "--stated", "today")
    assert "ISO-8601" in refused(
        UsageError, "write", picture, "--codec", "lucid", "-o", out, "--stated", "2026-13-41T09:30:00Z"
    )
    assert "--kind" in refused(UsageError, "write", picture, "--codec", "mine", "--kind", "magic", "-o", out)
    assert "another format" in refused(UsageError, "write", picture, "--codec", "lucid", "-o", tmp_path / "out.jpg")
    unknown = run("write", picture, "--codec", "lucit", "-o", out)
    assert unknown.exit_code == 1 or isinstance(unknown.exception, UnknownName)
    assert not out.exists()


def test_the_same_statement_gives_the_same_bytes(audit: Path, tmp_path: Path) -> None:
    when = ("--stated", "2026-11-22T09:30:00Z")
    for name in ("one.png", "two.png"):
        run("write", reconstruction(audit), "--from", audit, "-o", tmp_path / name, *when)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_no_file_that_is_there_is_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "a.jpg"):  # both keep their names
        Image.fromarray(np.full((16, 16, 3), 99, np.uint8)).save(folder / name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "is an input" in refused(UsageError, "write", folder, "--codec", "hific", "-o", folder)
    assert "is an input" in refused(UsageError, "write", folder, "--codec", "hific", "-o", folder, "--force")
    out = tmp_path / "out"
    assert run("write", folder, "--codec", "hific", "-o", out).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.jpg", "a.png"]
    assert "--force" in refused(UsageError, "write", folder, "--codec", "lucid", "-o", out)
    told = out / "a.png"
    written = told.read_bytes()
    assert "is an input" in refused(UsageError, "read", told, "--trust-record", told, "--force")
    assert "--force" in refused(UsageError, "read", told, "--trust-record", folder / "a.jpg")
    assert told.read_bytes() == written
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_only_one_picture_can_be_said_to_be_saved_again(audit: Path, tmp_path: Path) -> None:
    path = reconstruction(audit)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(path.read_bytes())
    chosen = ("--image", "a.png", "--model", MODELS[0], "--resaved")
    files = (tmp_path / "a.png", tmp_path / "b.png")
    assert "one picture" in refused(UsageError, "write", *files, "--from", audit, "-o", tmp_path / "out", *chosen)


def test_without_the_c2pa_library_all_but_signatures_works(
    audit: Path, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed, plain = tmp_path / "signed.png", tmp_path / "plain.png"
    signing = ("--chain", keys / "chain.pem", "--key", keys / "key.pem")
    run("write", reconstruction(audit), "--from", audit, "-o", signed, *signing)
    monkeypatch.setitem(sys.modules, "c2pa", None)  # as if it were not installed
    assert run("write", reconstruction(audit), "--from", audit, "-o", plain).exit_code == 0
    assert run("verify", plain).exit_code == 0
    assert run("mark", plain, "-o", tmp_path / "marked.png").exit_code == 0
    checked = run("verify", signed)
    assert checked.exit_code == 1 and "not validated" in checked.stdout
    stopped = run("write", plain, "--codec", "lucid", "-o", tmp_path / "no.png", *signing)
    assert stopped.exit_code == 1 and "miscomp[c2pa]" in stopped.stderr


def test_the_manifest_of_an_original_is_not_taken_along(audit: Path, keys: Path, tmp_path: Path) -> None:
    signing = ("--chain", keys / "chain.pem", "--key", keys / "key.pem")
    original, out = tmp_path / "secret.png", tmp_path / "out.png"
    run("write", reconstruction(audit), "--from", audit, "-o", original, *signing, "--note", "do not give away")
    told = ("--codec", "lucid", "--original", original)
    done = run("write", reconstruction(audit), "-o", out, *told, *signing)
    assert done.exit_code == 0 and "not taken along" in done.stderr
    assert b"do not give away" not in out.read_bytes()
    assert record("read", out)["c2pa"]["ingredients"] == ["secret.png"]
