"""Reading files, hashing, writing PNG, listing folders."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miscomp import images
from miscomp.errors import ImageError, UsageError
from miscomp.images import IMAGE_SUFFIXES, decode, list_images, pixel_sha256, read, write_png


def noise(height: int = 20, width: int = 30, seed: int = 0) -> images.Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_png_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "noise.png"
    write_png(file, noise())
    picture = read(file)
    assert np.array_equal(picture.pixels, noise())
    assert (picture.width, picture.height, picture.path, picture.warnings) == (30, 20, file, ())
    assert picture.size_bytes == file.stat().st_size
    assert picture.image_sha1 == hashlib.sha1(file.read_bytes()).hexdigest()
    assert picture.pixel_sha256 == hashlib.sha256(b"30x20\n" + noise().tobytes()).hexdigest()


def test_pixels_of_a_picture_cannot_be_changed(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", noise())
    with pytest.raises(ValueError, match="read-only"):
        read(tmp_path / "a.png").pixels[0, 0] = 0


def test_the_pixel_hash_depends_on_pixels_and_shape_alone(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.bmp")
    write_png(tmp_path / "a.png", noise())
    as_bmp, as_png = read(tmp_path / "a.bmp"), read(tmp_path / "a.png")
    assert as_bmp.pixel_sha256 == as_png.pixel_sha256
    assert as_bmp.image_sha1 != as_png.image_sha1
    assert pixel_sha256(noise().reshape(30, 20, 3)) != as_png.pixel_sha256
    assert pixel_sha256(np.asfortranarray(noise())) == as_png.pixel_sha256


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.png", format="WEBP", lossless=True)
    assert np.array_equal(read(tmp_path / "a.png").pixels, noise())


def test_written_bytes_are_the_same_every_time_and_replace_the_file_at_once(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", noise())
    first = (tmp_path / "a.png").read_bytes()
    write_png(tmp_path / "a.png", np.asfortranarray(noise()))
    assert (tmp_path / "a.png").read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_writing_where_it_is_impossible_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone/a\.png: cannot be written: .*; check the folder"):
        write_png(tmp_path / "gone" / "a.png", noise())
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImageError, match="cannot be written"):
        write_png(tmp_path / "folder", noise())
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_arrays_that_are_not_pixels_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"uint8 of shape \(height, width, 3\)"):
        write_png(tmp_path / "a.png", np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match=r"uint8 of shape \(height, width, 3\)"):
        pixel_sha256(np.zeros(shape, np.uint8))


def test_files_that_cannot_be_opened_say_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "empty.png").touch()
    for name, problem in (
        ("missing.png", "does not exist"),
        (".", "is a folder"),
        ("pipe.png", "is a pipe or device"),
        ("empty.png", "is empty"),
        ("a" * 300, "cannot be read"),
        ("nul\0.png", "cannot be read"),
    ):
        with pytest.raises(ImageError, match=problem) as caught:
            read(tmp_path / name)
        assert caught.value.where == str(tmp_path / name)


def test_a_file_without_permission_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(tmp_path / "a.png", noise())

    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, who may read everything
    with pytest.raises(ImageError, match="may not be read; check its permissions"):
        read(tmp_path / "a.png")


def test_a_file_beyond_the_byte_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(tmp_path / "a.png", noise())
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 100)
    with pytest.raises(ImageError, match="has more than 100 bytes, the limit"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_that_is_no_positive_number_is_a_usage_error(limit: float) -> None:
    with pytest.raises(UsageError, match="max_megapixels must be a positive number"):
        decode(b"", "x", max_megapixels=limit)


def test_a_folder_lists_its_visible_pictures_in_order(tmp_path: Path) -> None:
    (tmp_path / "inner.png").mkdir()
    for name in ("b.PNG", "a.jxl", "notes.txt", ".hidden.png", "._b.png", "inner.png/c.tif", "c.jpeg"):
        (tmp_path / name).touch()
    assert [p.name for p in list_images(tmp_path)] == ["a.jxl", "b.PNG", "c.jpeg"]
    assert [p.name for p in list_images(tmp_path, recursive=True)] == ["a.jxl", "b.PNG", "c.jpeg", "c.tif"]


def test_a_hidden_parent_folder_does_not_hide_its_pictures(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a.png").touch()
    assert list_images(tmp_path / ".cache") == [tmp_path / ".cache" / "a.png"]


def test_a_file_lists_itself_and_nothing_to_list_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.data").touch()
    assert list_images(tmp_path / "a.data") == [tmp_path / "a.data"]
    with pytest.raises(ImageError, match=r"holds no picture; files ending in \.avif"):
        list_images(tmp_path)
    with pytest.raises(ImageError, match="does not exist"):
        list_images(tmp_path / "gone")


def test_every_listed_suffix_is_lower_case_with_a_dot() -> None:
    assert all(s == s.lower() and s.startswith(".") for s in IMAGE_SUFFIXES)


def test_importing_the_reader_imports_neither_torch_nor_the_jpeg_xl_plugin() -> None:
    code = "import sys, miscomp.images; print([m for m in ('torch', 'pillow_jxl') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_24_megapixels_need_at_most_four_times_their_pixel_bytes(tmp_path: Path) -> None:
    width, height = 6000, 4000
    tile = noise(250, 500)
    Image.fromarray(np.tile(tile, (height // 250, width // 500, 1))).save(tmp_path / "big.jpg", quality=80)
    code = (
        "import sys; from pathlib import Path; from miscomp.images import read\n"
        "peak = lambda: int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1]) * 1024\n"
        "before = peak(); p = read(Path(sys.argv[1])); print((peak() - before) / p.pixels.nbytes)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "big.jpg")]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 1 < float(found.stdout) < 4
