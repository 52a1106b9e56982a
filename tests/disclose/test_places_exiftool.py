"""An independent witness: exiftool reads what was written, and what it writes itself is understood."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from disclosed import BASE, ENHANCED, disclosure, encoded, samples

from miscomp.disclose.places import place, read_places, strip_places, write_places
from miscomp.disclose.statement import to_json

pytestmark = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed (Debian: libimage-exiftool-perl)"
)
SAMPLES = {name: content for name, content in samples().items() if name != "misc"}
WRITABLE = (
    "png-theirs",
    "jpeg",
    "jpeg-theirs",
    "webp-theirs",
    "avif-theirs",
    "jxl",
    "tiff",
    "tiff-strips",
    "tiff-theirs",
)


def exiftool(*arguments: str | Path) -> str:
    done = subprocess.run(["exiftool", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tags(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(exiftool("-j", "-G1", "-n", "-charset", "exif=utf8", path))
    return found


def test_exiftool_reads_all_places_of_all_formats(tmp_path: Path) -> None:
    said = disclosure()
    for name, content in SAMPLES.items():
        (tmp_path / f"{name}.{name.split('-')[0]}").write_bytes(write_places(content, said, name))
    for found in tags(tmp_path):
        name = Path(found["SourceFile"]).stem
        assert found["IFD0:ImageDescription"] == said.caption, name
        group = "ExifOffset" if "bigtiff" in name else "ExifIFD"  # exiftool's names
        assert found[f"{group}:UserComment"] == to_json(said.statement), name
        assert found["IFD0:Software"] == said.software or name == "tiff-theirs", name
        assert found["XMP-iptcExt:DigitalSourceType"] == ENHANCED, name
        assert found["XMP-dc:Description"] == said.caption, name
        assert json.loads(found["XMP-miscomp:Statement"]) == said.statement.model_dump(mode="json")
        assert found["XMP-miscomp:Risk"] == 0.25 and found["XMP-miscomp:Codec"] == "hific"
        assert "ExifTool:Error" not in found, name
        if name.startswith(("jpeg", "tiff")):
            assert found["IPTC:Caption-Abstract"] == said.caption, name
        if name.endswith("theirs"):
            assert found["IFD0:Make"] == "A camera's maker", name
            assert name.startswith("avif") or found["IFD0:Orientation"] == 6, name  # Pillow puts it into a box there
            assert found["XMP-xmp:Rating"] == 4 and found["XMP-dc:Creator"] == "A & B", name


def test_exiftool_finds_nothing_of_ours_after_stripping(tmp_path: Path) -> None:
    for name, content in SAMPLES.items():
        stripped = strip_places(write_places(content, disclosure(), name), name)
        (tmp_path / f"{name}.{name.split('-')[0]}").write_bytes(stripped)
    for found in tags(tmp_path):
        text = json.dumps(found)
        assert "miscomp" not in text and "algorithmicallyEnhanced" not in text, found["SourceFile"]


@pytest.mark.parametrize("name", WRITABLE)
def test_what_exiftool_wrote_anew_is_read_replaced_and_stripped(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"it.{name.split('-')[0]}"
    path.write_bytes(write_places(SAMPLES[name], disclosure(), name))
    exiftool("-q", "-m", "-overwrite_original", "-XMP-dc:Title=a title", "-EXIF:Artist=an artist", path)
    content = path.read_bytes()
    found = read_places(content, name)
    assert set(found.statements) == {"exif", "xmp"} and found.problems == ()
    placed = place(content, disclosure(caption="Another."), name)
    assert placed.notes == ()
    assert set(read_places(placed.content, name).captions.values()) == {"Another."}
    stripped = strip_places(content, name)
    left = read_places(stripped, name)
    assert not left.statements and not left.captions and not left.software
    path.write_bytes(stripped)
    after = tags(path)[0]
    assert after["XMP-dc:Title"] == "a title" and after["IFD0:Artist"] == "an artist"


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "jxl"])
def test_texts_that_exiftool_put_in_are_kept(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"it.{name}"
    path.write_bytes(SAMPLES[name])
    capture = f"-XMP-iptcExt:DigitalSourceType={BASE}digitalCapture"
    texts = ("-EXIF:UserComment=grün", "-EXIF:ImageDescription=mine", "-XMP-dc:Description=mine too", capture)
    iptc = ("-IPTC:Caption-Abstract=theirs", "-IPTC:Keywords=k") if name in ("jpeg", "tiff") else ()
    exiftool("-q", "-m", "-overwrite_original", *texts, *iptc, path)
    content = path.read_bytes()
    placed = place(content, disclosure(), name)
    found = read_places(placed.content, name)
    assert set(found.statements) == {"xmp"} and found.source_type == ENHANCED
    assert found.captions["exif"] == "mine" and found.captions["xmp"] == "mine too"
    assert found.captions.get("iptc", "theirs") == "theirs"
    assert len(placed.notes) == 3 + len(iptc) // 2
    left = read_places(strip_places(placed.content, name), name)
    assert left.source_type == BASE + "digitalCapture" and left.captions["exif"] == "mine"


def test_iptc_of_others_in_jpeg_stays_and_its_digest_is_made_right(tmp_path: Path) -> None:
    path = tmp_path / "it.jpg"
    path.write_bytes(encoded("JPEG"))
    exiftool("-q", "-m", "-overwrite_original", "-IPTC:Keywords=k", "-IPTC:City=Kiel", path)
    exiftool("-q", "-m", "-overwrite_original", "-IPTCDigest<CurrentIPTCDigest", path)
    content = path.read_bytes()
    path.write_bytes(write_places(content, disclosure(caption="plain"), "it"))
    found = json.loads(exiftool("-j", "-G0", "-IPTC:all", "-IPTCDigest", "-CurrentIPTCDigest", path))[0]
    assert (found["IPTC:Keywords"], found["IPTC:City"], found["IPTC:Caption-Abstract"]) == ("k", "Kiel", "plain")
    assert found["Photoshop:IPTCDigest"] == found["File:CurrentIPTCDigest"]
    assert strip_places(path.read_bytes(), "it") == content
    # Not marked as UTF-8, so a caption outside of ASCII would be read wrongly.
    placed = place(content, disclosure(), "it")
    assert "iptc:Caption was left out: the IPTC texts that are there are not marked as UTF-8" in placed.notes
