from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from marked_codec import marked, noise
from PIL import Image
from typer.testing import CliRunner, Result

from miscomp.cli import secure_compress, secure_verify
from miscomp.errors import UsageError
from miscomp.images import Pixels, read, write_png
from miscomp.secure import calibrate as calibrating
from miscomp.secure import codec as secure_codec
from miscomp.secure import samples
from miscomp.secure.calibration import Calibration, Thresholds, read_calibration, write_calibration
from miscomp.secure.codec import SecureCodec

app = typer.Typer()
app.command()(secure_compress.compress)
app.command()(secure_verify.verify)
app.command()(secure_verify.locate)
app.command()(secure_verify.calibrate)

LINES = Thresholds(survives_below=-2, destroyed_above=-1, least_share=0.02, least_region=4, reach=8)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refusal(*arguments: object) -> str:
    """The message of a usage error; whoever owns the program turns it into exit code 2."""
    error = run(*arguments).exception
    assert isinstance(error, UsageError), error
    return str(error)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines" / "lines.json"
    path.parent.mkdir()
    one = Calibration(codec="marked@q0.65", quality=0.65, weights_sha256="", thresholds=LINES)
    write_calibration(path, one)
    return path


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> SecureCodec:
    secure = marked()
    monkeypatch.setattr(secure_codec, "open_secure", lambda *args, **kwargs: secure)
    return secure


def save(path: Path, pixels: Pixels) -> Path:
    write_png(path, pixels)
    return path


def forged(codec: SecureCodec) -> tuple[Pixels, Pixels]:
    pixels, truth = codec.again(noise(128, 160)), np.zeros((128, 160, 3), np.uint8)
    pixels[32:96, 48:112], truth[32:96, 48:112] = noise(64, 64, 7), 255
    return pixels, truth


def test_each_file_is_a_line_and_what_it_means_is_told_beside(
    stand_in: SecureCodec, lines: Path, tmp_path: Path
) -> None:
    coded, plain = save(tmp_path / "coded.png", stand_in.again(noise(64, 96))), save(tmp_path / "x.png", noise(64, 96))
    result = run("verify", coded, plain, "--calibration", lines)
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{coded}: carries; 100.0% of 24 blocks destroyed; re-compression at ")
    assert second.startswith(f"{plain}: absent; 0.0% of 24 blocks destroyed; ")
    assert "anyone can encode a forged picture" in result.stderr and "washed out" in result.stderr


def test_json_has_every_number(stand_in: SecureCodec, lines: Path, tmp_path: Path) -> None:
    coded = save(tmp_path / "coded.png", stand_in.again(noise(64, 96)))
    (line,) = run("verify", coded, "--calibration", lines, "--json").stdout.splitlines()
    record = json.loads(line)
    assert record["input"] == str(coded) and record["answer"] == "carries" and record["codec"] == "marked@q0.65"
    assert record["destroyed"] == record["blocks"] == 24 and record["destroyed_share"] == 1
    assert record["intact"] is None and "line" not in record


def test_files_that_cannot_be_judged_are_listed_and_the_rest_goes_on(
    stand_in: SecureCodec, lines: Path, tmp_path: Path
) -> None:
    text = tmp_path / "note.txt"
    text.write_text("no picture")
    dot = save(tmp_path / "dot.png", noise(1, 1))
    result = run("verify", text, tmp_path / "none.png", dot, "--calibration", lines, "--json")
    assert result.exit_code == 1
    first, second, third = map(json.loads, result.stdout.splitlines())
    assert "note.txt" in first["error"] and "none.png: no such file" in second["error"]
    assert third["answer"] == "undecided"
    assert "2 of 3 failed" in result.stderr


def test_thresholds_of_other_weights_are_told(stand_in: SecureCodec, lines: Path, tmp_path: Path) -> None:
    other = Calibration(codec="slic@q0.65", quality=0.65, weights_sha256="cd", thresholds=LINES)
    write_calibration(lines, other)
    coded = save(tmp_path / "coded.png", stand_in.again(noise(64, 96)))
    result = run("verify", coded, "--calibration", lines)
    assert result.exit_code == 0 and "thresholds were measured for other weights" in result.stderr


def test_a_part_is_located_with_files_and_iou(stand_in: SecureCodec, lines: Path, tmp_path: Path) -> None:
    pixels, truth = forged(stand_in)
    found, mask = save(tmp_path / "found.png", pixels), save(tmp_path / "mask.png", truth)
    result = run("locate", found, "-o", tmp_path / "out", "--truth", mask, "--calibration", lines, "--json")
    record = json.loads(result.stdout)
    assert result.exit_code == 0 and record["answer"] == "partly"
    assert record["iou"] > 0.8
    (place,) = record["places"]
    assert abs(place["x"] - 48) <= 4 and abs(place["w"] - 64) <= 8
    drawn = read(Path(record["mask"])).pixels
    assert float((drawn > 127).mean()) == pytest.approx(record["mask_share"])
    assert read(Path(record["overlay"])).pixels.shape == pixels.shape
    again = refusal("locate", found, "-o", tmp_path / "out", "--calibration", lines)
    assert "found-mask.png exists" in again and "--force" in again
    assert run("locate", found, "-o", tmp_path / "out", "--calibration", lines, "--force").exit_code == 0


