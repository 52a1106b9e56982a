"""How every kind of pixel becomes 8-bit sRGB."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, ImageOps
from test_formats import chunk, encode, photo, png, tiff

from miscomp.errors import ImageError
from miscomp.images import decode

Array = npt.NDArray[Any]
SAMPLES_16 = np.arange(0, 65536, 257 * 3 - 7, dtype=np.uint16)


def s15(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def icc(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ") -> bytes:
    """A version 2 profile, written from the ICC specification; white point D50."""
    tags = {
        b"desc": b"desc" + b"\0" * 4 + struct.pack(">I", 5) + b"Test\0" + b"\0" * 78,
        b"wtpt": b"XYZ \0\0\0\0" + s15(0.9642, 1.0, 0.8249),
    } | tags
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"lcms", 0x02400000, kind, space, pcs)
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + s15(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + body


def curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


WIDE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB_XYZ = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
"""Rows: D50-adapted XYZ of the primaries of Adobe RGB (1998) and of sRGB, from their standards."""


def wide_profile() -> bytes:
    xyz = {name: b"XYZ \0\0\0\0" + s15(*row) for name, row in zip((b"rXYZ", b"gXYZ", b"bXYZ"), WIDE, strict=True)}
    return icc(b"RGB ", xyz | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(563 / 256)))


def srgb_levels(linear: Array) -> Array:
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def ink_profile() -> bytes:
    """CMYK through one 2-point table: L* = 100 (1 - K)(3 - C - M - Y) / 3, neutral."""
    ramp = bytes(range(256))
    nodes = np.indices((2, 2, 2, 2)).reshape(4, -1).T
    lightness = 255 * (1 - nodes[:, 3]) * (3 - nodes[:, :3].sum(1)) / 3
    table = b"".join(bytes([round(v), 128, 128]) for v in lightness)
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + s15(1, 0, 0, 0, 1, 0, 0, 0, 1) + ramp * 4 + table + ramp * 3
    return icc(b"CMYK", {b"A2B0": lut, b"A2B1": lut}, b"Lab ")


def test_grey_and_bilevel_become_three_equal_channels() -> None:
    grey = photo().convert("L")
    pixels, notes = decode(encode(grey, "PNG"), "grey")
    assert notes == ()
    assert np.array_equal(pixels, np.repeat(np.asarray(grey)[..., None], 3, axis=2))
    bilevel, _ = decode(encode(grey.convert("1"), "PNG"), "bilevel")
    assert set(np.unique(bilevel)) == {0, 255}


def test_a_palette_gives_its_colours() -> None:
    image = photo().quantize(16)
    colours = np.array(image.getpalette()).reshape(-1, 3)
    pixels, notes = decode(encode(image, "PNG"), "palette")
    assert notes == ()
    assert np.array_equal(pixels, colours[np.asarray(image)])


def on_white(colour: Array, alpha: Array) -> Any:
    """Oracle: the same in exact integers, rounded half up (halves cannot occur: 255 is odd)."""
    return (2 * (colour.astype(int) * alpha + 255 * (255 - alpha.astype(int))) + 255) // 510


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_composited_on_white_and_said(format: str) -> None:
    colour, alpha = np.meshgrid(np.arange(256), np.arange(256))
    rgba = np.stack([colour, 255 - colour, colour // 2, alpha], -1).astype(np.uint8)
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    pixels, notes = decode(encode(Image.fromarray(rgba), format, **options), "alpha")
    assert notes == ("alpha was composited on white",)
    assert np.array_equal(pixels, on_white(rgba[..., :3], rgba[..., 3:]))


def test_grey_with_alpha_is_composited_and_opaque_alpha_is_not_mentioned() -> None:
    la = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1).astype(np.uint8)
    pixels, notes = decode(encode(Image.fromarray(la, "LA"), "PNG"), "la")
    assert notes == ("alpha was composited on white",)
    assert np.array_equal(pixels[..., 0], on_white(la[..., 0], la[..., 1]))
    assert decode(encode(photo().convert("RGBA"), "PNG"), "opaque")[1] == ()


def test_transparent_palette_entries_and_colour_keys_become_white() -> None:
    image = photo().quantize(4)
    index = np.asarray(image)
    pixels, notes = decode(encode(image, "PNG", transparency=bytes([0, 255, 128, 255])), "palette")
    colours = np.array(image.getpalette()).reshape(-1, 3)[:4]
    expected = on_white(colours, np.array([[0], [255], [128], [255]]))
    assert notes == ("alpha was composited on white",)
    assert np.array_equal(pixels, expected[index])
    rgb = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)
    keyed, _ = decode(encode(Image.fromarray(rgb), "PNG", transparency=(10, 20, 30)), "key")
    assert keyed.tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_16_bit_grey_keeps_the_high_byte_and_says_so() -> None:
    rows = b"\0" + SAMPLES_16.astype(">u2").tobytes()
    note = ("16-bit samples were reduced to 8 bits by keeping the high bits",)
    in_png, notes = decode(png(len(SAMPLES_16), 1, 16, 0, rows), "grey16.png")
    assert notes == note
    assert np.array_equal(in_png[0, :, 1], SAMPLES_16 >> 8)
    for photometric in (1, 0):
        tags: dict[int, int | tuple[int, ...]] = {258: 16, 262: photometric, 277: 1}
        in_tiff, notes = decode(tiff(len(SAMPLES_16), 1, tags, SAMPLES_16.astype("<u2").tobytes()), "grey16.tif")
        assert notes == note
        grey = SAMPLES_16 >> 8
        assert np.array_equal(in_tiff[0, :, 1], grey if photometric else 255 - grey)


def test_12_bit_grey_tiff_uses_the_whole_range() -> None:
    packed = bytes.fromhex("fff800")  # 0xfff, 0x800
    pixels, notes = decode(tiff(2, 1, {258: 12, 262: 1, 277: 1}, packed), "grey12.tif")
    assert notes == ("12-bit samples were reduced to 8 bits by keeping the high bits",)
    assert pixels[0, :, 0].tolist() == [255, 128]


def test_16_bit_colour_keeps_the_high_byte() -> None:
    rgb = np.stack([SAMPLES_16, SAMPLES_16[::-1], SAMPLES_16 // 2], -1)
    in_png, notes = decode(png(len(rgb), 1, 16, 2, b"\0" + rgb.astype(">u2").tobytes()), "rgb16.png")
    assert notes == ("16-bit samples were reduced to 8 bits by keeping the high bits",)
    assert np.array_equal(in_png[0], rgb >> 8)
    tags: dict[int, int | tuple[int, ...]] = {258: (16, 16, 16), 262: 2, 277: 3}
    in_tiff, _ = decode(tiff(len(rgb), 1, tags, rgb.astype("<u2").tobytes()), "rgb16.tif")
    assert np.array_equal(in_tiff[0], rgb >> 8)


def test_16_bit_alpha_is_composited_and_a_16_bit_colour_key_is_ignored_with_a_warning() -> None:
    rgba = np.array([[65535, 0, 0, 65535], [0, 0, 0, 0]], ">u2")
    pixels, notes = decode(png(2, 1, 16, 6, b"\0" + rgba.tobytes()), "rgba16.png")
    assert pixels.tolist() == [[[255, 0, 0], [255, 255, 255]]]
    assert notes[-1] == "alpha was composited on white"
    key = chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    keyed, notes = decode(png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 1, 2, 3), key), "key16.png")
    assert keyed.tolist() == [[[0, 0, 0]]]
    assert notes[-1] == "the transparent colour of a picture with more than 8 bits was ignored"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (tiff(1, 1, {258: 32, 262: 1, 277: 1, 339: 3}, struct.pack("<f", 0.5)), "floating-point samples"),
        (tiff(1, 1, {258: 32, 262: 1, 277: 1}, struct.pack("<I", 7)), "32-bit or signed samples"),
        (tiff(1, 1, {258: (8, 8, 8), 262: 8, 277: 3}, b"\x80\0\0"), "samples of kind LAB"),
    ],
)
def test_samples_without_an_agreed_meaning_are_refused(content: bytes, found: str) -> None:
    with pytest.raises(ImageError, match=f"^odd.tif: has {found}; integers of 8 or 16 bits"):
        decode(content, "odd.tif")


def test_cmyk_without_a_profile_uses_the_plain_formula_also_where_adobe_inverted_it() -> None:
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255], [0, 100, 200, 50]]], np.uint8).repeat(8, 0)
    inks = inks.repeat(8, 1)
    expected = (255 - inks[..., :3].astype(int)) * (255 - inks[..., 3:].astype(int)) / 255
    image = Image.fromarray(inks, "CMYK")
    for content, tolerance in ((encode(image, "TIFF"), 0.51), (encode(image, "JPEG", quality=100), 3)):
        pixels, notes = decode(content, "inks")
        assert notes == ("CMYK without a usable profile was converted by the plain formula",)
        assert np.abs(pixels - expected).max() <= tolerance
    assert b"Adobe" in encode(image, "JPEG")


def test_cmyk_with_a_profile_uses_it() -> None:
    inks = np.zeros((1, 3, 4), np.uint8)
    inks[0, :, 3] = (0, 128, 255)
    pixels, notes = decode(encode(Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=ink_profile()), "inks")
    assert notes == ("colours were converted from the embedded profile 'Test' to sRGB",)
    # Oracle: K = 128 gives L* = 49.8, whose sRGB grey level is 118.5; the plain formula would give 127.
    assert np.abs(pixels[0].astype(int) - [[255] * 3, [118] * 3, [0] * 3]).max() <= 2


def test_a_wide_rgb_profile_is_converted_as_its_primaries_say() -> None:
    rgb = np.random.default_rng(1).integers(90, 160, (16, 16, 3)).astype(np.uint8)
    linear = (rgb / 255) ** (563 / 256) @ np.array(WIDE) @ np.linalg.inv(np.array(SRGB_XYZ))
    assert linear.min() > 0
    pixels, notes = decode(encode(Image.fromarray(rgb), "PNG", icc_profile=wide_profile()), "wide")
    assert notes == ("colours were converted from the embedded profile 'Test' to sRGB",)
    assert np.abs(pixels - srgb_levels(linear)).max() <= 1.5
    assert np.abs(pixels.astype(int) - rgb).max() > 10


def test_a_grey_profile_is_converted_through_its_curve() -> None:
    grey = np.arange(256, dtype=np.uint8)[None]
    profile = icc(b"GRAY", {b"kTRC": curve(1.0)})
    pixels, notes = decode(encode(Image.fromarray(grey), "PNG", icc_profile=profile), "linear")
    assert "converted" in notes[0]
    assert np.abs(pixels - srgb_levels(grey[..., None] / 255)).max() <= 1.5


def test_alpha_is_composited_after_colours_are_converted() -> None:
    rgba = np.array([[[120, 130, 110, 0], [120, 130, 110, 255]]], np.uint8)
    content = encode(Image.fromarray(rgba), "PNG", icc_profile=wide_profile())
    opaque = encode(Image.fromarray(np.ascontiguousarray(rgba[..., :3])), "PNG", icc_profile=wide_profile())
    pixels, notes = decode(content, "both")
    assert len(notes) == 2
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 1].tolist() == decode(opaque, "opaque")[0][0, 1].tolist()


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_an_srgb_profile_changes_nothing_and_is_not_mentioned(mode: str) -> None:
    image = photo().quantize(16) if mode == "P" else photo().convert(mode)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels, notes = decode(encode(image, "PNG", icc_profile=profile), "srgb")
    assert notes == ()
    assert np.array_equal(pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(
    ("profile", "note"),
    [
        (b"no profile at all", "is damaged and was ignored"),
        (wide_profile()[:200], "is damaged and was ignored"),
        (icc(b"GRAY", {b"kTRC": curve(1.0)}), "is for 'GRAY', not for this picture, and was ignored"),
        (ink_profile(), "is for 'CMYK', not for this picture, and was ignored"),
        (b"\0" * (17 * 2**20), "is damaged and was ignored"),
    ],
    ids=["text", "truncated", "grey", "cmyk", "huge"],
)
def test_a_profile_that_cannot_be_used_is_ignored_with_a_warning(profile: bytes, note: str) -> None:
    pixels, notes = decode(encode(photo(), "WEBP", lossless=True, icc_profile=profile), "broken")
    assert len(notes) == 1
    assert note in notes[0]
    assert np.array_equal(pixels, np.asarray(photo()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    content = encode(photo(), "PNG", exif=exif)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    pixels, notes = decode(content, "turned")
    assert notes == ()
    assert pixels.flags.c_contiguous
    assert np.array_equal(pixels, expected)
    in_tiff, _ = decode(encode(photo(), "TIFF", exif=exif), "turned.tif")
    assert np.array_equal(in_tiff, expected)


def test_orientation_6_puts_the_top_row_at_the_right() -> None:
    rgb = np.zeros((2, 3, 3), np.uint8)
    rgb[0] = 255
    exif = Image.Exif()
    exif[0x112] = 6
    pixels, _ = decode(encode(Image.fromarray(rgb), "PNG", exif=exif), "turned")
    assert pixels[..., 0].tolist() == [[0, 255]] * 3


def test_an_impossible_orientation_or_a_damaged_exif_block_is_no_reason_to_refuse() -> None:
    exif = Image.Exif()
    exif[0x112] = 99
    assert decode(encode(photo(), "PNG", exif=exif), "odd")[0].shape == (24, 32, 3)
    damaged = png(1, 1, 8, 0, b"\0\x07", chunk(b"eXIf", b"nonsense"))
    assert decode(damaged, "damaged")[1] == ("the EXIF block is damaged and was ignored",)


def test_conversion_in_bands_leaves_no_seam() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (1100, 2000, 4)).astype(np.uint8)  # three bands
    content = png(2000, 1100, 8, 6, b"".join(b"\0" + row.tobytes() for row in rgba))
    assert zlib.crc32(content) != 0
    pixels, _ = decode(content, "noise")
    assert np.array_equal(pixels, on_white(rgba[..., :3], rgba[..., 3:]))
