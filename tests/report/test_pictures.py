"""The pictures of a report: lossless, checked before they are decoded, kept once."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_sample import MakeRun

from miscomp.errors import InputError, SizeMismatch
from miscomp.records import Box
from miscomp.report.pictures import BESIDE, PictureStore, colour_heat, crop_window, encode, read_heat, read_pair


def noise(w: int, h: int, mode: str = "RGB") -> Image.Image:
    shape = (h, w, 3) if mode == "RGB" else (h, w)
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (64, 37), (20_000, 2)])
@pytest.mark.parametrize("fast", [False, True])
def test_encoding_changes_no_pixel(size: tuple[int, int], fast: bool) -> None:
    picture = noise(*size)
    encoded, suffix = encode(picture, fast=fast)
    read = Image.open(io.BytesIO(encoded))
    assert (read.format, suffix) == (("PNG", ".png") if size[0] > 16383 else ("WEBP", ".webp"))
    assert np.array_equal(np.asarray(read.convert("RGB")), np.asarray(picture))


def test_equal_pictures_are_kept_once_and_addressed_by_data(tmp_path: Path) -> None:
    store = PictureStore(tmp_path, limit_bytes=1e6)
    first, second = store.add(noise(8, 8)), store.add(noise(8, 8))
    other = store.add(noise(9, 8))
    assert first == second != other and len(store) == 2
    kind, _, content = store.address(first).partition(",")
    assert kind == "data:image/webp;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))), np.asarray(noise(8, 8)))
    assert list(tmp_path.iterdir()) == []


def test_beyond_the_limit_every_picture_lies_beside_the_page(tmp_path: Path) -> None:
    store = PictureStore(tmp_path, limit_bytes=20_000)
    numbers = [store.add(noise(40 + i, 40)) for i in range(8)]
    assert store.beside
    for i, number in enumerate(numbers):
        assert store.address(number).startswith(f"{BESIDE}/")
        with Image.open(tmp_path / store.address(number)) as read:
            assert np.array_equal(np.asarray(read), np.asarray(noise(40 + i, 40)))
    assert not list(tmp_path.rglob("*.partial"))


def test_a_heat_map_rises_in_opacity_and_lightness() -> None:
    heat = colour_heat(Image.frombytes("L", (256, 1), bytes(range(256))))
    read = np.asarray(Image.open(io.BytesIO(encode(heat)[0])).convert("RGBA"), dtype=float)[0]
    opacity, lightness = read[:, 3], read[:, :3] @ [0.2126, 0.7152, 0.0722] * read[:, 3] / 255
    assert opacity[0] == 0 and opacity[-1] == 255
    assert (np.diff(opacity) >= 0).all() and (np.diff(lightness) >= 0).all()


@pytest.mark.parametrize("box", [Box(0, 0, 1, 1), Box(90, 60, 10, 10), Box(10, 20, 60, 5), Box(0, 0, 100, 70)])
def test_a_crop_window_holds_its_box_and_lies_in_the_image(box: Box) -> None:
    view = crop_window(box, 100, 70)
    view.window.check_inside(100, 70)
    assert view.window.intersection(box) == box.area
    left, top, width, height = view.mark
    assert view.window.x + left * view.window.w / 100 == pytest.approx(box.x)
    assert view.window.y + top * view.window.h / 100 == pytest.approx(box.y)
    assert (width * view.window.w / 100, height * view.window.h / 100) == pytest.approx((box.w, box.h))


def test_pictures_that_are_not_as_recorded_are_refused_by_name(make_run: MakeRun, tmp_path: Path) -> None:
    result = make_run(tmp_path).results[0]
    original = tmp_path / result.original_file
    wide = replace(result, row=replace(result.row, width=129))
    with pytest.raises(SizeMismatch, match=r"0000-original\.png: is 128 x 96, the audit's record says 129 x 96"):
        read_pair(tmp_path, wide)
    with pytest.raises(InputError, match=r"nothing\.png"):
        read_pair(tmp_path, replace(result, reconstruction_file="nothing.png"))
    with pytest.raises(InputError, match="outside the report's folder"):
        read_pair(tmp_path, replace(result, reconstruction_file="../secret.png"))
    with pytest.raises(InputError, match="a change map is a grey picture"):
        read_heat(tmp_path, replace(result, change_file=result.original_file))
    assert read_heat(tmp_path, replace(result, change_file="")) is None
    content = original.read_bytes()
    for damaged in (b"", b"GIF89a", content[:200], content[: len(content) // 2], content[:40] + b"\xff" * 80):
        original.write_bytes(damaged)
        with pytest.raises(InputError, match=r"0000-original\.png"):
            read_pair(tmp_path, result)
