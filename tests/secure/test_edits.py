from __future__ import annotations

import io
import math
import sys
from functools import reduce

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy import ndimage

from miscomp.codecs.catalog import open_codec
from miscomp.errors import ImageError, MissingExtra, UnknownName, UsageError
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr_pixels
from miscomp.secure.edits import EDITS, edit

PAPER = ("crop", "blur", "median", "sharpen", "lighten", "equalise", "affine", "jpeg")
FOREIGN = ("splice", "inpaint")


def noise(height: int, width: int, *, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int, *, low: int = 40, high: int = 215) -> Pixels:
    """Soft blobs of colour, with values from `low` to `high`."""
    waves = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(height, width, 3)), (6, 6, 0))
    waves = (waves - waves.min()) / np.ptp(waves)
    pixels: Pixels = np.rint(low + (high - low) * waves).astype(np.uint8)
    return pixels


def dot(height: int, width: int, x: float, y: float) -> Pixels:
    """A soft white dot on black, its middle at (x, y), where pixel 0 reaches from 0 to 1."""
    ys, xs = np.mgrid[:height, :width] + 0.5
    bright = 255 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 18)
    pixels: Pixels = np.rint(bright).astype(np.uint8)[..., None].repeat(3, axis=2)
    return pixels


def middle(pixels: Pixels) -> tuple[float, float]:
    ys, xs = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
    weights = pixels[..., 0].astype(float)
    return float((xs * weights).sum() / weights.sum()), float((ys * weights).sum() / weights.sum())