def test_where_nothing_is_coded_nothing_is_located(stand_in: SecureCodec, lines: Path, tmp_path: Path) -> None:
    plain = save(tmp_path / "x.png", noise(64, 96))
    result = run("locate", plain, "-o", tmp_path / "out", "--calibration", lines)
    assert "absent; nothing can be located: it does not carry the codec's perturbation" in result.stdout
    assert not read(tmp_path / "out" / "x-mask.png").pixels.any()


def test_locate_says_what_follows_and_what_was_changed_on_reading(
    stand_in: SecureCodec, lines: Path, tmp_path: Path
) -> None:
    found, alpha = tmp_path / "found.png", np.full((128, 160, 1), 255, np.uint8)
    alpha[:16, :16] = 128
    Image.fromarray(np.dstack([forged(stand_in)[0], alpha])).save(found)
    result = run("locate", found, "-o", tmp_path / "out", "--calibration", lines, "--json")
    assert "alpha was composited on white" in json.loads(result.stdout)["notes"]
    assert "is what the coded part was put into" in result.stderr
    assert "alpha was composited on white" in result.stderr


def test_calibrate_does_not_write_over_what_it_reads(stand_in: SecureCodec, tmp_path: Path) -> None:
    photo = save(tmp_path / "photo.png", noise(64, 64))
    before = photo.read_bytes()
    assert "is an input" in refusal("calibrate", photo, "-o", photo, "--force")
    assert "is an input" in refusal("calibrate", tmp_path, "--test", photo, "-o", photo, "--force")
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"w")
    assert "is an input" in refusal("calibrate", photo, "-o", weights, "--weights", weights, "--force")
    assert photo.read_bytes() == before


def test_a_truth_of_another_size_or_for_several_pictures_is_refused(
    stand_in: SecureCodec, lines: Path, tmp_path: Path
) -> None:
    found, mask = save(tmp_path / "found.png", forged(stand_in)[0]), save(tmp_path / "mask.png", noise(64, 64))
    result = run("locate", found, "-o", tmp_path / "out", "--truth", mask, "--calibration", lines)
    assert result.exit_code == 1 and "has 64 x 64 pixels, the picture 160 x 128" in result.stderr
    assert "there are 2" in refusal("locate", found, mask, "-o", tmp_path / "out", "--truth", mask)


def test_a_picture_that_the_codec_destroys_at_once_is_refused(stand_in: SecureCodec, tmp_path: Path) -> None:
    plain, half = noise(96, 128), noise(96, 128)
    half[32:64, 64:128] = stand_in.again(plain)[32:64, 64:128]
    good, bad = save(tmp_path / "good.png", plain), save(tmp_path / "bad.png", half)
    result = run("compress", good, bad, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 1
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["damaged"] == [] and first["psnr_db"] > 40
    assert "64 x 32 pixels at 64, 32 come back at" in second["error"] and "--allow-damage" in second["error"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.misc"]
    result = run("compress", bad, "-o", tmp_path / "bad.misc", "--allow-damage", "--json")
    assert result.exit_code == 0 and (tmp_path / "bad.misc").is_file()
    (damage,) = json.loads(result.stdout)["damaged"]
    assert (damage["x"], damage["y"], damage["w"], damage["h"]) == (64, 32, 64, 32) and damage["psnr_db"] < 6


def test_compress_keeps_what_exists_and_names_the_codec(stand_in: SecureCodec, tmp_path: Path) -> None:
    photo, target = save(tmp_path / "x.png", noise(64, 64)), tmp_path / "x.misc"
    target.write_bytes(b"kept")
    assert "exists" in refusal("compress", photo, "-o", target)
    assert target.read_bytes() == b"kept"
    assert "would hold slic" in refusal("compress", photo, "-o", tmp_path / "x.jpg")


def test_a_stream_of_the_shipped_weights_is_intact_or_damaged(lines: Path, tmp_path: Path) -> None:
    """With the codec itself; its streams carry a checksum over the whole file."""
    y, x = np.mgrid[:96, :96]
    photo = save(tmp_path / "x.png", np.stack([x + y, 200 - x, 60 + y], 2).astype(np.uint8))
    stream = tmp_path / "x.misc"
    assert run("compress", photo, "-o", stream, "--allow-damage").exit_code == 0
    (line,) = run("verify", stream, "--calibration", lines, "--json").stdout.splitlines()
    assert json.loads(line)["intact"] is True
    damaged = bytearray(stream.read_bytes())
    damaged[60] ^= 4
    stream.write_bytes(damaged)
    result = run("verify", stream, "--calibration", lines, "--json")
    assert result.exit_code == 1
    record = json.loads(result.stdout)
    assert record["intact"] is False and "x.misc" in record["error"]
    assert "not judged; a damaged stream" in run("verify", stream, "--calibration", lines).stdout


def test_calibrate_writes_what_verify_reads(
    stand_in: SecureCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "OTHERS", ())
    monkeypatch.setattr(samples, "EDIT_NAMES", ("crop",))
    monkeypatch.setattr(calibrating, "REACHES", (0, 8))
    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(4):
        Image.fromarray(noise(280, 280, n)).save(photos / f"{n}.png")
    target = tmp_path / "new" / "lines.json"
    result = run("calibrate", photos, "-o", target)
    assert result.exit_code == 0 and result.stdout == f"{target}\n"
    assert "uncoded, taken for coded: 0.00% [0.00%, " in result.stderr
    assert read_calibration(target).rates["measured_on"]["photographs"] == 2
    assert "exists" in refusal("calibrate", photos, "-o", target)
    coded = save(tmp_path / "coded.png", stand_in.again(noise(64, 96)))
    assert "carries" in run("verify", coded, "--calibration", target).stdout
