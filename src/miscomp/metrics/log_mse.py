"""The logarithm of the squared error as something to maximise: its gradient does not vanish where x2 is close to x1.

The paper (SLIC, Huang and Wu 2024, table 3) finds that the squared error itself fails: at x2 = x1 its gradient is 0.
No pretrained network is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from miscomp.metrics.differentiable import full_precision
from miscomp.metrics.structure import fitted_psnr, flat_psnr, local_correlation

SPAN = 20.0
"""Decibels that count as 1."""

MARGIN = 3.0
"""Decibels above the lowest reachable PSNR at which a picture counts as destroyed."""

STRUCTURE_WEIGHT = 0.5
FITTED_MARGIN = 0.5
"""Decibels above a flat colour's that are allowed after a colour fit."""
CORRELATION_MARGIN = 0.1
"""Local correlation that unrelated pictures have by chance."""

_LEAST_MSE = 1e-6


def lowest_psnr(x: Tensor) -> Tensor:
    """PSNR in dB (b) that no picture in [0, 1] can go below against x: 6.02 for mid-grey, 0 for black and white."""
    return -10 * torch.maximum(x, 1 - x).square().mean((1, 2, 3)).log10()


class LogMse(nn.Module):
    """1 where x_hat is `MARGIN` dB or less above the lowest PSNR that x allows, and 1 less for every `SPAN` dB more.

    About -1.7 for equal pictures; x_hat is clamped to [0, 1], since what lies outside is not seen.
    """

    @full_precision
    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """(b) for images (b, 3, h, w), x in [0, 1]."""
        mse = (x - x_hat.clamp(0, 1)).square().mean((1, 2, 3))
        psnr = -10 * (mse + _LEAST_MSE).log10()
        return 1 - (psnr - lowest_psnr(x.detach()) - MARGIN) / SPAN


class LogMseStructure(LogMse):
    """`LogMse` bounded by 1, less what is left of the picture's structure: a readable negative does not do.

    Structure is what a colour fit recovers, in dB over a flat colour, and the mean absolute local correlation.
    """

    @full_precision
    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """(b) for images (b, 3, h, w), x in [0, 1]; 1 only where nothing of x is left in x_hat."""
        x_hat = x_hat.clamp(0, 1)
        fitted = fitted_psnr(x, x_hat) - flat_psnr(x.detach()) - FITTED_MARGIN
        related = local_correlation(x, x_hat) - CORRELATION_MARGIN
        left = fitted.clamp_min(0) / SPAN + related.clamp_min(0)
        value: Tensor = super().forward(x, x_hat)
        return value.clamp_max(1) - STRUCTURE_WEIGHT * left
