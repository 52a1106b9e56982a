"""How much of a picture is left in another, whatever became of its colours: differentiable, one value per image.

A low PSNR alone proves no destruction: a picture's negative has one too, and can be read.
"""

from __future__ import annotations

from torch import Tensor, nn

from miscomp.metrics.differentiable import luminance

WINDOW = 16
"""Pixels a side over which local correlation is taken."""

STRIDE = 8
"""Pixels from one window to the next."""

_LEAST_VARIANCE = 1e-4
"""Of a window, for values in [0, 1]: about 2.5 levels of 255. What is flatter has no structure to recognise."""
_LEAST_SPREAD = 1e-6
_LEAST_MSE = 1e-6


def fitted_psnr(x: Tensor, x_hat: Tensor) -> Tensor:
    """PSNR in dB (b) of x against the best a * x_hat + b for each channel, for images (b, 3, h, w) in [0, 1].

    At least `flat_psnr(x)`, since a = 0 is allowed, and at most 60 dB.
    """
    centred, other = (t - t.mean((2, 3), keepdim=True) for t in (x, x_hat))
    slope = (centred * other).mean((2, 3)) / (other.square().mean((2, 3)) + _LEAST_SPREAD)
    rest = (centred - slope[:, :, None, None] * other).square().mean((1, 2, 3))
    return -10 * (rest + _LEAST_MSE).log10()


def flat_psnr(x: Tensor) -> Tensor:
    """PSNR in dB (b) of x against its own mean colour: what a picture without any content reaches after the fit."""
    spread = (x - x.mean((2, 3), keepdim=True)).square().mean((1, 2, 3))
    return -10 * (spread + _LEAST_MSE).log10()


def correlation_map(x: Tensor, x_hat: Tensor) -> Tensor:
    """Absolute correlation in [0, 1] of the luminances in windows of 16 x 16 pixels, 8 apart: (b, 1, rows, columns).

    A window that is flat in either picture counts as uncorrelated. Below 16 pixels a side the window shrinks.
    """
    a, b = (luminance(picture) for picture in (x, x_hat))
    window = [min(WINDOW, side) for side in a.shape[-2:]]

    def mean(values: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(values, window, STRIDE)

    # Around the picture's mean, so that the differences of squares below keep their digits.
    a, b = (t - t.mean((2, 3), keepdim=True) for t in (a, b))
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = ((mean(t * t) - m * m).clamp_min(0) for t, m in ((a, mean_a), (b, mean_b)))
    covariance = mean(a * b) - mean_a * mean_b
    return covariance.abs() / ((var_a + _LEAST_VARIANCE) * (var_b + _LEAST_VARIANCE)).sqrt()


def local_correlation(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean of `correlation_map` (b): 1 for equal detailed pictures and for a negative, near 0 for unrelated ones."""
    return correlation_map(x, x_hat).mean((1, 2, 3))
