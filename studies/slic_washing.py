"""What does it cost to wash the perturbation out of a self-destructing picture?

Each picture x is compressed to x1, which the attacks of `miscomp.secure.washing` change, each at every strength of its
ladder. What comes out is compressed again, with real streams. Its quality is PSNR and SSIM against x1, which is all
that an attacker has; what is left of the protection is how much of it the codec destroys. A block of 16 x 16 pixels
counts as destroyed below 15 dB, as in `miscomp secure evaluate`. Protection is gone where less than half of the blocks
are destroyed or the re-compression has more than 20 dB, and gone throughout where at most 5 % are destroyed.

Attacks that need gradients run on the middle 256 x 256 pixels, as a picture of its own. Attackers may try all
strengths, since the codec is public: what counts is, picture by picture, the best quality at which protection is gone.

    python studies/slic_washing.py -o washing
    python studies/slic_washing.py photographs --number 3 --washes blur notch whitebox -o washing
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

from kodak import kodak
from slic_washing_plot import draw
from slic_washing_tables import NOT_WASHED, Row, details, panels, pictures, summary

from miscomp import images
from miscomp.codecs.lucid_weights import read_weights, shipped_weights
from miscomp.errors import MiscompError
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr_pixels
from miscomp.metrics.ssim import ssim
from miscomp.metrics.structure import local_correlation
from miscomp.secure.calibration import weights_sha256
from miscomp.secure.codec import SecureCodec, open_secure
from miscomp.secure.informed import Known, known
from miscomp.secure.lucid_base import LucidBase
from miscomp.secure.survival import compare
from miscomp.secure.washing import WASHES, wash
from miscomp.tensors import to_tensor


@dataclass(frozen=True, slots=True, eq=False)
class Victim:
    """A picture, its first compression, and what the second makes of whatever becomes of that."""

    name: str
    x: Pixels
    x1: Pixels
    codec: SecureCodec

    def middle(self, side: int) -> Victim:
        """The middle of at most `side` pixels; it begins on the codec's grid of 64."""
        height, width = self.x.shape[:2]
        top, left = (max(0, (size - side) // 2) // 64 * 64 for size in (height, width))
        part = (slice(top, top + side), slice(left, left + side))
        return Victim(self.name, self.x[part], self.x1[part], self.codec)

    def row(self, name: str, strength: float, washed: Pixels) -> Row:
        """Compress what was washed again, and measure."""
        again = self.codec.again(washed)
        return Row(
            image=self.name,
            wash=name,
            strength=strength,
            width=washed.shape[1],
            height=washed.shape[0],
            kept_psnr=psnr_pixels(self.x1, washed),
            kept_ssim=ssim(self.x1, washed),
            original_psnr=psnr_pixels(self.x, washed),
            original_psnr_before=psnr_pixels(self.x, self.x1),
            again_psnr=psnr_pixels(washed, again),
            again_correlation=float(local_correlation(to_tensor(washed), to_tensor(again))),
            destroyed=float(compare(washed, again).lost_blocks().mean()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One picture and what to do with it."""

    path: Path
    weights: Path | None
    quality: float | None
    washes: tuple[str, ...]
    seed: int
    crop: int


@cache
def opened(weights: Path | None, quality: float | None) -> tuple[SecureCodec, Known]:
    """The codec, and what an attacker learns from it; once per process."""
    codec = open_secure(weights, quality=quality)
    return codec, known(codec, LucidBase(read_weights(weights or shipped_weights("slic")).model))


def measured(job: Job) -> list[Row]:
    """Every attack and strength on one picture; progress goes to stderr."""
    begin = time.perf_counter()
    codec, knowledge = opened(job.weights, job.quality)
    x = images.read(job.path).pixels
    whole = Victim(job.path.stem, x, codec.again(x), codec)
    rows = [whole.row(NOT_WASHED, 0, whole.x1)]
    for name in job.washes:
        victim = whole.middle(job.crop) if WASHES[name].gradients else whole
        for strength in WASHES[name].strengths:
            washed = wash(name, strength, victim.x1, seed=job.seed, known=knowledge)
            rows.append(victim.row(name, strength, washed))
    print(f"{job.path.stem}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return rows


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="*", help="files or folders; default: kodak in $MISCOMP_DATA")
    parser.add_argument("--weights", type=Path, help="weights file; default: the shipped one")
    parser.add_argument("--quality", type=float, help="of both compressions (default: the codec's)")
    parser.add_argument("--number", type=int, help="pictures, drawn at random by the seed; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of noise and of the pictures drawn (default: 0)")
    parser.add_argument("--crop", type=int, default=256, help="pixels a side for gradients (default: 256)")
    parser.add_argument("--washes", nargs="+", choices=WASHES.names, default=list(WASHES.names), help="default: all")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results; must not exist")
    options = parser.parse_args()
    named = options.pictures or kodak(parser)
    options.pictures = [file for path in named for file in images.list_images(path)]
    if options.number is not None:
        if not 1 <= options.number <= len(options.pictures):
            parser.error(f"--number is 1 to {len(options.pictures)}, got {options.number}")
        options.pictures = sorted(random.Random(options.seed).sample(options.pictures, options.number))
    if options.jobs < 1:
        parser.error(f"--jobs is at least 1, got {options.jobs}")
    if options.output.exists():
        parser.error(f"{options.output} exists; name another folder")
    return options


def write(rows: Iterable[Row], path: Path) -> list[Row]:
    """Write the rows as they come, so that a run that ends early leaves what it measured."""
    written = []
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(asdict(row))
            file.flush()
            written.append(row)
    return written


def all_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Those of all pictures, in order, measured by one process or several."""
    jobs = [
        Job(
            path=path,
            weights=options.weights,
            quality=options.quality,
            washes=tuple(options.washes),
            seed=options.seed,
            crop=options.crop,
        )
        for path in options.pictures
    ]
    if options.jobs == 1:
        yield from chain.from_iterable(map(measured, jobs))
        return
    # Not forked, because torch may hold threads by now.
    with get_context("spawn").Pool(options.jobs) as pool:
        yield from chain.from_iterable(pool.imap(measured, jobs))


def main() -> None:
    """Write `washing.csv`, `washing.md`, `washing.png` and `washing.svg`; print the summary."""
    try:
        options = arguments()
        codec, _ = opened(options.weights, options.quality)
        options.output.mkdir(parents=True)
        rows = write(all_rows(options), options.output / "washing.csv")
    except MiscompError as error:
        sys.exit(f"slic_washing: {error}")
    about = f"{codec.label}, weights {weights_sha256(codec)}, {pictures(rows)} pictures, seed {options.seed}"
    tables = f"{about}\n\n{summary(rows, options.washes)}\n\n{details(rows, options.washes)}\n"
    (options.output / "washing.md").write_text(tables, encoding="utf-8")
    subtitle = (
        f"Means of {pictures(rows)} pictures, a marker for each strength; all attacks pale behind; orange: those that "
        "know the codec.\nAbove each: the best quality at which protection is gone, mean of the pictures where it is."
    )
    draw(panels(rows, options.washes), options.output / "washing", subtitle=subtitle)
    print(f"{about}\n\n{summary(rows, options.washes)}")


if __name__ == "__main__":
    main()
