"""Rate and PSNR of lucid on a folder of pictures, beside JPEG at the rates that lucid reached: a Markdown table.

PSNR and rate are means over the pictures of each picture's own value; rates are those of the whole files.

    python studies/kodak_rd.py --bpp 0.15 0.3 0.6
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NamedTuple

from miscomp import images
from miscomp.codecs.base import Codec
from miscomp.codecs.catalog import CODECS, open_codec
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.rate import Encoded, encode_at_bpp, encode_at_quality
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr_pixels


class Point(NamedTuple):
    """What one picture reached at one setting."""

    name: str
    bpp: float
    psnr_db: float
    jpeg_bpp: float
    jpeg_psnr_db: float


def measure(codec: Codec, picture: Path, *, bpp: float | None, quality: float) -> Point:
    """Encode at a target rate, or at a quality where there is none; then JPEG at the rate that was reached."""
    pixels = images.read(picture).pixels
    row = CODECS["lucid"]
    if bpp is not None:
        encoded = encode_at_bpp(codec, row, pixels, bpp)
    else:
        encoded = encode_at_quality(codec, row, pixels, quality)
    jpeg_codec = open_codec("jpeg")
    jpeg = encode_at_bpp(jpeg_codec, CODECS["jpeg"], pixels, encoded.bpp)
    for name, one in (("lucid", encoded), ("jpeg", jpeg)):
        if one.note:
            print(f"{picture.stem}: {name}: {one.note}", file=sys.stderr)
    psnr_db, jpeg_psnr_db = decoded_psnr(codec, encoded, pixels), decoded_psnr(jpeg_codec, jpeg, pixels)
    return Point(picture.stem, encoded.bpp, psnr_db, jpeg.bpp, jpeg_psnr_db)


def decoded_psnr(codec: Codec, encoded: Encoded, pixels: Pixels) -> float:
    """PSNR in dB of what the file decodes to."""
    return psnr_pixels(pixels, codec.decompress(encoded.content))


def table(points: list[Point]) -> str:
    """Markdown, one row per picture and the means below."""
    lines = ["| image | lucid bpp | lucid PSNR | jpeg bpp | jpeg PSNR |", "|---|---:|---:|---:|---:|"]
    columns = list(zip(*(point[1:] for point in points), strict=True))
    mean = Point("**mean**", *(sum(column) / len(column) for column in columns))
    for point in [*points, mean]:
        rates = f"{point.bpp:.4f} | {point.psnr_db:.2f} | {point.jpeg_bpp:.4f} | {point.jpeg_psnr_db:.2f}"
        lines.append(f"| {point.name} | {rates} |")
    return "\n".join(lines)


def main() -> None:
    """Print one table per setting on stdout; progress goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="pictures; default: kodak in $MISCOMP_DATA")
    parser.add_argument("--weights", type=Path, help="weights file; default: the shipped one")
    parser.add_argument("--bpp", type=float, nargs="*", default=[], help="target rates")
    parser.add_argument("--quality", type=float, nargs="*", default=[], help="qualities in [0, 1]")
    parser.add_argument("--limit", type=int, help="only the first pictures")
    options = parser.parse_args()
    if options.folder is None and "MISCOMP_DATA" not in os.environ:
        parser.error("name a folder, or set MISCOMP_DATA")
    folder = options.folder or Path(os.environ["MISCOMP_DATA"]) / "kodak"
    codec = Lucid(options.weights)
    settings = [(bpp, 0.0) for bpp in options.bpp] + [(None, quality) for quality in options.quality]
    if not settings:
        parser.error("give --bpp or --quality")
    print(f"Weights {codec.weights_sha256}")
    for bpp, quality in settings:
        points: list[Point] = []
        for picture in images.list_images(folder)[: options.limit]:
            points.append(measure(codec, picture, bpp=bpp, quality=quality))
            print(f"{picture.stem}: {points[-1].bpp:.4f} bpp, {points[-1].psnr_db:.2f} dB", file=sys.stderr)
        print(f"\nAt {bpp:g} bpp:\n" if bpp is not None else f"\nAt quality {quality:g}:\n")
        print(table(points))


if __name__ == "__main__":
    main()
