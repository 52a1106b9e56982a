"""One file on its way into a corpus: read, checked, preprocessed, coded; nothing is written, nothing looked up."""

from __future__ import annotations

import hashlib
from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from miscomp.corpus.config import Images
from miscomp.corpus.intake.files import Found
from miscomp.corpus.intake.preprocess import NotThreeChannels, final_size, need_three_channels, preprocess
from miscomp.errors import ImageError, TooLarge
from miscomp.images import decode, encode_png, pixel_sha256, read_file
from miscomp.report.wording import one_line

MAX_REASON = 1000
"""Characters of a reason; what a damaged file provokes can be long."""


class Refusal(StrEnum):
    """Why a file was not taken in."""

    CHANNELS = "channels"
    CORRUPT = "corrupt"
    """Or unreadable, of an unsupported kind, of several frames."""
    SMALL = "small"
    LARGE = "large"
    DUPLICATE = "duplicate"
    REMOVED = "removed"
    """It was removed from this corpus at a person's request."""
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a photograph has become."""

    content: bytes
    """The PNG file."""
    image_sha1: str
    sha256: str
    pixel_sha256: str
    width: int
    height: int
    origin_width: int
    """As shown: EXIF orientation applied."""
    origin_height: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A file's hash and what became of it; neither picture nor refusal where its content was known before."""

    origin_sha256: str = ""
    """Empty where the file could not be read."""
    made: Made | None = None
    refusal: Refusal | None = None
    reason: str = ""


def examine(found: Found, images: Images, share: float, known: Container[str]) -> Examined:
    """Read and preprocess a file, unless the SHA-256 of its content is known. Never raises for what a file holds."""
    try:
        found.name.encode("utf-8")
    except UnicodeEncodeError:
        return Examined(refusal=Refusal.NAME, reason="its name is not UTF-8; rename it")
    try:
        content = read_file(found.path)
    except ImageError as error:
        return _refused("", error)
    origin_sha256 = hashlib.sha256(content).hexdigest()
    if origin_sha256 in known:
        return Examined(origin_sha256=origin_sha256)
    try:
        pixels, notes = decode(content, found.path, max_megapixels=images.max_megapixels, check=need_three_channels)
        height, width = pixels.shape[:2]
        size = final_size(width, height, images, share=share)
        if min(size) < images.min_side:
            reason = f"{width} x {height} pixels become {size[0]} x {size[1]}; {images.min_side} a side are needed"
            return Examined(origin_sha256=origin_sha256, refusal=Refusal.SMALL, reason=reason)
        pixels = preprocess(pixels, images, share=share)
        png = encode_png(pixels)
    except ImageError as error:
        return _refused(origin_sha256, error)
    except MemoryError:
        reason = "needs more memory than there is; use fewer --jobs, or scale it down"
        return Examined(origin_sha256=origin_sha256, refusal=Refusal.CORRUPT, reason=reason)
    made = Made(
        content=png,
        image_sha1=hashlib.sha1(png, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(png).hexdigest(),
        pixel_sha256=pixel_sha256(pixels),
        width=size[0],
        height=size[1],
        origin_width=width,
        origin_height=height,
        note=one_line("; ".join(notes)),
    )
    return Examined(origin_sha256=origin_sha256, made=made)


def _refused(origin_sha256: str, error: ImageError) -> Examined:
    kind = Refusal.CORRUPT
    if isinstance(error, NotThreeChannels):
        kind = Refusal.CHANNELS
    elif isinstance(error, TooLarge):
        kind = Refusal.LARGE
    # A message may quote the file's bytes: none of them reaches a database or a terminal as it is.
    return Examined(origin_sha256=origin_sha256, refusal=kind, reason=one_line(error.problem)[:MAX_REASON])
