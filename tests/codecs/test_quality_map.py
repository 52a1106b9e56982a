from __future__ import annotations

import contextlib
import os
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageCms

from miscomp.codecs.quality_map import (
    Offsets,
    block_grid,
    decode,
    encode,
    local_steps,
    map_for,
    quantise,
    read_map,
)
from miscomp.errors import ImageError, InputError, UsageError

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=24)
MAPS = arrays(np.int8, SHAPES, elements=st.integers(-64, 64)) | arrays(np.int8, SHAPES, elements=st.integers(-1, 1))


def realistic_maps(rows: int, columns: int) -> dict[str, Offsets]:
    """One map of each kind that people make, of offsets in [-1, 1]."""
    y, x = np.mgrid[:rows, :columns]
    rectangle = np.where((y >= rows // 4) & (y < rows // 2) & (x >= columns // 3) & (x < 2 * columns // 3), 0.5, 0)
    faces = np.zeros((rows, columns))
    for row, column, size in ((0.3, 0.2, 0.08), (0.35, 0.5, 0.1), (0.7, 0.6, 0.12)):
        inside = ((y / rows - row) / size) ** 2 + ((x / columns - column) / size * 1.4) ** 2 < 1
        faces[inside] = 0.5
    saliency = np.exp(-((y / rows - 0.4) ** 2 + (x / columns - 0.6) ** 2) * 12) - 0.3
    noisy = saliency + np.random.default_rng(0).normal(0, 0.01, saliency.shape)
    ramp = np.broadcast_to(2 * x / columns - 1, (rows, columns))
    found = {"rectangle": rectangle, "faces": faces, "saliency": saliency, "noisy": noisy, "ramp": ramp}
    return {name: quantise(one, height=16 * rows, width=16 * columns) for name, one in found.items()}


def deflated(offsets: Offsets) -> int:
    """Bytes of the better of two plain ways: the offsets, or their differences along rows, without zlib's header."""
    plain = offsets.tobytes()
    differences = np.diff(offsets.astype(np.int16), axis=1, prepend=0).astype(np.int8).tobytes()
    return min(len(zlib.compress(one, 9, wbits=-15)) for one in (plain, differences))


@given(MAPS)
def test_a_map_is_read_back_as_it_was_written(offsets: Offsets) -> None:
    content = encode(offsets)
    found = decode(content, *offsets.shape)
    assert found.dtype == np.int8
    assert np.array_equal(found, offsets)
    assert (content == b"") == (not offsets.any())


@given(st.binary(max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_any_bytes_are_a_map_in_its_only_form_or_a_value_error(content: bytes, rows: int, columns: int) -> None:
    with contextlib.suppress(ValueError):
        offsets = decode(content, rows, columns)
        assert offsets.shape == (rows, columns) and np.abs(offsets).max() <= 64
        assert encode(offsets) == content


@given(MAPS, st.binary(min_size=1, max_size=5))
def test_bytes_behind_a_map_are_an_error(offsets: Offsets, rest: bytes) -> None:
    content = encode(offsets)
    with contextlib.suppress(ValueError):  # other bytes may be another map, but never the same one
        assert not np.array_equal(decode(content + rest, *offsets.shape), offsets)
    with pytest.raises(ValueError, match="its quality map"):
        decode(content + rest + bytes(1), *offsets.shape)


def test_many_bytes_for_few_blocks_are_refused() -> None:
    content = random.Random(0).randbytes(100_000)
    with pytest.raises(ValueError, match=r"quality map of 100000 bytes does not fit 3 x 4 blocks|units"):
        decode(content, 3, 4)


def test_an_offset_out_of_range_is_refused() -> None:
    # Oracle: of all bits the coder's largest number says yes to each question, so the first offset is -255.
    with pytest.raises(ValueError, match="offset of -255 units, the limit is 64"):
        decode(b"\xff" * 20, 5, 5)


def test_the_bytes_of_a_map_never_change() -> None:
    # Golden: files hold such bytes. The second map is pseudorandom.
    assert encode(realistic_maps(32, 48)["rectangle"]).hex() == "2fdd8bf7123069f4a8"
    wild = np.array([[i * i * 37 % 129 - 64 if i % 3 else i % 5 for i in range(12 * r, 12 * r + 12)] for r in range(6)])
    assert encode(wild.astype(np.int8)).hex() == (
        "bfaff09b4bcf293e206690ce921df1dab3140815675dc0a4b90ba6d2ae45210e7916000790710f596e8c73ad1ac8c32a"
        "f77af1338df89fcdfcbaf6fdb04d28707ae647e60e8d9b3649"
    )


def test_a_rectangle_costs_a_few_bytes_and_realistic_maps_less_than_deflated_ones() -> None:
    # Oracle: zlib at its highest level, on what suits each map better.
    for rows, columns in ((32, 48), (188, 250)):
        maps = realistic_maps(rows, columns)
        sizes = {name: (len(encode(offsets)), deflated(offsets)) for name, offsets in maps.items()}
        assert sizes["rectangle"][0] <= 12
        assert all(coded < plain for coded, plain in sizes.values()), sizes


@pytest.mark.parametrize("bad", [np.full((2, 2), 65), np.full((2, 2), -65), np.zeros((0, 3)), np.zeros(3)])
def test_what_is_no_map_is_not_encoded(bad: npt.NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="from -64 to 64"):
        encode(bad.astype(np.int8))


def test_offsets_are_rounded_to_units_of_four_steps() -> None:
    # Oracle: 1 / (4 / 255) = 63.75 and so on, by hand.
    given_offsets = np.array([[-1.0, -0.5, 0.0, 0.0078, 0.008, 0.5, 1.0]])
    assert quantise(given_offsets, height=1, width=97).tolist() == [[-64, -32, 0, 0, 1, 32, 64]]
    assert quantise(given_offsets.astype(np.float32), height=16, width=112).dtype == np.int8


@pytest.mark.parametrize(
    ("offsets", "problem"),
    [
        (np.zeros((2, 3)), r"has the shape \(2, 3\); 65 x 33 pixels need \(3, 5\), one number per 16 x 16 block"),
        (np.zeros((3, 5, 1)), r"has the shape \(3, 5, 1\)"),
        (np.full((3, 5), np.nan), "has values that are no finite numbers"),
        (np.full((3, 5), np.inf), "has values that are no finite numbers"),
        (np.full((3, 5), 1.01), r"has values from 1\.01 to 1\.01; offsets from -1 to 1 are needed"),
        (np.full((3, 5), 128, np.uint8), "has values of type uint8; floating-point"),
        (np.full((3, 5), 1j), "has values of type complex128"),
    ],
)
def test_offsets_that_are_no_map_are_refused_with_what_is_needed(
    offsets: npt.NDArray[np.generic], problem: str
) -> None:
    with pytest.raises(UsageError, match=f"the quality map {problem}"):
        quantise(offsets, height=33, width=65)


def test_local_steps_add_up_stay_on_the_scale_and_repeat_the_edge() -> None:
    # Oracle: by hand, 100 + 4 * k between 0 and 255.
    offsets = np.array([[0, 1, 64], [-64, -10, -25]], np.int8)
    assert local_steps(100, offsets, 4, 4).tolist() == [
        [100, 104, 255, 255],
        [0, 60, 0, 0],
        [0, 60, 0, 0],
        [0, 60, 0, 0],
    ]
    assert local_steps(7, None, 2, 3).tolist() == [[7] * 3] * 2
    assert np.array_equal(local_steps(7, np.zeros((2, 3), np.int8), 4, 4), local_steps(7, None, 4, 4))
    assert local_steps(255, offsets, 2, 3).dtype == np.uint8


def save(path: Path, grey: npt.ArrayLike, dtype: type[np.generic] = np.uint8, **options: object) -> Path:
    Image.fromarray(np.asarray(grey).astype(dtype)).save(path, **options)  # type: ignore[arg-type]
    return path


def test_black_is_lowest_128_is_no_change_and_white_is_highest(tmp_path: Path) -> None:
    grey = [[0, 64, 128, 255, 192]]
    expected = [[-1, -0.5, 0, 1, 64 / 127]]
    assert read_map(save(tmp_path / "8.png", grey), height=5, width=80) == pytest.approx(np.array(expected), abs=1e-12)
    wide = save(tmp_path / "16.png", np.array(grey) * 256, np.uint16)
    assert read_map(wide, height=5, width=80) == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize(("height", "width"), [(40, 70), (48, 64), (7, 5), (100, 33)])
def test_a_map_of_the_pictures_size_is_averaged_in_each_block(height: int, width: int, tmp_path: Path) -> None:
    # Oracle: each block's mean, the last ones over the pixels that are there.
    grey = np.random.default_rng(height).integers(0, 129, (height, width))
    found = read_map(save(tmp_path / "map.png", grey), height=height, width=width)
    blocks = [
        [grey[top : top + 16, left : left + 16].mean() for left in range(0, width, 16)] for top in range(0, height, 16)
    ]
    assert found == pytest.approx((np.array(blocks) - 128) / 128, abs=1e-9)


def test_a_map_of_any_other_size_is_stretched_over_the_picture(tmp_path: Path) -> None:
    one = save(tmp_path / "one.png", [[192]])
    assert read_map(one, height=50, width=50) == pytest.approx(np.full((4, 4), 64 / 127))
    halves = save(tmp_path / "halves.png", [[0, 128]])
    assert read_map(halves, height=16, width=48) == pytest.approx(np.array([[-1, -0.5, 0]]))
    # 3 pixels over 40: blocks end at 16, 32 and 40, pixels at 13.3 and 26.7.
    thirds = save(tmp_path / "thirds.png", [[0], [128], [0], [128]])
    expected = [(10 * 0 + 6 * 128) / 16, (4 * 128 + 10 * 0 + 2 * 128) / 16, 128]
    assert read_map(thirds, height=40, width=9)[:, 0] * 128 + 128 == pytest.approx(expected)


def test_an_image_with_a_pixel_per_block_is_taken_as_it_is(tmp_path: Path) -> None:
    grey = np.arange(6).reshape(2, 3) * 20
    assert read_map(save(tmp_path / "map.png", grey), height=17, width=40) == pytest.approx((grey - 128) / 128)


def test_an_array_of_offsets_is_read_as_it_is(tmp_path: Path) -> None:
    offsets = np.linspace(-1, 1, 6).reshape(2, 3)
    for name, array in (("c", offsets), ("f", np.asfortranarray(offsets)), ("big", offsets.astype(">f8"))):
        np.save(tmp_path / f"{name}.npy", array)
        found = read_map(tmp_path / f"{name}.npy", height=30, width=40)
        assert found.tolist() == offsets.tolist() and found.dtype == np.float64


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((3, 2)), r"has the shape \(3, 2\); 40 x 30 pixels need \(2, 3\)"),
        (np.zeros((2, 3), np.uint8), "values of type uint8"),
        (np.full((2, 3), 2.0), "from 2 to 2"),
        (np.zeros((2, 3), dtype=[("a", "f8")]), "values of type"),
        (np.array([["a"] * 3] * 2), "values of type"),
    ],
)
def test_an_array_that_is_no_map_is_an_error_that_names_the_file(
    array: npt.NDArray[np.generic], problem: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "map.npy", array)
    with pytest.raises(InputError, match=rf"map\.npy: .*{problem}"):
        read_map(tmp_path / "map.npy", height=30, width=40)


def npy(shape: str, *, rest: bytes = b"") -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + rest


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\x93NUMPY",
        b"PK\x03\x04 a zip",
        npy("(2, 3)", rest=bytes(40)),
        npy("(1000000000, 1000000000)"),
        npy("(" + "9" * 90 + ", 3)"),
        npy("(2, -3)", rest=bytes(48)),
        npy("((((2"),
        npy("(2, 3)").replace(b"<f8", b"|O8"),
    ],
)
def test_a_damaged_or_hostile_array_is_an_error_that_names_the_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "map.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"map\.npy: is no \.npy file that can be read"):
        read_map(tmp_path / "map.npy", height=30, width=40)


