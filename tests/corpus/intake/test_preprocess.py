"""From photograph to corpus picture. Oracles: Pillow's own crop and resize, and what SCLIC's sizes have to fulfil."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from miscomp.corpus.config import Images
from miscomp.corpus.intake.preprocess import (
    NotThreeChannels,
    final_size,
    need_three_channels,
    preprocess,
    scaled_size,
    share_of,
)
from miscomp.formats import open_source
from miscomp.images import Pixels

SIDES = st.integers(1, 400)


def noise(width: int, height: int) -> Pixels:
    return np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), np.uint8)


@given(SIDES, SIDES, st.sampled_from([1, 2, 16]), st.integers(16, 300), st.sampled_from([0.1, 0.4, 0.75, 1.0]))
def test_the_result_is_of_multiples_no_larger_than_allowed_and_never_larger_than_before(
    width: int, height: int, multiple: int, max_side: int, share: float
) -> None:
    images = Images(multiple=multiple, max_side=max_side)
    size = final_size(width, height, images, share=share)
    assert all(side % multiple == 0 and side <= max_side for side in size)
    assert size[0] <= width and size[1] <= height
    # Rounding adds at most half a pixel, but for the one pixel that no side falls below.
    assert all(side <= max(1, share * before + 0.5) for side, before in zip(size, (width, height), strict=True))
    if min(size) > 0:
        made = preprocess(noise(width, height), images, share=share)
        assert made.shape == (size[1], size[0], 3) and made.dtype == np.uint8
    else:
        with pytest.raises(ValueError, match="nothing is left"):
            preprocess(noise(width, height), images, share=share)


@given(st.integers(1, 6000), st.integers(1, 6000))
def test_one_factor_scales_both_sides_and_the_longer_becomes_the_largest_allowed(width: int, height: int) -> None:
    size = scaled_size(width, height, max_side=2304)
    factor = min(1.0, 2304 / max(width, height))
    assert max(size) == min(2304, max(width, height))
    for side, before in zip(size, (width, height), strict=True):
        assert side >= 1 and abs(side - max(1, before * factor)) <= 0.5


@pytest.mark.parametrize(
    ("size", "share", "expected"),
    [
        ((768, 512), 1.0, (768, 512)),
        ((4928, 3264), 0.4, (1968, 1296)),  # 1971.2 x 1305.6 after the share, a RAISE picture of the largest camera
        ((7360, 4912), 0.4, (2304, 1536)),  # 40 % would be 2944: the maximum asks for less
        ((2040, 1356), 1.0, (2032, 1344)),  # DIV2K: cropped, not scaled
        ((2321, 1000), 1.0, (2304, 976)),  # 2320 x 992 becomes 2304 x 985.16
        ((15, 400), 1.0, (0, 0)),
        ((20000, 16), 1.0, (0, 0)),
    ],
)
def test_sizes_of_the_papers_sources_worked_by_hand(
    size: tuple[int, int], share: float, expected: tuple[int, int]
) -> None:
    assert final_size(*size, Images(), share=share) == expected


def test_halves_are_rounded_up() -> None:
    assert scaled_size(32, 5, max_side=16) == (16, 3)  # 2.5 would be 2 by Python's rounding
    assert scaled_size(16, 25, max_side=64, share=0.5) == (8, 13)


def test_nothing_is_enlarged_whatever_is_asked_for() -> None:
    assert scaled_size(16, 25, max_side=64, share=3.0) == (16, 25)


def test_pixels_are_those_of_pillows_crop_and_lanczos() -> None:
    pixels = noise(333, 211)
    image = Image.fromarray(pixels)
    # By hand: 320 x 208 from (6, 1); times 100/320 is 100 x 65; multiples of 16 are 96 x 64 from (2, 0).
    scaled = image.crop((6, 1, 326, 209)).resize((100, 65), Image.Resampling.LANCZOS)
    expected = np.asarray(scaled.crop((2, 0, 98, 64)))
    assert np.array_equal(preprocess(pixels, Images(max_side=100)), expected)


def test_a_picture_that_fits_is_unchanged_and_one_that_is_a_little_large_is_cropped_at_the_centre() -> None:
    pixels = noise(64, 48)
    assert np.array_equal(preprocess(pixels, Images()), pixels)
    framed = np.zeros((55, 71, 3), np.uint8)
    framed[3:51, 3:67] = pixels  # an odd rest of 7: 3 before, 4 after
    assert np.array_equal(preprocess(framed, Images()), pixels)


def test_a_second_pass_changes_nothing() -> None:
    images = Images(max_side=128)
    once = preprocess(noise(333, 211), images)
    assert np.array_equal(preprocess(once, images), once)


def test_a_sources_share_is_found_whatever_its_capitals() -> None:
    scales = {"RAISE": 0.4, "raise": 0.3}
    assert share_of({"RAISE": 0.4}, "raise") == 0.4
    assert (share_of(scales, "RAISE"), share_of(scales, "raise"), share_of(scales, "CLIC")) == (0.4, 0.3, 1.0)


def saved(mode: str, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (8, 8)).save(file, format=format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (saved("L", "PNG"), "grey"),
        (saved("1", "PNG"), "grey"),
        (saved("I;16", "PNG"), "grey"),
        (saved("L", "JPEG"), "grey"),
        (saved("LA", "PNG"), "grey and alpha"),
        (saved("P", "PNG"), "a palette"),
        (saved("RGBA", "PNG"), "RGB and alpha"),
        (saved("RGBA", "TIFF"), "RGB and alpha"),
        (saved("RGBA", "WEBP", lossless=True), "RGB and alpha"),
        (saved("CMYK", "JPEG"), "CMYK"),
        (saved("CMYK", "TIFF"), "CMYK"),
        (saved("RGB", "PNG", transparency=(0, 0, 0)), "RGB with a transparent colour"),
    ],
)
def test_what_is_not_stored_as_three_channels_is_refused(content: bytes, found: str) -> None:
    with pytest.raises(NotThreeChannels, match=f"stored as {found}; three"):
        need_three_channels(open_source(content, "x", 1), "x")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "JPEG2000"])
def test_three_channels_pass_in_every_format(format: str) -> None:
    need_three_channels(open_source(saved("RGB", format), "x", 1), "x")
