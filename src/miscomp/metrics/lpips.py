"""LPIPS 0.1 on VGG-16 (Zhang, Isola, Efros, Shechtman and Wang, CVPR 2018): differentiable, one value per image.

Constants and order of operations as in the authors' package lpips 0.1.4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from miscomp.metrics.differentiable import full_precision, root
from miscomp.metrics.pretrained import State, taken
from miscomp.metrics.vgg16 import CHANNELS, Vgg16

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""Taken from, and divided by, red, green and blue in [-1, 1]."""

LEAST = 1e-10
"""Added to the length of a feature vector before it is divided by it."""


class Lpips(nn.Module):
    """Weighted squared difference of feature vectors of length 1, mean over the picture, sum over five stages.

    At least 0 with the published weights, since those are. Each stage adds at most twice its largest weight, all
    together 6.6. Where a feature vector is 0 it stays 0, and has no gradient.
    """

    def __init__(self, vgg16: State, linear: State) -> None:
        """torchvision's state dict, and the linear layers' (`lin0.model.1.weight` to `lin4.model.1.weight`).

        Raises `Misfit`, a `ValueError`, for states that do not fit.
        """
        super().__init__()
        self.net = Vgg16(vgg16)
        shapes = {f"lin{stage}.model.1.weight": (1, width, 1, 1) for stage, width in enumerate(CHANNELS)}
        found = taken("lpips-vgg", linear, shapes).values()
        self.linear = nn.ParameterList(nn.Parameter(weight, requires_grad=False) for weight in found)

    @full_precision
    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """(b) for images (b, 3, h, w) in [0, 1], at least 16 pixels a side."""
        features = zip(self.net(_scaled(x)), self.net(_scaled(x_hat)), self.linear, strict=True)
        parts = [(weight * (_directed(a) - _directed(b)).square()).sum(1).mean((1, 2)) for a, b, weight in features]
        return torch.stack(parts).sum(0)


def _scaled(x: Tensor) -> Tensor:
    shift, scale = (torch.tensor(values, dtype=x.dtype, device=x.device)[:, None, None] for values in (SHIFT, SCALE))
    return (2 * x - 1 - shift) / scale


def _directed(features: Tensor) -> Tensor:
    """Each position's feature vector at length 1."""
    return features / (root(features.square().sum(1, keepdim=True)) + LEAST)