def test_no_message_advises_to_trust_a_file(tmp_path: Path) -> None:
    # A header of more than 10,000 characters, to which numpy answers in several lines.
    (tmp_path / "map.npy").write_bytes(npy("(" + "1, " * 5000 + ")"))
    with pytest.raises(InputError) as caught:
        read_map(tmp_path / "map.npy", height=30, width=40)
    assert "is no .npy file" in str(caught.value)
    assert "\n" not in str(caught.value) and "allow_pickle" not in str(caught.value)


def test_a_missing_file_a_pipe_and_a_text_are_errors_that_name_the_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "map.png").write_text("text")
    for name, problem in (
        ("missing.npy", "is no file"),
        ("pipe.npy", "is no file"),
        ("missing.png", "does not exist"),
        ("map.png", "is not an image"),
    ):
        with pytest.raises(InputError, match=f"{name}: {problem}"):
            read_map(tmp_path / name, height=30, width=40)


def test_a_picture_whose_greys_are_not_plain_is_refused(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    save(tmp_path / "colour.png", np.full((4, 4, 3), (10, 10, 11)))
    save(tmp_path / "alpha.png", np.full((4, 4, 4), (10, 10, 10, 200)))
    save(tmp_path / "profile.png", np.full((4, 4), 10), icc_profile=lab)
    for name, problem in (("colour", "has colours"), ("alpha", "alpha was composited"), ("profile", "profile")):
        with pytest.raises(ImageError, match=rf"{name}\.png: .*{problem}.*save the map as plain grey"):
            read_map(tmp_path / f"{name}.png", height=64, width=64)
    opaque = save(tmp_path / "opaque.png", np.full((4, 4, 4), (128, 128, 128, 255)))
    assert not read_map(opaque, height=64, width=64).any()


def test_a_map_over_the_limit_of_pixels_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "map.png", np.zeros((50, 50)))
    with pytest.raises(ImageError, match="50 x 50"):
        read_map(path, height=16, width=16, max_megapixels=0.002)


def test_a_folder_gives_each_picture_the_map_of_its_name(tmp_path: Path) -> None:
    for name in ("a.png", "b.npy", "c.png", "c.tif", "a.txt"):
        (tmp_path / name).touch()
    assert map_for(tmp_path / "a.png", Path("b.jpg")) == tmp_path / "a.png"
    assert map_for(tmp_path, Path("in/a.jpg")) == tmp_path / "a.png"
    assert map_for(tmp_path, Path("b.png")) == tmp_path / "b.npy"
    with pytest.raises(InputError, match=r"several maps for c\.jpg \(c\.png, c\.tif\)"):
        map_for(tmp_path, Path("c.jpg"))
    with pytest.raises(InputError, match=r"no map for d\.jpg; one d\.png, \.npy"):
        map_for(tmp_path, Path("d.jpg"))


def test_the_grid_has_a_block_for_every_pixel() -> None:
    assert [block_grid(*size) for size in ((1, 1), (16, 17), (512, 768))] == [(1, 1), (1, 2), (32, 48)]
