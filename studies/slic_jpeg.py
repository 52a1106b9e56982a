"""Which simulation of JPEG makes a self-destructing codec withstand JPEG? Table A2 of SLIC, at equal steps.

Every simulation trains a codec of its own from `lucid` with the metric log-mse+structure: the same photographs, crops
and random numbers, and JPEG as the only edit, so that nothing else teaches it. `none` trains without JPEG: affine and
blur alone. All are measured with JPEG itself, as Pillow writes it. Training draws qualities 60 to 95; 50 is beyond.

    MISCOMP_DATA=... python studies/slic_jpeg.py photographs -o slic_jpeg --unet-weights unet_jpeg.safetensors
    python studies/slic_jpeg.py photographs -o slic_jpeg --simulations exact none --pictures kodim01.png --steps 200

The network of `unet` is trained by `miscomp train jpegsim`; without its weights it is listed as not run. The folder
gets `tables.md` (on stdout too), `recompressions.csv` with every picture's own values, and the runs, which are kept:
the same command goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from kodak import kodak
from slic_runs import Edit, Study, parser_of, run_study

from miscomp.errors import MiscompError
from miscomp.training.jpeg_simulation import JPEG_SIMULATIONS, jpeg_pixels, open_simulation
from miscomp.training.unet_jpeg import read_unet_jpeg

METRIC = "log-mse+structure"
QUALITIES = (85, 75, 50)
WITHOUT = "none"

PAPER = {"unet": ("8.69",), "cubic": ("25.89",)}
"""Huang and Wu, "A secure learned image codec for authenticity verification via self-destructive compression", 2024,
table A2, Kodak: PSNR of the re-compression after JPEG."""

NOTE = (
    "[...]: Huang and Wu 2024, table A2, all of Kodak: bmshj2018-hyperprior with LPIPS at quality 8, trained to the "
    "end with affine and blur beside JPEG; UNetJPEG with 64 channels in its first stage."
)


def main() -> None:
    """Train, measure."""
    parser = parser_of(__doc__, steps=600)
    known = [*JPEG_SIMULATIONS.names, WITHOUT]
    parser.add_argument("--simulations", nargs="+", choices=known, default=known, help="default: all")
    parser.add_argument("--unet-weights", type=Path, help="file of miscomp train jpegsim")
    options = parser.parse_args()
    try:
        run_study(study_of(options), options, options.pictures or kodak(parser))
    except MiscompError as error:
        sys.exit(f"slic_jpeg: {error}")


def study_of(options: argparse.Namespace) -> Study:
    """One run per simulation that can be opened."""
    settings: dict[str, dict[str, Any]] = {}
    not_run, about = {}, {}
    for name in dict.fromkeys(options.simulations):
        if name == WITHOUT:
            settings[name] = {"metric": METRIC, "attacks": "affine,blur"}
            continue
        takes_weights = JPEG_SIMULATIONS[name].takes_weights
        if takes_weights and options.unet_weights is None:
            not_run[name] = "needs --unet-weights"
            continue
        own = {"metric": METRIC, "attacks": "jpeg", "jpeg": name}
        if takes_weights:
            weights = read_unet_jpeg(options.unet_weights)
            own["jpeg_weights"] = str(options.unet_weights)
            about[name] = f"UNetJPEG of width {weights.network.width}, SHA-256 {weights.sha256}"
        else:
            open_simulation(name)  # says what is missing before hours of training
        settings[name] = own
    return Study(
        title="Which simulation of JPEG makes destruction withstand JPEG",
        settings=settings,
        not_run=not_run,
        edits={f"JPEG {quality}": _jpeg(quality) for quality in QUALITIES},
        published=PAPER,
        published_columns=("JPEG 85",),
        published_note=NOTE,
        about=about,
    )


def _jpeg(quality: int) -> Edit:
    return lambda pixels: jpeg_pixels(pixels, quality)


if __name__ == "__main__":
    main()
