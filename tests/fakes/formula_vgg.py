"""Weights of VGG-16, LPIPS and DISTS by formula: random-looking, the same with every release of torch."""

from __future__ import annotations

from functools import cache

import torch
from formula_weights import formula_picture
from tiny_lucid import values
from torch import Tensor

WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Of the convolutions in torchvision's `features`."""


@cache
def vgg16_state() -> dict[str, Tensor]:
    """As torchvision names them; signals keep their spread through the ReLUs."""
    state, entering = {}, 3
    for place, width in zip(PLACES, WIDTHS, strict=True):
        name = f"features.{place}"
        state[f"{name}.weight"] = values(f"{name}.weight", width, entering, 3, 3) * (6 / (9 * entering)) ** 0.5
        state[f"{name}.bias"] = 0.1 * values(f"{name}.bias", width)
        entering = width
    state["classifier.6.bias"] = torch.zeros(1000)  # the published file has three layers more
    return state


def linear_state() -> dict[str, Tensor]:
    """LPIPS' layers; not negative, as the published ones."""
    widths = (64, 128, 256, 512, 512)
    return {f"lin{n}.model.1.weight": values(f"lin{n}", 1, w, 1, 1).clamp(min=0) for n, w in enumerate(widths)}


def dists_state() -> dict[str, Tensor]:
    """DISTS' shares of texture and structure."""
    return {name: values(name, 1, 1475, 1, 1).abs() for name in ("alpha", "beta")}


def picture_pair() -> tuple[Tensor, Tensor]:
    """Two pairs of one batch, 20 x 33 pixels: one a little changed, one with little in common."""
    first, second = formula_picture(20, 33), formula_picture(20, 33).flip(3)
    near = (0.9 * first + 0.05 + 0.05 * values("near", *first.shape)).clamp(0, 1)
    return torch.cat([first, second]), torch.cat([near, first])
