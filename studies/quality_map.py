"""Does local quality follow the map? One region's offset varies while the rest of the picture keeps its quality.

The region lies in the middle and holds about a tenth of the blocks: a rectangle of the picture's proportions, or an
ellipse. Its offset goes from -0.5 to +0.5; beyond a local quality of 0 or 1 it has no effect, and offsets are rounded
to 4/255, so the tables name the local quality that was coded. Each picture is also coded whole at that quality:
inside, a perfect map would give the same PSNR ("inside, whole").

"At equal bytes" is the whole picture coded without a map at the map's rate, on straight lines (PSNR over log bpp)
between the whole pictures coded here. Values are means over the pictures of each picture's own, PSNR in dB of 8-bit
RGB, rates of whole files. Tables go to stdout, --csv gets every picture's own values.

    python studies/quality_map.py --weights run/lucid.safetensors --csv quality_map.csv
    python studies/quality_map.py kodim01.png --offsets 0 0.25
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt
from kodak import kodak

from miscomp import images
from miscomp.codecs import quality_map
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.quality_map import BLOCK, QUALITY_STEPS
from miscomp.errors import MiscompError, UsageError
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr_pixels

Mask = npt.NDArray[np.bool_]

SHARE = 0.1
"""Of the picture's area that the region is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One picture, region and offset. "Whole" is the picture coded without a map at the region's local quality."""

    image: str
    region: str
    share: float
    """Of the pixels that lie inside."""
    offset: float
    """As asked for."""
    local_quality: float
    """As coded inside."""
    bpp: float
    map_bytes: int
    psnr_inside: float
    psnr_outside: float
    whole_bpp: float
    whole_psnr_inside: float
    equal_psnr_inside: float
    """Of the whole picture at the map's bytes."""
    equal_psnr_outside: float


def rectangle(rows: int, columns: int) -> Mask:
    """Blocks of a centred rectangle with the picture's proportions."""
    height, width = (max(round(math.sqrt(SHARE) * side), 1) for side in (rows, columns))
    mask = np.zeros((rows, columns), bool)
    top, left = (rows - height) // 2, (columns - width) // 2
    mask[top : top + height, left : left + width] = True
    return mask


def ellipse(rows: int, columns: int) -> Mask:
    """Blocks whose centre lies in a centred ellipse with the picture's proportions."""
    y = (np.arange(rows)[:, None] + 0.5) / rows - 0.5
    x = (np.arange(columns) + 0.5) / columns - 0.5
    return np.asarray(x**2 + y**2 <= SHARE / math.pi)


REGIONS: Mapping[str, Callable[[int, int], Mask]] = {"rectangle": rectangle, "ellipse": ellipse}


class Study:
    """One picture, coded whole at any step of quality at most once."""

    def __init__(self, codec: Lucid, pixels: Pixels) -> None:
        self._codec, self._pixels = codec, pixels
        self.whole = cache(self._whole)

    def _whole(self, step: int) -> tuple[float, Pixels]:
        content = self._codec.compress(self._pixels, step / QUALITY_STEPS)
        return self.bpp(content), self._codec.decompress(content)

    def bpp(self, content: bytes) -> float:
        """Real rate."""
        return 24 * len(content) / self._pixels.size

    def psnr(self, reconstruction: Pixels, mask: Mask) -> float:
        """PSNR over the pixels in the mask."""
        psnr_db: float = psnr_pixels(self._pixels[mask][None], reconstruction[mask][None])
        return psnr_db

    def rows(self, name: str, region: str, *, quality: float, offsets: list[float]) -> Iterator[Row]:
        """One row for each offset."""
        height, width = self._pixels.shape[:2]
        blocks = REGIONS[region](*quality_map.block_grid(height, width))
        if blocks.all() or not blocks.any():
            raise UsageError(f"{name}: {width} x {height} pixels are too few for a {region} of a tenth")
        inside = blocks.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]
        asked = [np.where(blocks, offset, 0.0) for offset in offsets]
        sent = [quality_map.quantise(one, height=height, width=width) for one in asked]
        base = round(quality * QUALITY_STEPS)
        steps = [int(quality_map.local_steps(base, one, *blocks.shape)[blocks][0]) for one in sent]
        curve = sorted((*self.whole(step), step) for step in {*steps, base})
        log_bpp = np.log([bpp for bpp, _, _ in curve])
        known = [[self.psnr(decoded, mask) for _, decoded, _ in curve] for mask in (inside, ~inside)]
        for offset, one, written, step in zip(offsets, asked, sent, steps, strict=True):
            content = self._codec.compress(self._pixels, quality, quality_map=one)
            decoded, bpp = self._codec.decompress(content), self.bpp(content)
            whole_bpp, whole = self.whole(step)
            equal_inside, equal_outside = (float(np.interp(math.log(bpp), log_bpp, line)) for line in known)
            yield Row(
                image=name,
                region=region,
                share=float(inside.mean()),
                offset=offset,
                local_quality=step / QUALITY_STEPS,
                bpp=bpp,
                map_bytes=len(quality_map.encode(written)),
                psnr_inside=self.psnr(decoded, inside),
                psnr_outside=self.psnr(decoded, ~inside),
                whole_bpp=whole_bpp,
                whole_psnr_inside=self.psnr(whole, inside),
                equal_psnr_inside=equal_inside,
                equal_psnr_outside=equal_outside,
            )


