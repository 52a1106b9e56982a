"""Washing by someone who knows the codec, as everyone can: it is public and has no key.

What makes a picture destroy itself is for the most part one pattern that repeats from block to block. It can be
estimated from the picture itself, seen in what the codec makes of plain grey, or found with the gradients of its
networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from miscomp.codecs.lucid_model import STRIDE
from miscomp.codecs.quality_map import BLOCK, QUALITY_STEPS
from miscomp.images import Pixels
from miscomp.secure.bases import Base
from miscomp.secure.codec import SecureCodec
from miscomp.tensors import eight_bit, pad_replicate, to_pixels, to_tensor

Tile: TypeAlias = npt.NDArray[np.float64]
"""(16, 16, 3) in levels of 255: what one period of the pattern adds to each pixel. Each channel's mean is 0."""

STEPS = 40
"""Most steps of Adam that `white_box` takes."""

ENOUGH_DB = 25.0
"""PSNR between the picture and its re-compression at which `white_box` stops: enough for it to live on."""

_GREYS = (64, 128, 192)
_GREY_SIDE = 256
_BORDER = 64
"""Pixels of plain grey at each side that the picture's border reaches."""

_MOST_PATTERN = 8.0
"""Levels: what stands out further from its surroundings is taken for content of the picture."""

_LEAST_MSE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What an attacker takes from the public codec; made by `known`."""

    tile: Tile
    base: Base
    quality: float


def known(codec: SecureCodec, base: Base) -> Known:
    """Learn the codec's pattern from plain greys; `base` holds the same networks, for gradients."""
    tiles = []
    for level in _GREYS:
        grey = np.full((_GREY_SIDE, _GREY_SIDE, 3), level, dtype=np.uint8)
        added = codec.again(grey).astype(np.float64) - grey
        tiles.append(mean_tile(added[_BORDER:-_BORDER, _BORDER:-_BORDER]))
    return Known(np.mean(tiles, axis=0), base, round(codec.quality * QUALITY_STEPS) / QUALITY_STEPS)


def mean_tile(values: npt.NDArray[np.float64]) -> Tile:
    """Mean over the blocks of 16 x 16 of values (h, w, 3), from the top left corner on, less each channel's mean."""
    height, width = values.shape[:2]
    whole = np.pad(values, ((0, -height % BLOCK), (0, -width % BLOCK), (0, 0)))
    sums = whole.reshape(whole.shape[0] // BLOCK, BLOCK, -1, BLOCK, 3).sum((0, 2))
    down, across = (np.bincount(np.arange(side) % BLOCK, minlength=BLOCK) for side in (height, width))
    means = sums / np.maximum(np.outer(down, across), 1)[:, :, None]
    tile: Tile = means - means.mean((0, 1))
    return tile


def subtract(x1: Pixels, tile: Tile, gain: float) -> Pixels:
    """Take a repeating pattern, `gain` times, off a picture (h, w, 3)."""
    height, width = x1.shape[:2]
    pattern = np.tile(tile, (-(-height // BLOCK), -(-width // BLOCK), 1))[:height, :width]
    return np.clip(np.rint(x1 - gain * pattern), 0, 255).astype(np.uint8)


def notch(x1: Pixels, gain: float) -> Pixels:
    """Subtract the period-16 pattern that the picture itself shows.

    It is the mean tile of what an edge-preserving filter takes away: an underestimate, hence gains above 1. In the
    Fourier plane that is all frequencies at multiples of 1/16 and nothing between them.
    """
    values = x1.astype(np.float32)
    fine = values - cv2.bilateralFilter(values, 9, 12, 4)
    return subtract(x1, mean_tile(np.clip(fine, -_MOST_PATTERN, _MOST_PATTERN).astype(np.float64)), gain)


def white_box(x1: Pixels, levels: float, known: Known, *, seed: int = 0, steps: int = STEPS) -> Pixels:
    """Change no value by more than `levels` so that the picture survives its re-compression, by gradient descent.

    Minimises the logarithm of MSE(p, G(p)) with Adam, projected onto the allowed changes; stops at `ENOUGH_DB` and
    otherwise returns the best of the steps. G's output is not clamped: beyond [0, 1] there would be no gradient.
    Memory and time grow with the picture: a few tenths of a second a step for 256 x 256 pixels on one core.
    """
    noise = torch.Generator().manual_seed(seed)
    p, most = to_tensor(x1), levels / 255
    delta = torch.zeros_like(p).requires_grad_(True)
    descent = torch.optim.Adam([delta], lr=most / 5)
    best, least = p, float("inf")
    for _ in range(steps):
        washed = eight_bit(p + delta)
        loss = survival_loss(washed, known, noise)
        if float(loss.detach()) < least:
            best, least = washed.detach(), float(loss.detach())
        if least <= -ENOUGH_DB:
            break
        (delta.grad,) = torch.autograd.grad(loss, delta)
        descent.step()
        with torch.no_grad():
            delta.clamp_(-most, most)
    return to_pixels(best)


def survival_loss(p: Tensor, known: Known, noise: torch.Generator) -> Tensor:
    """10 * log10 MSE(p, G(p)) of one picture (1, 3, h, w), any size: less is more that survives."""
    x = pad_replicate(p, STRIDE)
    quality = torch.full((1, 1, x.shape[2] // BLOCK, x.shape[3] // BLOCK), known.quality)
    again = known.base.again(x, quality, noise)[:, :, : p.shape[2], : p.shape[3]]
    return 10 * ((again - p).square().mean() + _LEAST_MSE).log10()
