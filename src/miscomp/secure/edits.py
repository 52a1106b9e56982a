"""Edits of 8-bit pictures: the eight that SLIC is evaluated with, and those that a forger would use.

The eight are Table 2 of Huang and Wu, "A Secure Learned Image Codec for Authenticity Verification via Self-Destructive
Compression" (2024), as their published evaluation makes them with Pillow: the blur is Pillow's for radius 2, wider
than the 5 x 5 of the table, and the crop takes a tenth of the longer side off every side. Every edit keeps the size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from miscomp.errors import ImageError, MissingExtra
from miscomp.images import Pixels
from miscomp.metrics.psnr import check_pair
from miscomp.registry import Registry
from miscomp.secure.codec import through
from miscomp.secure.forgeries import Mask, inpaint, region, splice
from miscomp.training.jpeg_simulation import jpeg_pixels

FOREIGN_SHARE = 0.1
"""Of the picture, replaced by `splice` and `inpaint`."""

_BICUBIC, _BILINEAR = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR
_SHARPENING = (-1, -1, -1, -1, 9, -1, -1, -1, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Edited:
    """A picture after an edit."""

    pixels: Pixels
    foreign: Mask | None
    """(h, w): where content was replaced; none for edits of the whole picture, black borders included."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What an edit may use beside the picture."""

    seed: int
    donor: Pixels | None
    """Picture that foreign content comes from."""


Plain: TypeAlias = Callable[[Pixels], Pixels]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRow:
    """An edit by its name."""

    name: str
    title: str
    """For tables and plots, with the setting."""
    paper: bool = False
    """Whether it is one of the paper's eight."""
    apply: Callable[[Pixels, Given], Edited]
    """Called by `edit`, which checks both sides."""


def edit(name: str, pixels: Pixels, *, seed: int = 0, donor: Pixels | None = None) -> Edited:
    """Apply an edit of `EDITS` to pixels (h, w, 3); the same arguments give the same pixels, of the same size.

    `seed` decides about `noise`, `splice` and `inpaint` alone. `donor` is what `splice` takes its content from: give
    another picture that the codec under test has not seen; without one it is scikit-image's photograph of a cup.
    Raises `UnknownName`, `MissingExtra` without scikit-image (`splice` without a donor, `inpaint`), `ImageError` for
    a picture too small or too long for the edit, and `UsageError` for one too large for a file format.
    """
    check_pair(pixels, pixels)
    edited = EDITS[name].apply(np.ascontiguousarray(pixels), Given(seed, donor))
    check_pair(pixels, edited.pixels)
    return edited


def _crop(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    border = max(width, height) // 10
    if min(width, height) <= 2 * border:
        problem = f"{width} x {height} pixels less {border} on each side leave nothing"
        raise ImageError("picture", f"{problem}; the edit `crop` needs a picture less than five times as long as wide")
    kept = np.zeros_like(pixels)
    inside = (slice(border, height - border), slice(border, width - border))
    kept[inside] = pixels[inside]
    return kept


def _filtered(*kernel: ImageFilter.Filter) -> Plain:
    def change(pixels: Pixels) -> Pixels:
        image = Image.fromarray(pixels)
        for one in kernel:
            image = image.filter(one)
        return np.array(image)

    return change


def _lighten(pixels: Pixels) -> Pixels:
    """Pillow's 8-bit LAB, where 255 is the lightest; fractions are cut off."""
    light, a, b = Image.fromarray(pixels).convert("LAB").split()
    lighter = np.clip(np.asarray(light, dtype=np.float32) * 1.5, 0, 255).astype(np.uint8)
    return np.array(Image.merge("LAB", (Image.fromarray(lighter), a, b)).convert("RGB"))


def _equalise(pixels: Pixels) -> Pixels:
    return np.array(ImageOps.equalize(Image.fromarray(pixels)))


def _affine(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels)
    size = (max(int(image.width * 0.95), 1), max(int(image.height * 0.95), 1))
    moved = Image.new("RGB", image.size)
    moved.paste(image.rotate(10, resample=_BILINEAR).resize(size, _BICUBIC), (10, 0))
    return np.array(moved)


def _rotated(pixels: Pixels) -> Pixels:
    return np.array(Image.fromarray(pixels).rotate(2, resample=_BILINEAR))


def _jpeg(pixels: Pixels) -> Pixels:
    """Pillow's, at 4:2:0 as is its default; what the registry's `jpeg` does otherwise changes bytes only."""
    try:
        return jpeg_pixels(pixels, 85)
    except OSError as error:
        height, width = pixels.shape[:2]
        problem = f"{width} x {height} pixels cannot be a JPEG file: {error}"
        raise ImageError("picture", f"{problem}; JPEG holds 65500 pixels a side") from error


def _coded(codec: str, quality: float) -> Plain:
    return lambda pixels: through(codec, pixels, quality)


def _there_and_back(scale: float, resample: Image.Resampling) -> Plain:
    def change(pixels: Pixels) -> Pixels:
        image = Image.fromarray(pixels)
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        return np.array(image.resize(size, resample).resize(image.size, resample))

    return change


def _screenshot(pixels: Pixels) -> Pixels:
    """Shown a tenth larger, brightened as by another display's curve, and brought back to its size."""
    curve = np.rint(255 * (np.arange(256) / 255) ** (1 / 1.1)).astype(np.uint8)
    return _there_and_back(1.1, _BILINEAR)(curve[pixels])


def _noise(pixels: Pixels, given: Given) -> Edited:
    grain = np.random.default_rng(given.seed).normal(0, 2, pixels.shape)
    return Edited(np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8), None)


