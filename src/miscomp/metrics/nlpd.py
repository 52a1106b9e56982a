"""Normalised Laplacian pyramid distance (Laparra, Balle, Berardino and Simoncelli, Electronic Imaging 2016).

Differentiable, one value per image. Order of operations, borders and constants are those of the authors' program
NLP_dist.m (cns.nyu.edu/~lcv/NLPyr), with the Rec. 601 luminance in [0, 1] as its grey picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from miscomp.metrics.differentiable import extended, filtered, full_precision, luminance, root

TAPS = (0.05, 0.25, 0.4, 0.25, 0.05)
"""Low pass of the pyramid (Burt and Adelson 1983)."""

SIGMAS = (0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)
"""Constants of the normalisation, finest level first; the last is that of the low-pass rest."""

NEIGHBOURS: tuple[dict[tuple[int, int], float], ...] = (
    {(1, 0): 0.1011, (0, 1): 0.1493, (0, -1): 0.1460, (0, -2): 0.0072, (-1, 0): 0.1015},
    {(1, 0): 0.0757, (0, 1): 0.1986, (0, -1): 0.1846, (-1, 0): 0.0837},
    {(1, 0): 0.0477, (0, 1): 0.2138, (0, -1): 0.2243, (-1, 0): 0.0467},
    {(0, 1): 0.2503, (0, -1): 0.2616},
    {(0, 1): 0.2598, (0, -1): 0.2552},
    {(0, 1): 0.2215, (0, -1): 0.0717},
)
"""For each level, how much of the neighbour (rows down, columns to the right) counts. The program convolves, which
turns its kernels round: what stands on their left weighs the neighbour on the right."""


class Nlpd(nn.Module):
    """Mean over six levels of the root mean square difference of the normalised bands.

    Photographs that have nothing in common are 1.2 to 1.4 apart, a photograph and its negative 2, JPEG of quality 10
    takes 0.2; black and white only 0.3, since nearly all of it is in the low-pass rest.

    SLIC's authors use IQA_pytorch, which takes each of red, green and blue, a sixth band instead of the low-pass rest,
    bilinear interpolation, other borders, correlates, and leaves out the neighbour of 0.0072. Their figures differ.
    """

    @full_precision
    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """(b) for images (b, 3, h, w) in [0, 1], of any size."""
        pairs = zip(_normalised(luminance(x)), _normalised(luminance(x_hat)), strict=True)
        return torch.stack([root((a - b).square().mean((1, 2, 3))) for a, b in pairs]).mean(0)


def _normalised(plane: Tensor) -> list[Tensor]:
    """The bands of a plane (b, 1, h, w), finest first, each value divided by what surrounds it."""
    bands = []
    for _ in SIGMAS[1:]:
        smaller = _halved(plane)
        bands.append(plane - _doubled(smaller, plane.shape[2], plane.shape[3]))
        plane = smaller
    levels = zip([*bands, plane], SIGMAS, NEIGHBOURS, strict=True)
    return [band / (sigma + _around(band.abs(), weights)) for band, sigma, weights in levels]


def _halved(plane: Tensor) -> Tensor:
    """Every second value of the low pass, the first one included; mirrored at the borders."""
    plane = extended(plane, (2, 2), (2, 2), mirrored=True)
    return filtered(filtered(plane, TAPS, -1, step=2), TAPS, -2, step=2)


def _doubled(plane: Tensor, height: int, width: int) -> Tensor:
    """The low pass of values with zeros between them, times 4; the outermost values are repeated."""
    plane = extended(plane, (1, 1), (1, 1))
    for axis, size in ((-1, width), (-2, height)):
        there = filtered(plane, [2 * tap for tap in TAPS[0::2]], axis)
        between = filtered(plane, [0, *(2 * tap for tap in TAPS[1::2])], axis)
        plane = torch.stack([there, between], dim=axis).flatten(axis - 1, axis).narrow(axis, 0, size)
    return plane


def _around(strength: Tensor, weights: dict[tuple[int, int], float]) -> Tensor:
    """Weighted sum of each value's neighbours; beyond the border there is nothing."""
    height, width = strength.shape[2:]
    padded = nn.functional.pad(strength, (2, 2, 2, 2))
    parts = [weight * padded[..., 2 + y : 2 + y + height, 2 + x : 2 + x + width] for (y, x), weight in weights.items()]
    return torch.stack(parts).sum(0)
