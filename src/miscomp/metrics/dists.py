"""DISTS (Ding, Ma, Wang and Simoncelli, IEEE TPAMI 2022): differentiable, one value per image.

Constants and order of operations as in the authors' program (dingkeyan93/DISTS, DISTS_pytorch).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from miscomp.metrics.differentiable import full_precision
from miscomp.metrics.pretrained import Misfit, State, taken
from miscomp.metrics.vgg16 import CHANNELS, Vgg16, as_trained

C1 = C2 = 1e-6
"""Of the comparison of means (equation 6) and of deviations (equation 7)."""

TAPS = (0.25, 0.5, 0.25)
"""Hanning window of 5 without its zeros, of sum 1; the same in both directions."""

LEAST = 1e-12
"""Below the root of the pooling."""

ENTERING = (3, *CHANNELS)
"""Channels compared: the picture itself, then each stage's."""


class L2Pooling(nn.Module):
    """Root of the weighted mean of squares around every second position; zeros beyond the border."""

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, ceil(h / 2), ceil(w / 2))."""
        taps = torch.tensor(TAPS, dtype=x.dtype, device=x.device)
        kernel = torch.outer(taps, taps).expand(x.shape[1], 1, -1, -1)
        pooled = nn.functional.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1])
        return (pooled + LEAST).sqrt()


class Dists(nn.Module):
    """1 less the weighted similarities of the channels' means (texture) and of their values (structure).

    From 0 to 1, and with the published weights to 1.12 for channels of opposed sign. The picture is compared as it is;
    the authors' programs first bring the shorter side to 256 pixels, which is what the crops of SLIC's training have.
    """

    def __init__(self, vgg16: State, dists: State) -> None:
        """torchvision's state dict, and `alpha` and `beta` of 1475 channels.

        Raises `Misfit`, a `ValueError`, for states that do not fit, or whose sum is not above 0.
        """
        super().__init__()
        self.net = Vgg16(vgg16, pooling=L2Pooling())
        shape = (1, sum(ENTERING), 1, 1)
        alpha, beta = taken("dists", dists, {"alpha": shape, "beta": shape}).values()
        self.alpha, self.beta = (nn.Parameter(shares.flatten(), requires_grad=False) for shares in _shares(alpha, beta))

    @full_precision
    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """(b) for images (b, 3, h, w) in [0, 1]."""
        pairs = zip([x, *self.net(as_trained(x))], [x_hat, *self.net(as_trained(x_hat))], strict=True)
        texture, structure = zip(*(_lost(a, b) for a, b in pairs), strict=True)
        return torch.cat(texture, dim=1) @ self.alpha + torch.cat(structure, dim=1) @ self.beta


def _shares(alpha: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    whole = alpha.sum() + beta.sum()
    if not whole > 0:
        raise Misfit("dists", f"alpha and beta have the sum {float(whole)}, which must be above 0")
    return alpha / whole, beta / whole


def _lost(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """1 less the similarity of the means, and of the values, of each channel: (b, c).

    As a quotient of squares, so that equal pictures are exactly 0 apart and rounding is not multiplied.
    """
    mean_a, mean_b = a.mean((2, 3), keepdim=True), b.mean((2, 3), keepdim=True)
    a, b = a - mean_a, b - mean_b
    texture = (mean_a - mean_b).square() / (mean_a.square() + mean_b.square() + C1)
    spread = a.square().mean((2, 3)) + b.square().mean((2, 3))
    return texture.flatten(1), (a - b).square().mean((2, 3)) / (spread + C2)
