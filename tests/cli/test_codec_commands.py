from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from tiny_published import tiny_network
from typer.testing import CliRunner, Result

from miscomp import images
from miscomp.cli import codec_commands, codec_list
from miscomp.codecs import catalog, container, spec
from miscomp.codecs.catalog import CODECS, detect_codec
from miscomp.codecs.quality_map import FloatArray
from miscomp.errors import UsageError
from miscomp.images import Pixels

app = typer.Typer()
app.command()(codec_commands.compress)
app.command()(codec_commands.decompress)
app.command()(codec_list.codecs)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def records(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def refusal(*arguments: object) -> str:
    """The message of a usage error; whoever owns the program turns it into exit code 2."""
    error = run(*arguments).exception
    assert isinstance(error, UsageError), error
    return str(error)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "photo.png"
    path.parent.mkdir()
    y, x = np.mgrid[:48, :64]
    noise = np.random.default_rng(0).normal(0, 5, (48, 64, 3))
    images.write_png(path, np.clip(2 * x[..., None] + y[..., None] + noise, 0, 255).astype(np.uint8))
    return path


@pytest.mark.parametrize("name", [row.name for row in CODECS if row.build.startswith("miscomp.codecs.classical:")])
def test_an_image_goes_to_a_file_and_back_by_content(name: str, photo: Path, tmp_path: Path) -> None:
    row = CODECS[name]
    coded = tmp_path / "coded.bin"
    result = run("compress", photo, "--codec", name, "--quality", row.qualities.default, "-o", coded)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert detect_codec(coded.read_bytes()) == name
    result = run("decompress", coded, "-o", tmp_path / "back.png", "--json")
    assert result.exit_code == 0, result.output
    assert records(result) == [
        {"input": str(coded), "output": str(tmp_path / "back.png"), "codec": name, "width": 64, "height": 48}
    ]
    difference = images.read(tmp_path / "back.png").pixels.astype(int) - images.read(photo).pixels
    assert np.abs(difference).mean() < 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.png", "coded.bin", "in"]


def test_a_rate_is_reported_as_reached(photo: Path, tmp_path: Path) -> None:
    coded = tmp_path / "photo.webp"
    result = run("compress", photo, "--codec", "webp", "--bpp", 2, "-o", coded, "--json")
    (record,) = records(result)
    assert record["bpp"] == 8 * coded.stat().st_size / (64 * 48)
    assert record["bytes"] == coded.stat().st_size
    assert (record["codec"], record["target_bpp"], record["width"], record["height"]) == ("webp", 2, 64, 48)
    assert record["reached"] == (abs(float(str(record["bpp"])) - 2) <= 0.04)
    assert f"photo.webp: webp, {record['bpp']:.4g} bpp, quality" in result.stderr
    again = tmp_path / "again.webp"
    run("compress", photo, "--codec", "webp", "--quality", record["quality"], "-o", again)
    assert again.read_bytes() == coded.read_bytes()


def test_a_rate_out_of_reach_is_said_and_the_file_is_written(photo: Path, tmp_path: Path) -> None:
    result = run("compress", photo, "--codec", "jpeg", "--bpp", 0.01, "-o", tmp_path / "x.jpg")
    assert result.exit_code == 0
    assert "0.01 bpp cannot be reached: the lowest found is" in result.stderr
    assert detect_codec((tmp_path / "x.jpg").read_bytes()) == "jpeg"


def test_a_setting_may_stand_behind_the_name_and_the_default_without_one(photo: Path, tmp_path: Path) -> None:
    for codec, quality in (("jpeg@q30", 30), ("jpeg", 75)):
        (record,) = records(run("compress", photo, "--codec", codec, "-o", tmp_path / f"{quality}.jpg", "--json"))
        assert record["quality"] == quality


@dataclass
class Mapped:
    """Stands in for lucid: keeps the maps that it is given, and writes as many bytes as quality and map ask for."""

    name: str = "lucid"
    maps: list[FloatArray | None] = field(default_factory=list)

    def compress(self, pixels: Pixels, quality: float, *, quality_map: FloatArray | None = None) -> bytes:
        self.maps.append(quality_map)
        return bytes(round(3840 * quality) + (0 if quality_map is None else 24))


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> Mapped:
    codec = Mapped()
    for module in (catalog, spec):
        monkeypatch.setattr(module, "open_codec", lambda name: codec)
    return codec


def test_a_grey_image_shifts_the_quality_and_its_bytes_count_in_the_rate(
    photo: Path, tmp_path: Path, mapped: Mapped
) -> None:
    # Oracle: 64 x 48 pixels have 3 x 4 blocks; at 0.25 bpp there are 96 bytes, 24 of them for the map.
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(tmp_path / "white.png")
    out = tmp_path / "x.misc"
    result = run("compress", photo, "--bpp", 0.25, "--quality-map", tmp_path / "white.png", "-o", out, "--json")
    (record,) = records(result)
    assert all(one is not None and one.tolist() == [[1] * 4] * 3 for one in mapped.maps)
    assert abs(out.stat().st_size - 96) <= 2 and abs(float(str(record["quality"])) - 72 / 3840) <= 0.001
    assert run("compress", photo, "--quality", 0.5, "-o", tmp_path / "y.misc").exit_code == 0
    assert mapped.maps[-1] is None


def test_each_picture_takes_its_map_from_a_folder_and_one_without_fails(
    photo: Path, tmp_path: Path, mapped: Mapped
) -> None:
    second, third = (photo.with_name(name) for name in ("second.png", "third.png"))
    for copy in (second, third):
        copy.write_bytes(photo.read_bytes())
    maps = tmp_path / "maps"
    maps.mkdir()
    Image.fromarray(np.full((3, 4), 0, np.uint8)).save(maps / "photo.png")
    np.save(maps / "second.npy", np.full((3, 4), 0.25))
    options = ("--quality", 0.5, "--quality-map", maps, "-o", tmp_path / "out")
    result = run("compress", photo.parent, *options)
    assert result.exit_code == 1
    assert [None if one is None else one[0, 0] for one in mapped.maps] == [-1, 0.25]
    assert f"failed: {third}: its quality map cannot be used: {maps}: holds no map for third.png" in result.stderr


def test_a_map_that_does_not_fit_is_a_failure_that_names_picture_and_map(
    photo: Path, tmp_path: Path, mapped: Mapped
) -> None:
    np.save(tmp_path / "map.npy", np.zeros((4, 3)))
    result = run("compress", photo, "--quality", 0.5, "--quality-map", tmp_path / "map.npy", "-o", tmp_path / "x.misc")
    assert result.exit_code == 1 and not mapped.maps
    assert f"failed: {photo}: its quality map cannot be used: {tmp_path / 'map.npy'}: has the shape (4, 3)" in (
        result.stderr
    )


def test_a_map_for_another_codec_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    message = refusal("compress", "no.png", "--codec", "webp", "--quality-map", "no.npy", "-o", tmp_path / "x.webp")
    assert message == "webp takes no quality map; use lucid, or leave the map out"


def test_the_map_is_never_overwritten(photo: Path, tmp_path: Path) -> None:
    level = tmp_path / "level.map"
    level.write_bytes(photo.read_bytes())
    message = refusal("compress", photo, "--quality", 0.5, "--quality-map", level, "-o", level, "--force")
    assert message == f"{level} is an input and would be overwritten; choose another -o"


def test_several_inputs_go_to_a_folder_and_a_bad_one_does_not_stop_the_rest(photo: Path, tmp_path: Path) -> None:
    bad = photo.with_name("bad.png")
    bad.write_bytes(photo.read_bytes()[:100])
    out = tmp_path / "new" / "folder"
    result = run("compress", photo.parent, tmp_path / "missing.png", "--codec", "jpeg", "-o", out, "--json")
    assert result.exit_code == 1
    assert [path.name for path in out.iterdir()] == ["photo.jpg"]
    lines = records(result)
    assert [line["input"] for line in lines] == [str(bad), str(photo), str(tmp_path / "missing.png")]
    assert ["error" in line for line in lines] == [True, False, True]
    assert f"failed: {bad}: " in result.stderr
    assert "2 of 3 failed" in result.stderr

    damaged = out / "damaged.jpg"
    damaged.write_bytes((out / "photo.jpg").read_bytes()[:200])
    result = run("decompress", damaged, out / "photo.jpg", "-o", tmp_path / "png")
    assert result.exit_code == 1
    assert [path.name for path in (tmp_path / "png").iterdir()] == ["photo.png"]
    assert f"failed: {damaged}: " in result.stderr


def test_a_folder_without_pictures_does_not_stop_the_rest(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    result = run("compress", tmp_path / "none", photo, photo, "--codec", "jpeg", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.jpg"]
    assert f"failed: {tmp_path / 'none'}: holds no picture" in result.stderr and "1 of 2 failed" in result.stderr


def test_a_folder_goes_to_a_folder_even_with_one_picture(photo: Path, tmp_path: Path) -> None:
    assert run("compress", photo.parent, "--codec", "jpeg", "-o", tmp_path / "out").exit_code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize(("command", "name"), [("compress", "x.jpg"), ("decompress", "x.png")])
def test_a_place_that_cannot_be_written_is_named(command: str, name: str, photo: Path, tmp_path: Path) -> None:
    coded = tmp_path / "photo.jpg"
    assert run("compress", photo, "--codec", "jpeg", "-o", coded).exit_code == 0
    (tmp_path / "file").write_text("precious")
    codec = ("--codec", "jpeg") if command == "compress" else ()
    result = run(command, photo if codec else coded, *codec, "-o", tmp_path / "file" / name)
    assert result.exit_code == 1
    assert f"failed: {tmp_path / 'file'}: cannot be a folder to write to" in result.stderr
    assert (tmp_path / "file").read_text() == "precious"


def test_names_cannot_break_a_line_or_turn_it_around(photo: Path, tmp_path: Path) -> None:
    odd = photo.rename(photo.with_name("a\nfailed: b \u202egnp.png"))
    result = run("compress", odd, "--codec", "jpeg", "-o", tmp_path / "x.jpg")
    assert result.exit_code == 0
    assert len(result.stderr.splitlines()) == 1 and "⟨U+000A⟩failed: b ⟨U+202E⟩gnp.png" in result.stderr


def test_one_input_goes_into_an_existing_folder_or_one_named_with_a_slash(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert run("compress", photo, "--codec", "webp", "-o", tmp_path / "there").exit_code == 0
    assert run("compress", photo, "--codec", "webp", "-o", f"{tmp_path}/made/").exit_code == 0
    assert (tmp_path / "there" / "photo.webp").read_bytes() == (tmp_path / "made" / "photo.webp").read_bytes()


def test_nothing_is_overwritten_without_force(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.jpg"
    out.write_bytes(b"precious")
    assert "exists; choose another -o, or give --force" in refusal("compress", photo, "--codec", "jpeg", "-o", out)
    assert out.read_bytes() == b"precious"
    assert run("compress", photo, "--codec", "jpeg", "-o", out, "--force").exit_code == 0
    png = tmp_path / "x.png"
    png.write_bytes(b"precious")
    assert "exists" in refusal("decompress", out, "-o", png)
    assert png.read_bytes() == b"precious"
    assert run("decompress", out, "-o", png, "--force").exit_code == 0
    assert images.read(png).width == 64


def test_an_existing_file_survives_an_input_that_fails_under_force(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.jpg"
    out.write_bytes(b"precious")
    photo.write_bytes(b"no image")
    assert run("compress", photo, "--codec", "jpeg", "-o", out, "--force").exit_code == 1
    assert out.read_bytes() == b"precious"


def test_an_input_is_never_overwritten_not_even_with_force(photo: Path, tmp_path: Path) -> None:
    jpg = photo.with_suffix(".jpg")
    assert run("compress", photo, "--codec", "jpeg", "-o", jpg).exit_code == 0
    message = refusal("compress", jpg, "--codec", "jpeg", "-o", photo.parent, "--force")
    assert "is an input and would be overwritten" in message


def test_two_inputs_of_one_output_name_are_refused_before_anything_is_written(photo: Path, tmp_path: Path) -> None:
    twin = tmp_path / "other" / "photo.tif"
    twin.parent.mkdir()
    twin.write_bytes(b"")
    out = tmp_path / "out"
    assert "would both be written to" in refusal("compress", photo, twin, "--codec", "jpeg", "-o", out, "--force")
    assert not out.exists()


def test_requests_that_contradict_themselves_are_refused(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.bin"
    compress = ("compress", photo, "-o", out, "--codec")
    assert "give one of" in refusal(*compress, "jpeg", "--quality", 5, "--bpp", 1)
    assert "give one of" in refusal(*compress, "jpeg@q5", "--bpp", 1)
    assert "no quality 0" in refusal(*compress, "jpeg", "--quality", 0)
    assert "cannot aim at -1.0 bpp" in refusal(*compress, "jpeg", "--bpp", -1)
    assert "unknown codec 'jpg'" in refusal(*compress, "jpg", "--bpp", 1)
    assert "there is no webp here to follow" in refusal(*compress, "jpeg@like:webp")
    assert "what its name says; call it x.webp" in refusal(
        "compress", photo, "--codec", "webp", "-o", tmp_path / "x.JPEG"
    )
    assert "does not end in .png" in refusal("decompress", photo, "-o", tmp_path / "x.jpg")
    assert "is a file; several inputs need a folder" in refusal(
        "compress", photo, photo, "--codec", "jpeg", "-o", photo
    )
    assert not out.exists()


def test_pictures_over_the_limit_fail_in_both_directions(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.jpg"
    result = run("compress", photo, "--codec", "jpeg", "-o", out, "--max-megapixels", 0.003)
    assert result.exit_code == 1 and "64 x 48" in result.stderr and not out.exists()
    assert run("compress", photo, "--codec", "jpeg", "-o", out).exit_code == 0
    result = run("decompress", out, "-o", tmp_path / "x.png", "--max-megapixels", 0.003)
    assert result.exit_code == 1 and "64 x 48" in result.stderr and not (tmp_path / "x.png").exists()


def test_files_that_no_such_picture_can_explain_are_not_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.misc"
    with huge.open("wb") as file:
        file.truncate(2**21)
    result = run("decompress", huge, "-o", tmp_path / "x.png", "--max-megapixels", 0.01)
    assert result.exit_code == 1 and "longer than 1168576 bytes" in result.stderr


@pytest.mark.parametrize("content", [b"", b"text", b"\x8dMSC", b"\x8dMSC\x00\x14" + bytes(100), b"\x89PNG\r\n\x1a\n"])
def test_foreign_and_damaged_streams_are_failures_that_name_the_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.misc"
    path.write_bytes(content)
    result = run("decompress", path, "-o", tmp_path / "x.png")
    assert result.exit_code == 1 and f"failed: {path}: " in result.stderr
    assert not (tmp_path / "x.png").exists()


def test_folders_and_missing_files_are_failures_of_decompress(tmp_path: Path) -> None:
    result = run("decompress", tmp_path, tmp_path / "missing", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "not a file" in result.stderr and "no such file" in result.stderr


def test_the_registry_is_printed_with_weights_and_licences() -> None:
    lines = records(run("codecs", "--json"))
    assert [line["name"] for line in lines] == list(CODECS.names)
    assert all(line["licence"] and line["description"] for line in lines)
    assert [line["default"] for line in lines if line["name"] in ("jpeg", "lucid")] == ["jpeg@q75", "lucid@0.25bpp"]
    (lucid,) = (line for line in lines if line["format_id"] == 1)
    assert lucid["weights_licence"] and lucid["weights_source"]
    assert [line["name"] for line in lines if line["quality_map"]] == ["lucid"]
    table = run("codecs").stdout
    assert all(name in table for name in CODECS.names)


@pytest.mark.parametrize("command", ["compress", "decompress", "codecs"])
def test_every_help_ends_with_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: miscomp {command} " in " ".join(result.stdout.split())


def test_the_module_is_imported_without_image_libraries() -> None:
    code = (
        "import sys, miscomp.cli.codec_commands;"
        "print([m for m in ('torch', 'PIL', 'numpy', 'rich.table') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_weights_of_ones_own_go_through_the_command_line(photo: Path, tmp_path: Path) -> None:
    weights, coded, back = tmp_path / "own weights.pth", tmp_path / "coded.misc", tmp_path / "back.png"
    torch.save({"ema": tiny_network("cdc").state_dict()}, weights)
    result = run("compress", photo, "--codec", f"cdc@file:{weights}+seed7", "-o", coded, "--json")
    assert result.exit_code == 0, result.output
    (record,) = records(result)
    assert (record["quality"], record["seed"]) == (None, 7)
    assert record["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert "weights of your own" in result.stderr
    assert container.unpack(coded.read_bytes()).seed == 7
    without = run("decompress", coded, "-o", back)
    assert without.exit_code == 1 and "--weights FILE" in without.stderr
    other = tmp_path / "other.pth"
    torch.save(tiny_network("mbt2018").state_dict(), other)
    wrong = run("decompress", coded, "-o", back, "--weights", other)
    assert (
        wrong.exit_code == 1 and f"failed: {coded}: is of cdc, which cannot decode it here: {other}: " in wrong.stderr
    )
    result = run("decompress", coded, "-o", back, "--weights", weights)
    assert result.exit_code == 0, result.output
    assert images.read(back).pixels.shape == (48, 64, 3)