def _splice(pixels: Pixels, given: Given) -> Edited:
    mask = region(*pixels.shape[:2], share=FOREIGN_SHARE, seed=given.seed, kind="blob")
    donor = _cup() if given.donor is None else given.donor
    return Edited(splice(pixels, donor, mask), mask)


def _inpaint(pixels: Pixels, given: Given) -> Edited:
    mask = region(*pixels.shape[:2], share=FOREIGN_SHARE, seed=given.seed, kind="ellipse")
    return Edited(inpaint(pixels, mask, seed=given.seed), mask)


def _cup() -> Pixels:
    try:
        from skimage.data import coffee
    except ImportError:
        raise MissingExtra("scikit-image", "demo", "a splice without a donor") from None
    return np.ascontiguousarray(coffee(), dtype=np.uint8)


def _plain(*steps: Plain) -> Callable[[Pixels, Given], Edited]:
    """Edits of the whole picture, one after the other."""

    def apply(pixels: Pixels, given: Given) -> Edited:
        for step in steps:
            pixels = step(pixels)
        return Edited(pixels, None)

    return apply


_blur = _filtered(ImageFilter.GaussianBlur(2))
_half = _there_and_back(0.5, _BICUBIC)

EDITS: Registry[EditRow] = Registry(
    "edit",
    [
        EditRow(name="crop", title="Crop to the centre", paper=True, apply=_plain(_crop)),
        EditRow(name="blur", title="Gaussian blur, sigma 2", paper=True, apply=_plain(_blur)),
        EditRow(name="median", title="Median 5 x 5", paper=True, apply=_plain(_filtered(ImageFilter.MedianFilter(5)))),
        EditRow(
            name="sharpen",
            title="Sharpen",
            paper=True,
            apply=_plain(_filtered(ImageFilter.Kernel((3, 3), _SHARPENING, scale=1))),
        ),
        EditRow(name="lighten", title="Lighten, L x 1.5", paper=True, apply=_plain(_lighten)),
        EditRow(name="equalise", title="Equalise the histogram", paper=True, apply=_plain(_equalise)),
        EditRow(name="affine", title="Rotate 10 degrees, 95 %, shift", paper=True, apply=_plain(_affine)),
        EditRow(name="jpeg", title="JPEG 85", paper=True, apply=_plain(_jpeg)),
        EditRow(name="webp", title="WebP 80", apply=_plain(_coded("webp", 80))),
        EditRow(name="avif", title="AVIF 60", apply=_plain(_coded("avif", 60))),
        EditRow(name="half", title="Resize to 50 % and back", apply=_plain(_half)),
        EditRow(name="three-quarters", title="Resize to 75 % and back", apply=_plain(_there_and_back(0.75, _BICUBIC))),
        EditRow(name="screenshot", title="Screenshot: gamma 1/1.1, 110 % and back", apply=_plain(_screenshot)),
        EditRow(name="noise", title="Gaussian noise, sigma 2", apply=_noise),
        EditRow(name="splice", title="Splice of a tenth", apply=_splice),
        EditRow(name="inpaint", title="Inpainting of a tenth", apply=_inpaint),
        EditRow(name="half+jpeg", title="Resize to 50 % and back, JPEG 85", apply=_plain(_half, _jpeg)),
        EditRow(name="rotate+jpeg", title="Rotate 2 degrees, JPEG 85", apply=_plain(_rotated, _jpeg)),
        EditRow(name="screenshot+jpeg", title="Screenshot, JPEG 85", apply=_plain(_screenshot, _jpeg)),
        EditRow(name="affine+blur+jpeg", title="Affine, blur, JPEG 85", apply=_plain(_affine, _blur, _jpeg)),
    ],
)
