"""From any Pillow picture to 8-bit sRGB pixels, in a stated way.

- 16-bit grey keeps the high byte (v >> 8), as Pillow does for 16-bit colour.
- An embedded ICC profile is converted to sRGB with relative colorimetric intent and black point compensation,
  so that colours inside sRGB keep their place. A profile that already is sRGB (to within one level) changes nothing.
- CMYK without a profile becomes (255 - C)(255 - K) / 255 and so on, with 255 for full ink.
- Alpha is composited on white after colour conversion: round((a * v + (255 - a) * 255) / 255).

The picture is converted in bands of rows, so that it never needs a second full copy in another mode.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

from miscomp.errors import ImageError
from miscomp.formats import Source

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Height x width x 3, sRGB, C-contiguous."""

Transform: TypeAlias = Callable[[Image.Image], Image.Image]

MAX_PROFILE_BYTES = 16 * 2**20
_BAND_PIXELS = 2**20
_GREY = frozenset(("1", "L", "LA", "I;16"))
_ALPHA = frozenset(("LA", "RGBA", "PA"))
_SIMPLE = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I;16"))


def to_srgb(source: Source, where: object) -> tuple[Pixels, tuple[str, ...]]:
    """Decode and convert; the second value says in words what was changed on the way. Closes the picture."""
    image = source.image
    image.load()
    notes = list(source.notes)
    mode = _plain_mode(image, source.format, where)
    if source.bits > 8:
        how = "keeping the high bits" if source.format in ("PNG", "TIFF") else "the decoder"
        notes.append(f"{source.bits}-bit samples were reduced to 8 bits by {how}")
        if "transparency" in image.info:
            del image.info["transparency"]
            notes.append("the transparent colour of a picture with more than 8 bits was ignored")
    transform = _transform(image.info.get("icc_profile"), mode, notes)
    if mode == "CMYK" and transform is None:
        notes.append("CMYK without a usable profile was converted by the plain formula")
    orientation = _orientation(image.info.get("exif"), notes) if source.format != "TIFF" else 1
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _BAND_PIXELS // image.width)
    transparent = False
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        colours, alpha = _split(_to_eight_bits(band, source), transform)
        if alpha is not None and alpha.min() < 255:
            transparent = True
            colours = _on_white(colours, alpha)
        pixels[top : top + rows] = colours
    if transparent:
        notes.append("alpha was composited on white")
    image.close()
    return _turn(pixels, orientation), tuple(notes)


def _plain_mode(image: Image.Image, format: str, where: object) -> str:
    """Name the mode that the bands will have; refuse modes whose values have no agreed meaning as a picture."""
    mode = {"La": "LA", "RGBa": "RGBA", "I;16B": "I;16", "I;16L": "I;16", "I;16N": "I;16"}.get(image.mode, image.mode)
    if mode == "I" and format == "PNG":
        mode = "I;16"  # older Pillow
    if mode not in _SIMPLE:
        kind = {"F": "floating-point samples", "I": "32-bit or signed samples"}.get(mode, f"samples of kind {mode}")
        raise ImageError(where, f"has {kind}; integers of 8 or 16 bits in grey, RGB or CMYK are allowed: convert it")
    return mode


def _to_eight_bits(band: Image.Image, source: Source) -> Image.Image:
    if band.mode in ("La", "RGBa"):
        return band.convert({"La": "LA", "RGBa": "RGBA"}[band.mode])
    if not band.mode.startswith("I"):
        return band
    # Pillow leaves 12-bit TIFF at 0 to 4095 and does not turn 16-bit TIFF round where white is zero.
    shift = source.bits - 8 if source.format == "TIFF" else 8
    grey = (np.asarray(band) >> shift).astype(np.uint8)
    tags = getattr(source.image, "tag_v2", {})
    return Image.fromarray(255 - grey if tags.get(ExifTags.Base.PhotometricInterpretation) == 0 else grey)


def _split(band: Image.Image, transform: Transform | None) -> tuple[Pixels, npt.NDArray[np.uint8] | None]:
    """Colours as sRGB and alpha, where there is any."""
    alpha = None
    if band.mode in _ALPHA or "transparency" in band.info:
        with_alpha = band.convert("RGBA")
        alpha = np.asarray(with_alpha.getchannel("A"))
        band = with_alpha.convert("RGB")
    if transform is not None:
        band = transform(band)
    return np.asarray(band.convert("RGB")), alpha


def _on_white(colours: Pixels, alpha: npt.NDArray[np.uint8]) -> Pixels:
    weight = alpha[..., None].astype(np.uint16)
    return ((colours * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)


def _transform(icc: object, mode: str, notes: list[str]) -> Transform | None:
    """Conversion of bands to sRGB, or `None` where there is nothing to convert; a broken profile is noted."""
    if not icc:
        return None
    try:
        if not isinstance(icc, bytes) or len(icc) > MAX_PROFILE_BYTES:
            raise ValueError("not a profile of at most 16 MiB")
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
        base = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space, "")
        if not base or (base == "CMYK") != (mode == "CMYK") or (base == "L" and mode not in _GREY):
            notes.append(f"the embedded colour profile is for {space!r}, not for this picture, and was ignored")
            return None
        convert = _conversion(profile, base)
        if base != "CMYK" and _changes_nothing(convert, base):
            return None
        name = " ".join(ImageCms.getProfileDescription(profile).split())[:60]
    except Exception as error:  # whatever a hostile profile provokes
        notes.append(f"the embedded colour profile is damaged and was ignored ({error})")
        return None
    notes.append(f"colours were converted from the embedded profile {name!r} to sRGB")
    return convert


def _conversion(profile: ImageCms.ImageCmsProfile, base: str) -> Transform:
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if base == "L":
        flags |= ImageCms.Flags.NOOPTIMIZE  # the optimised grey path is up to 10 levels off for a linear profile
    srgb = ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    to_rgb = ImageCms.buildTransform(profile, srgb, base, "RGB", intent, flags)

    def convert(band: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(band.convert(base), to_rgb)
        if converted is None:
            raise ValueError("the colour conversion gave no picture")
        return converted

    if base != "L":
        return convert
    table = np.asarray(convert(Image.fromarray(np.arange(256, dtype=np.uint8)[None])))[0]
    return lambda band: Image.fromarray(table[np.asarray(band.convert("L"))])


def _changes_nothing(convert: Transform, base: str) -> bool:
    """Whether a profile is sRGB in effect: no colour of a grid moves by more than one level."""
    if base == "L":
        colours = np.arange(256, dtype=np.uint8)[None]
    else:
        steps = np.linspace(0, 255, 18).astype(np.uint8)
        colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    before = Image.fromarray(colours)
    moved = np.asarray(convert(before)).astype(int) - np.asarray(before.convert("RGB"))
    return bool(np.abs(moved).max() <= 1)


def _orientation(block: object, notes: list[str]) -> int:
    """EXIF orientation 1 to 8. Only EXIF counts: XMP may still hold the orientation of an earlier version."""
    if not isinstance(block, bytes):
        return 1
    try:
        exif = Image.Exif()
        exif.load(block)
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # whatever a damaged block provokes
        notes.append("the EXIF block is damaged and was ignored")
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation: 2 to 4 mirror or half turn, 5 to 8 swap width and height."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
