"""Findings where none or few should be: identical pairs, and JPEG of high quality.

Run: MISCOMP_DATA=... python studies/false_alarms.py [--quality 95 75] [--no-text]
Prints findings per megapixel, the mean over images of each image's own figure, with a 95 % interval.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from miscomp.audit import DetectSettings, audit_pair
from miscomp.codecs.classical import jpeg
from miscomp.detect.reader import RapidReader
from miscomp.images import Picture, Pixels, list_images, read
from miscomp.report.summary import mean_interval


def main() -> None:
    """Audit every picture against itself and against JPEG at each quality."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="pictures; default: kodak in $MISCOMP_DATA")
    parser.add_argument("--quality", type=int, nargs="*", default=[95, 75])
    parser.add_argument("--no-text", action="store_true")
    options = parser.parse_args()
    folder = options.folder or Path(os.environ["MISCOMP_DATA"]) / "kodak"
    reader = None if options.no_text else RapidReader()
    pictures = [read(path) for path in list_images(folder)]
    print(f"identical: {sum(_findings(p, p.pixels, reader) for p in pictures)} findings in {len(pictures)} images")
    for quality in options.quality:
        rates = []
        for picture in pictures:
            decoded = jpeg().decompress(jpeg().compress(picture.pixels, quality))
            rates.append(_findings(picture, decoded, reader) / (picture.width * picture.height / 1e6))
        mean = mean_interval(rates, low=0)
        low, high = mean.interval or (float("nan"), float("nan"))
        print(
            f"JPEG quality {quality}: {mean.value:.2f} findings per megapixel [{low:.2f}, {high:.2f}], "
            f"{sum(rate > 0 for rate in rates)} of {len(rates)} images with any"
        )


def _findings(picture: Picture, reconstruction: Pixels, reader: RapidReader | None) -> int:
    found = audit_pair(
        picture.pixels,
        reconstruction,
        filename=picture.path.name,
        image_sha1=picture.image_sha1,
        model="study",
        settings=DetectSettings(text=reader is not None),
        reader=reader,
    )
    return len(found.findings)


if __name__ == "__main__":
    main()
