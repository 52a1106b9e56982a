"""What rounding to 8 bits takes from PSNR and MS-SSIM, on the Kodak images unless others are named, with lucid.

Published figures of other codecs are of reconstructions before rounding; `miscomp.evaluate.expect` takes off what
this table says. Transforms run in float32 and latents are rounded as in coding; nothing is entropy coded.

    python studies/rounding_loss.py
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from kodak import kodak
from pytorch_msssim import ms_ssim
from torch import Tensor

from miscomp import images
from miscomp.codecs.lucid_model import PATCH, LucidModel
from miscomp.codecs.lucid_weights import read_weights, shipped_weights

QUALITIES = (0.15, 0.5, 0.85, 1.0)


def reconstruct(model: LucidModel, x: Tensor, quality: float) -> Tensor:
    """Reconstruction (1, 3, h, w) in [0, 255], not rounded, of x in [0, 255] with sides that `PATCH` divides."""
    at = torch.full((1, 1, x.shape[2] // PATCH, x.shape[3] // PATCH), quality)
    y_hat = torch.round(model.g_a(x / 255, at) * model.gain(at))
    x_hat: Tensor = model.g_s(y_hat * model.inverse_gain(at), at)
    return 255 * x_hat.clamp(0, 1)


def figures(x: Tensor, x_hat: Tensor) -> tuple[float, float]:
    """PSNR in dB and MS-SSIM."""
    mse = float((x - x_hat).square().mean())
    return 10 * math.log10(255**2 / mse), float(ms_ssim(x, x_hat, data_range=255))


def row(quality: float, pairs: Sequence[tuple[tuple[float, float], tuple[float, float]]]) -> str:
    """A row of the table; `pairs` are the figures before and after rounding, image by image."""
    before, after = (np.mean([pair[place] for pair in pairs], axis=0) for place in (0, 1))
    predicted = 10 * math.log10(1 + (1 / 12) / (255**2 * 10 ** (-before[0] / 10)))
    return (
        f"| {quality:g} | {before[0]:.3f} | {before[0] - after[0]:.4f} | {predicted:.4f} | {before[1]:.5f} | "
        f"{before[1] - after[1]:.2e} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="*", help="sides divisible by 16; default: kodak in $MISCOMP_DATA")
    paths = parser.parse_args().pictures or kodak(parser)
    model = read_weights(shipped_weights()).model
    found: dict[float, list[tuple[tuple[float, float], tuple[float, float]]]] = {one: [] for one in QUALITIES}
    with torch.inference_mode():
        for path in paths:
            pixels = images.read(path).pixels
            x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].float()
            for quality, pairs in found.items():
                x_hat = reconstruct(model, x, quality)
                pairs.append((figures(x, x_hat), figures(x, x_hat.round())))
    print(f"Means over {len(paths)} images; loss: before minus after rounding; predicted: from an error of 1/12.\n")
    print("| quality | PSNR dB | loss | predicted | MS-SSIM | loss |\n|---|---:|---:|---:|---:|---:|")
    for quality, pairs in found.items():
        print(row(quality, pairs))


if __name__ == "__main__":
    main()