def table(rows: list[Row], offsets: list[float]) -> str:
    """Markdown, means over the pictures; "extra" rates are against the offset nearest to 0."""
    lines = [
        "| offset | local quality | PSNR inside | PSNR outside | inside, whole | inside - whole | real bpp | map bytes "
        "| extra bpp | extra bpp, whole | inside at equal bytes | outside at equal bytes |",
        "|---:|" + "---:|" * 11,
    ]
    zero = min(offsets, key=abs)

    def mean(offset: float, value: Callable[[Row], float]) -> float:
        return fmean(value(row) for row in rows if row.offset == offset)

    for offset in offsets:
        inside, whole = mean(offset, lambda row: row.psnr_inside), mean(offset, lambda row: row.whole_psnr_inside)
        bpp, whole_bpp = mean(offset, lambda row: row.bpp), mean(offset, lambda row: row.whole_bpp)
        cells = [
            f"{offset:+.3f}",
            f"{mean(offset, lambda row: row.local_quality):.3f}",
            f"{inside:.2f}",
            f"{mean(offset, lambda row: row.psnr_outside):.2f}",
            f"{whole:.2f}",
            f"{inside - whole:+.2f}",
            f"{bpp:.4f}",
            f"{mean(offset, lambda row: row.map_bytes):.1f}",
            f"{bpp - mean(zero, lambda row: row.bpp):+.4f}",
            f"{whole_bpp - mean(zero, lambda row: row.whole_bpp):+.4f}",
            f"{mean(offset, lambda row: row.equal_psnr_inside):.2f}",
            f"{mean(offset, lambda row: row.equal_psnr_outside):.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="*", help="default: kodak in $MISCOMP_DATA")
    parser.add_argument("--weights", type=Path, help="weights file; default: the shipped one")
    parser.add_argument("--quality", type=float, default=0.4, help="outside, in [0, 1] (default: 0.4)")
    steps = [step / 8 for step in range(-4, 5)]
    parser.add_argument("--offsets", type=float, nargs="+", default=steps, help="default: -0.5 to 0.5 by 0.125")
    parser.add_argument("--regions", nargs="+", choices=REGIONS, default=list(REGIONS), help="default: both")
    parser.add_argument("--csv", type=Path, help="file for every picture's own values; must not exist")
    options = parser.parse_args()
    options.pictures = options.pictures or kodak(parser)
    if options.csv and options.csv.exists():
        parser.error(f"{options.csv} exists; name another file")
    return options


def measured(codec: Lucid, options: argparse.Namespace) -> Iterator[Row]:
    """Every picture and region; progress goes to stderr."""
    for path in options.pictures:
        study = Study(codec, images.read(path).pixels)
        for region in options.regions:
            yield from study.rows(path.stem, region, quality=options.quality, offsets=options.offsets)
        print(f"{path.stem} done", file=sys.stderr)


def main() -> None:
    """Print a table per region on stdout."""
    options = arguments()
    try:
        codec = Lucid(options.weights)
        rows = list(measured(codec, options))
    except MiscompError as error:
        sys.exit(f"quality_map: {error}")
    if options.csv:
        with options.csv.open("x", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
    print(f"Weights {codec.weights_sha256}, {len(options.pictures)} pictures, quality {options.quality:g} outside")
    for region in options.regions:
        some = [row for row in rows if row.region == region]
        print(f"\n{region}, {100 * fmean(row.share for row in some):.1f} % of the pixels:\n")
        print(table(some, options.offsets))


if __name__ == "__main__":
    main()
