"""Do our networks compute what CompressAI's do? The same random weights and picture through both: a Markdown table.

Each runs in a process of its own, as in compressai_speed.py, and without streams: the reconstruction, the latents and
the bits that the likelihoods give, in evaluation mode. In float32 a latent that lies closer to a border between two
whole numbers than the two sides' arithmetic agrees would be rounded to the other side; the table counts such latents
and says how close to a border any comes. In float64 there are none, and the two must agree far more closely.

    python studies/compressai_equivalence.py --compressai-python ../other/bin/python
    python studies/compressai_equivalence.py --compressai-python ../other/bin/python --codecs mbt2018 --size 256 256
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from compressai_side import ARCHITECTURES, SMALL, Forward, Side, WorkerError, random_weights
from formula_weights import formula_picture

TOLERANCE = 1e-5


def difference(theirs: Forward, ours: Forward) -> tuple[list[str], bool]:
    """A row's figures, and whether they keep within the tolerance."""
    x_hat = float(np.abs(theirs.x_hat - ours.x_hat).max())
    y = float(np.abs(theirs.y - ours.y).max())
    other = int((np.round(theirs.y) != np.round(ours.y)).sum())
    bits = [theirs.y_bits + theirs.z_bits, ours.y_bits + ours.z_bits]
    relative = abs(bits[1] - bits[0]) / bits[0]
    of_z = abs(ours.z_bits - theirs.z_bits) / theirs.z_bits if theirs.z_bits else 0.0
    spread = f"{theirs.y.std():.2f}, {theirs.x_hat.std():.2f}"
    figures = [f"{x_hat:.1e}", f"{y:.1e}", f"{bits[0]:.1f}", f"{relative:.1e}", f"{of_z:.1e}"]
    return [*figures, f"{other} of {theirs.y.size}", f"{theirs.margin:.1e}", spread], max(x_hat, relative) < TOLERANCE


def settings(codecs: list[str]) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Architecture, what it is, channel counts."""
    for codec in codecs:
        yield codec, "small", SMALL[codec]
        for quality in (min(ARCHITECTURES[codec]), max(ARCHITECTURES[codec])):
            yield codec, f"quality {quality}", ARCHITECTURES[codec][quality]


def run(options: argparse.Namespace, folder: Path) -> bool:
    """Print the table; whether all agree. Raises `WorkerError`."""
    picture = formula_picture(*options.size)
    agree = True
    with (
        Side("theirs", python=options.compressai_python, threads=options.threads) as theirs,
        Side("ours", threads=options.threads) as ours,
    ):
        print(f"{theirs.about}; {ours.about}; a picture of {options.size[1]} x {options.size[0]}\n")
        print(
            "| architecture | channels | precision | largest difference of x_hat | of y | bits | relative difference "
            "| of z's bits | latents rounded otherwise | closest to a border | spread of y, x_hat |"
        )
        print("|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
        for architecture, label, channels in settings(options.codecs):
            weights = random_weights(theirs, architecture, channels, folder)
            for precision in (torch.float32, torch.float64):
                for side in (theirs, ours):
                    side.ask("load", architecture=architecture, state=str(weights))
                x = picture.to(precision)
                cells, near = difference(theirs.forward(x, folder), ours.forward(x, folder))
                agree = agree and near
                name = str(precision).removeprefix("torch.")
                print(f"| {architecture} | {label} {channels} | {name} | {' | '.join(cells)} |", flush=True)
            weights.unlink()
    return agree


def main() -> None:
    """Print the table on stdout; exits with 1 where the two sides differ by 1e-5 or more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compressai-python", default=sys.executable, help="an interpreter that has compressai")
    parser.add_argument("--codecs", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES), help="default: all")
    parser.add_argument("--size", nargs=2, type=int, default=(128, 192), help="height and width, multiples of 64")
    parser.add_argument("--threads", type=int, default=2, help="of torch, in both (default: 2)")
    options = parser.parse_args()
    if any(side < 64 or side % 64 for side in options.size):
        parser.error("sides must be multiples of 64")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            agree = run(options, Path(scratch))
        except WorkerError as error:
            sys.exit(f"compressai_equivalence: {error}")
    sys.exit(0 if agree else "compressai_equivalence: the two sides differ")


if __name__ == "__main__":
    main()