def turned(x: float, y: float, *, degrees: float, around: tuple[float, float]) -> tuple[float, float]:
    """Counter-clockwise on the screen, where y points down."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    dx, dy = x - around[0], y - around[1]
    return around[0] + cos * dx + sin * dy, around[1] - sin * dx + cos * dy


def difference(a: Pixels, b: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return np.asarray(np.abs(a.astype(float) - b.astype(float)))


def test_the_paper_has_eight_edits_and_every_title_is_its_own() -> None:
    assert tuple(row.name for row in EDITS if row.paper) == PAPER
    assert len({row.title for row in EDITS}) == len(EDITS)


@pytest.mark.parametrize("name", EDITS.names)
def test_an_edit_keeps_the_size_changes_something_and_repeats_itself(name: str) -> None:
    pytest.importorskip("skimage", reason="the extra 'demo' is not installed")
    for height, width in ((64, 64), (67, 101)):
        x = noise(height, width)
        before = x.copy()
        first, again = edit(name, x, seed=4), edit(name, x, seed=4)
        assert first.pixels.shape == x.shape and first.pixels.dtype == np.uint8
        assert np.array_equal(first.pixels, again.pixels)
        assert np.array_equal(x, before) and not np.array_equal(x, first.pixels)
        if name in FOREIGN:
            assert first.foreign is not None and first.foreign.mean() == pytest.approx(0.1, rel=0.1)
            assert np.array_equal(first.pixels[~first.foreign], x[~first.foreign])
        else:
            assert first.foreign is None


@pytest.mark.parametrize("name", [name for name in EDITS.names if name not in FOREIGN])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 7), (30, 7)])
def test_tiny_pictures_and_read_only_ones_can_be_edited(name: str, size: tuple[int, int]) -> None:
    x = noise(*size)
    x.setflags(write=False)
    assert edit(name, x).pixels.shape == x.shape


@pytest.mark.parametrize("name", FOREIGN)
def test_a_picture_without_room_for_a_region_is_an_error_that_says_so(name: str) -> None:
    with pytest.raises(ImageError, match="1 x 1 pixels hold no"):
        edit(name, noise(1, 1), donor=noise(9, 9))


def test_an_unknown_edit_names_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'equalise'"):
        edit("equalize", noise(9, 9))


def test_the_crop_keeps_what_is_a_tenth_of_the_longer_side_from_every_side() -> None:
    x = noise(40, 64)
    cropped = edit("crop", x).pixels
    for row, column in ((5, 30), (6, 30), (33, 30), (34, 30), (20, 5), (20, 6), (20, 57), (20, 58)):
        kept = 6 <= row < 34 and 6 <= column < 58
        assert np.array_equal(cropped[row, column], x[row, column] if kept else np.zeros(3))
    assert cropped.any(2).sum() <= 28 * 52
    with pytest.raises(ImageError, match="100 x 20 pixels less 10 on each side leave nothing"):
        edit("crop", noise(20, 100))


def test_the_blur_is_a_gaussian_of_sigma_two() -> None:
    x = smooth(60, 80)
    x[30, 40] = 255
    # Oracle: scipy's Gaussian; Pillow approximates it by three running means.
    assert difference(edit("blur", x).pixels, ndimage.gaussian_filter(x.astype(float), (2, 2, 0))).max() < 3
    # The variance of a row of the dot grows by that of the kernel, 4; whole levels cost some of it.
    x = dot(60, 80, 40, 30)
    spreads = []
    for pixels in (x, edit("blur", x).pixels):
        weights = pixels[30, :, 0].astype(float)
        spreads.append(float((weights * (np.arange(80) - 39.5) ** 2).sum() / weights.sum()))
    assert spreads[1] - spreads[0] == pytest.approx(4, abs=0.3)


def test_the_median_is_that_of_five_by_five_pixels() -> None:
    x = noise(30, 40)
    expected = ndimage.median_filter(x, (5, 5, 1))
    assert np.array_equal(edit("median", x).pixels[2:-2, 2:-2], expected[2:-2, 2:-2])


def test_sharpening_is_nine_times_the_pixel_less_its_neighbours() -> None:
    x = smooth(30, 40)
    kernel = np.full((3, 3, 1), -1.0)
    kernel[1, 1] = 9
    expected = np.clip(ndimage.convolve(x.astype(float), kernel), 0, 255)
    assert difference(edit("sharpen", x).pixels[1:-1, 1:-1], expected[1:-1, 1:-1]).max() < 0.51


def test_lightening_multiplies_the_lightness_of_lab() -> None:
    colour = pytest.importorskip("skimage.color", reason="the extra 'demo' is not installed")
    # Muted colours: what leaves the gamut is clipped in other ways by other programs.
    x = smooth(40, 60, low=70, high=130)
    lab = colour.rgb2lab(x)
    lab[..., 0] = np.minimum(lab[..., 0] * 1.5, 100)
    expected = 255 * colour.lab2rgb(lab)
    off = difference(edit("lighten", x).pixels, expected)
    # Pillow's LAB has 8 bits: half a step of a* and b* is up to two levels of a channel.
    assert off.max() <= 5 and off.mean() < 1.5
    white = edit("lighten", np.full((4, 4, 3), 200, np.uint8)).pixels
    assert white.min() >= 253


def test_equalising_makes_every_channel_uniform_by_itself() -> None:
    exposure = pytest.importorskip("skimage.exposure", reason="the extra 'demo' is not installed")
    x = (noise(120, 100) // 3 + np.array([10, 60, 120])).astype(np.uint8)
    found = edit("equalise", x).pixels
    for c in range(3):
        # scikit-image maps a level to the share of pixels up to it, Pillow to that below it: one bin apart.
        assert difference(found[..., c], 255 * exposure.equalize_hist(x[..., c])).max() < 6


def test_the_affine_edit_moves_a_point_where_geometry_says() -> None:
    height, width = 151, 203
    for x, y in ((100.0, 70.0), (60.5, 40.0), (150.0, 110.5)):
        at = turned(x, y, degrees=10, around=(width / 2, height / 2))
        expected = (at[0] * int(0.95 * width) / width + 10, at[1] * int(0.95 * height) / height)
        assert middle(edit("affine", dot(height, width, x, y)).pixels) == pytest.approx(expected, abs=0.05)
    white = edit("affine", np.full((100, 100, 3), 255, np.uint8)).pixels
    assert not white[:, :10].any() and not white[95:].any() and white[50, 50].min() == 255


def test_the_rotation_of_a_combination_is_two_degrees() -> None:
    x, y = 150.0, 40.0
    expected = turned(x, y, degrees=2, around=(100, 75))
    assert middle(edit("rotate+jpeg", dot(150, 200, x, y)).pixels) == pytest.approx(expected, abs=0.3)


def test_jpeg_has_quality_85_with_halved_chroma() -> None:
    x = smooth(50, 70)
    found = edit("jpeg", x).pixels
    # Oracles: the registry's JPEG, whose other Huffman tables change no pixel, and OpenCV's encoder.
    codec = open_codec("jpeg")
    assert np.array_equal(found, codec.decompress(codec.compress(x, 85)))
    settings = [cv2.IMWRITE_JPEG_QUALITY, 85, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    coded = cv2.imdecode(cv2.imencode(".jpg", x[..., ::-1], settings)[1], cv2.IMREAD_COLOR)
    assert coded is not None and difference(found, coded[..., ::-1]).max() <= 2


def test_webp_and_avif_are_those_of_pillow() -> None:
    x = smooth(50, 70)
    for name, settings in (
        ("webp", {"quality": 80, "method": 6}),
        ("avif", {"quality": 60, "speed": 6, "subsampling": "4:2:0"}),
    ):
        file = io.BytesIO()
        Image.fromarray(x).save(file, format=name, **settings)
        assert np.array_equal(edit(name, x).pixels, np.asarray(Image.open(file).convert("RGB")))


def test_a_picture_too_long_for_a_format_is_an_error_that_says_so() -> None:
    with pytest.raises(ImageError, match="65501 x 1 pixels cannot be a JPEG"):
        edit("jpeg", np.zeros((1, 65501, 3), np.uint8))
    with pytest.raises(UsageError, match="webp"):
        edit("webp", np.zeros((1, 16384, 3), np.uint8))


@pytest.mark.parametrize(("name", "kept"), [("half", 0.5), ("three-quarters", 0.75)])
def test_resizing_keeps_coarse_waves_and_loses_those_finer_than_the_smaller_grid(name: str, kept: float) -> None:
    columns = np.arange(120) + 0.5
    amplitudes = []
    # Cycles per pixel, against the smaller grid's limit of kept / 2.
    for frequency in (kept / 8, kept * 0.65):
        wave = np.rint(128 + 100 * np.cos(2 * np.pi * frequency * columns)).astype(np.uint8)
        found = edit(name, np.broadcast_to(wave[None, :, None], (40, 120, 3))).pixels[20, 20:-20, 0]
        amplitudes.append(found.std() / wave[20:-20].std())
    assert amplitudes[0] > 0.9 and amplitudes[1] < 0.5


def test_a_screenshot_follows_the_curve_and_keeps_the_place() -> None:
    for level in (0, 30, 128, 255):
        expected = 255 * (level / 255) ** (1 / 1.1)
        assert (
            difference(edit("screenshot", np.full((30, 40, 3), level, np.uint8)).pixels, np.array(expected)).max()
            <= 0.5
        )
    assert middle(edit("screenshot", dot(60, 90, 31, 22)).pixels) == pytest.approx((31, 22), abs=0.05)


def test_noise_has_sigma_two_and_comes_from_the_seed() -> None:
    x = np.full((100, 100, 3), 128, np.uint8)
    found = edit("noise", x, seed=1).pixels - 128.0
    # Rounding to whole levels adds a variance of 1 / 12.
    assert found.std() == pytest.approx(math.sqrt(4 + 1 / 12), rel=0.02) and abs(found.mean()) < 0.05
    assert not np.array_equal(found, edit("noise", x, seed=2).pixels - 128.0)


@pytest.mark.parametrize("name", ["half+jpeg", "screenshot+jpeg", "affine+blur+jpeg"])
def test_a_combination_is_its_parts_one_after_the_other(name: str) -> None:
    x = smooth(60, 80)
    parts = reduce(lambda pixels, part: edit(part, pixels).pixels, name.split("+"), x)
    assert np.array_equal(edit(name, x).pixels, parts)


def test_a_splice_takes_its_content_from_the_donor() -> None:
    x, donor = noise(60, 80), np.full((60, 80, 3), (250, 5, 5), np.uint8)
    found = edit("splice", x, donor=donor)
    assert found.foreign is not None
    deep = ndimage.distance_transform_edt(found.foreign) >= 3
    assert deep.any() and np.array_equal(found.pixels[deep], donor[deep])
    elsewhere = edit("splice", x, seed=1, donor=donor).foreign
    assert elsewhere is not None and not np.array_equal(found.foreign, elsewhere)


def test_a_splice_without_donor_or_scikit_image_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(MissingExtra, match=r"miscomp\[demo\]"):
        edit("splice", noise(60, 80))
    assert edit("splice", noise(60, 80), donor=noise(9, 9)).foreign is not None


def test_mild_edits_are_mild() -> None:
    x = smooth(96, 96)
    for name in ("jpeg", "webp", "avif", "half", "three-quarters", "noise"):
        # Losses of 30 dB and more: what a viewer would hardly see.
        assert psnr_pixels(x, edit(name, x).pixels) > 30
