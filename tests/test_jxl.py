"""The part of JPEG XL that is parsed before the plugin decodes; oracle: streams written by libjxl."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_jxl  # noqa: F401
import pytest
from PIL import Image

from miscomp.errors import ImageError
from miscomp.images import decode
from miscomp.jxl import CONTAINER, codestream, read_header

RGB16 = bytes.fromhex(
    "ff0a1810fc00142d020804010050014b188b150a2504e362735e0064f576818000e8fffdbffff7fffedffffb7fffeffffdbffff7fffedffff"
    "bbf8a6ffdcfe6bcda7eebadb7de7aebadb7de7aeb7dabba0ddc293fdb0000c0f7fa56cfb6876d27dbb90d"
)
"""4 x 4 pixels, 16 bits, lossless: sample i is 1365 i."""
FILM = bytes.fromhex(
    "ff0a1810411300880908040100ac004b2837d61fbc5750300b513c48d8268093297c818000f6cfcccccccccccc04009024499224495a850a"
    "152a08040500ac004b2837d61fbc5750300b513c48d8268093297c818000f6cfcccccccccccc04009024499224495a850a152a"
)
"""Two frames of 4 x 4 pixels."""


def encode(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JXL", lossless=True, effort=1, **options)
    return file.getvalue()


def box(kind: bytes, payload: bytes) -> bytes:
    return (8 + len(payload)).to_bytes(4, "big") + kind + payload


@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (7, 3), (8, 8), (16, 256), (256, 160), (264, 8), (513, 2), (2, 600), (400, 300), (1920, 16), (9000, 1)],
)
@pytest.mark.parametrize(("mode", "extra"), [("L", 0), ("RGB", 0), ("RGBA", 1)])
def test_header_has_the_size_and_channels_that_were_encoded(width: int, height: int, mode: str, extra: int) -> None:
    header = read_header(codestream(encode(Image.new(mode, (width, height)))))
    assert (header.width, header.height, header.animated, header.bits) == (width, height, False, 8)
    assert header.extra_channels == extra


@pytest.mark.parametrize(("width", "height"), [(240, 200), (160, 120), (150, 100), (160, 90), (125, 100), (200, 100)])
def test_header_follows_the_coded_aspect_ratios(width: int, height: int) -> None:
    header = read_header(codestream(encode(Image.new("RGB", (width, height)))))
    assert (header.width, header.height) == (width, height)


def srgb_levels(linear: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_16_bit_samples_are_reduced_by_the_decoder_and_a_linear_profile_is_followed() -> None:
    pixels, notes = decode(RGB16, "deep.jxl")
    assert notes[0] == "16-bit samples were reduced to 8 bits by the decoder"
    assert "converted from the embedded profile 'RGB_D65_SRG_Rel_Lin'" in notes[1]
    levels = np.arange(48) * 1365 / 257  # libjxl may dither by one level, which is much in the shadows
    assert (pixels.reshape(-1) >= srgb_levels((levels - 1).clip(0) / 255) - 1).all()
    assert (pixels.reshape(-1) <= srgb_levels((levels + 1) / 255) + 1).all()


def test_16_bit_grey_keeps_the_high_byte_and_its_linear_profile_is_followed() -> None:
    grey = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    pixels, notes = decode(encode(Image.fromarray(grey)), "grey.jxl")  # this writer marks 16 bits as linear
    assert notes[0] == "16-bit samples were reduced to 8 bits by the decoder"
    assert np.abs(pixels[..., 0] - srgb_levels((grey >> 8) / 255)).max() <= 1


def test_an_animation_is_refused_though_the_plugin_would_show_its_first_frame() -> None:
    with pytest.raises(ImageError, match="more than one frame"):
        decode(FILM, "film.jxl")


def test_alpha_is_composited_and_lossless_colours_stay() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (5, 6, 4)).astype(np.uint8)
    rgba[..., 3] = 255
    assert np.array_equal(decode(encode(Image.fromarray(rgba)), "a.jxl")[0], rgba[..., :3])
    rgba[0, 0, 3] = 0
    pixels, notes = decode(encode(Image.fromarray(rgba)), "a.jxl")
    assert notes == ("alpha was composited on white",)
    assert pixels[0, 0].tolist() == [255] * 3


def test_codestream_is_found_in_every_box_layout() -> None:
    start = CONTAINER + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    parts = box(b"jxlp", b"\0\0\0\0" + RGB16[:40]) + box(b"Exif", b"x") + box(b"jxlp", b"\x80\0\0\1" + RGB16[40:])
    whole_to_the_end = b"\0\0\0\0jxlc" + RGB16
    long = b"\0\0\0\1jxlc" + (16 + len(RGB16)).to_bytes(8, "big") + RGB16
    for layout in (box(b"jxlc", RGB16), parts, whole_to_the_end, long):
        assert codestream(start + layout) == RGB16
        assert np.array_equal(decode(start + layout, "boxed.jxl")[0], decode(RGB16, "bare.jxl")[0])


@pytest.mark.parametrize("tail", [b"", box(b"jxlc", b""), b"\0\0\0\4jxlc", b"\x7f\xff\xff\xffjxlc", b"\0\0\0\1jxlc"])
def test_a_container_without_a_usable_codestream_is_refused(tail: bytes) -> None:
    with pytest.raises(ImageError, match=r"^boxes.jxl: "):
        decode(CONTAINER + tail, "boxes.jxl")


def test_thousands_of_extra_channels_are_refused_before_decoding() -> None:
    # small, 8 rows, ratio 1:1, not default, no extra fields, integer of 8 bits, 16-bit buffers, 1 + 4095 channels
    bits = "1" + "00000" + "100" + "0" + "0" + "0" + "00" + "1" + "11" + "1" * 12
    content = b"\xff\x0a" + int(bits[::-1], 2).to_bytes(16, "little")
    assert read_header(content).extra_channels == 4096
    with pytest.raises(ImageError, match="has 4096 extra channels; at most 4 are allowed"):
        decode(content, "channels.jxl")
