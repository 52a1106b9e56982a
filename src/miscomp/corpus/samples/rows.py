"""`crops.csv`: what a sample says of each of its crops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miscomp.corpus.samples.draw import Kind, Pair, Place, counted
from miscomp.corpus.samples.matching import content_of
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr_pixels
from miscomp.records import Box

CROPS, TABLE = "crops", "crops.csv"
SAMPLE = "sample"
"""What the corpus remembers the folder as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CropRow:
    """A row of `crops.csv`: one crop of one reconstruction. An empty cell is not known."""

    file: str
    original_file: str
    """The same area of the original; empty where its file is missing."""
    crop: int
    """Number of the drawn place; crops of one area share it."""
    kind: str
    matched_to: int | None
    """Number of the crop that this area was matched to."""
    match_distance: float | None
    """See `miscomp.corpus.samples.matching`."""
    annotation: str
    """Id of the box that the area was drawn around."""
    filename: str
    image_sha1: str
    model: str
    codec: str
    source: str
    licence: str
    split: str
    x: int
    y: int
    w: int
    h: int
    """In the picture's pixels."""
    shown: int
    """Pixels of the file, a side, for each pixel of the picture."""
    annotations_whole: int
    """Boxes that lie wholly in the area."""
    annotations_centre: int
    """Boxes whose centre lies in it."""
    annotations_any: int
    """Boxes that share a pixel with it."""
    multi: bool
    """The reconstruction was flagged: what no box covers need not be faithful."""
    labelers: int
    """How many people have looked through the reconstruction."""
    luminance: float | None
    """Of the original's area, as is the next."""
    gradient_energy: float | None
    crop_psnr: float | None
    """Of the area alone, in dB."""
    image_bpp: float | None
    """Of the whole reconstruction, as are the next three."""
    image_psnr: float | None
    image_ssim: float | None
    image_ms_ssim: float | None
    seed: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """A place with its number."""

    number: int
    place: Place
    matched_to: int | None = None


def crop_name(number: int, model: str) -> str:
    """A crop's file in the sample's folder; the original's model is `original`."""
    return f"{CROPS}/{number:04d}_{model}.png"


def cut_out(pixels: Pixels, area: Box) -> Pixels:
    """The pixels of an area."""
    return np.ascontiguousarray(pixels[area.y : area.bottom, area.x : area.right])


def crop_row(one: Drawn, pair: Pair, pixels: Pixels, original: Pixels | None, *, shown: int, seed: int) -> CropRow:
    """The row of a drawn area in a reconstruction, whose whole pixels are given; the original is none where missing."""
    place, row, area = one.place, pair.row, one.place.area
    whole, centre, overlapping = counted(pair.labels, area)
    content = content_of(original, area) if original is not None else None
    return CropRow(
        file=crop_name(one.number, row.model),
        original_file=crop_name(one.number, "original") if original is not None else "",
        crop=one.number,
        kind=(place.kind if pair.key == place.pair.key else Kind.SAME).value,
        matched_to=one.matched_to,
        match_distance=place.distance,
        annotation=place.label.id if place.label is not None else "",
        filename=pair.image.filename,
        image_sha1=row.image_sha1,
        model=row.model,
        codec=pair.codec,
        source=pair.image.source,
        licence=pair.image.licence,
        split=pair.image.split,
        x=area.x,
        y=area.y,
        w=area.w,
        h=area.h,
        shown=shown,
        annotations_whole=whole,
        annotations_centre=centre,
        annotations_any=overlapping,
        multi=pair.multi,
        labelers=pair.labelers,
        luminance=content.luminance if content is not None else None,
        gradient_energy=content.gradient_energy if content is not None else None,
        crop_psnr=psnr_pixels(cut_out(original, area), cut_out(pixels, area)) if original is not None else None,
        image_bpp=row.bpp,
        image_psnr=row.psnr,
        image_ssim=row.ssim,
        image_ms_ssim=row.ms_ssim,
        seed=seed,
    )
