"""JPEG as something to train through: it takes pictures and qualities and hands gradients back.

| name | forward | gradient |
|---|---|---|
| `exact` | JPEG itself, 8 bits, by Pillow | the identity's, as if nothing had happened to the picture |
| `cubic` | JPEG's steps with round(x) + (x - round(x))^3 for the coefficients | of just that |
| `kornia` | kornia's: the same cubic rounding, and the scaled tables smoothed too | of just that |
| `unet` | the network of `unet_jpeg`, taught JPEG's results | of the network |

All four mean 4:2:0 subsampling and the standard tables, as Pillow writes by default.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from miscomp.errors import MissingExtra, UsageError
from miscomp.images import Pixels
from miscomp.registry import Registry, load
from miscomp.tensors import to_pixels, to_tensor
from miscomp.training.jpeg_steps import jpeg_steps

LOWEST_QUALITY, HIGHEST_QUALITY = 1, 100


def jpeg_pixels(pixels: Pixels, quality: int) -> Pixels:
    """What Pillow's JPEG at 4:2:0 makes of pixels (h, w, 3)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.array(Image.open(file))


def real_jpeg(x: Tensor, quality: Tensor) -> Tensor:
    """Pictures (b, 3, h, w) in [0, 1], rounded to 8 bits, after JPEG at each one's quality (b); no gradient.

    Qualities are rounded to whole numbers, as JPEG has no others. It runs on the CPU, wherever `x` is.
    """
    made = [
        to_tensor(jpeg_pixels(to_pixels(one[None]), round(level)))
        for one, level in zip(x.detach(), quality.tolist(), strict=True)
    ]
    return torch.cat(made).to(x.device)


class JpegSimulation(nn.Module, ABC):
    """Takes pictures (b, 3, h, w) in [0, 1] of any size and qualities (b) in [1, 100]; gives pictures in [0, 1].

    It computes in float32, whatever autocast says: half precision is coarser than JPEG's finest steps.
    """

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        """Raises `ValueError` for shapes or qualities other than these."""
        if x.ndim != 4 or x.shape[1] != 3 or quality.shape != x.shape[:1] or 0 in x.shape:
            shapes = f"{tuple(x.shape)}, {tuple(quality.shape)}"
            raise ValueError(f"pictures (b, 3, h, w) and qualities (b) are needed, got {shapes}")
        if not bool(((quality >= LOWEST_QUALITY) & (quality <= HIGHEST_QUALITY)).all()):
            raise ValueError(f"JPEG's qualities are {LOWEST_QUALITY} to {HIGHEST_QUALITY}, got {quality.tolist()}")
        with torch.autocast(x.device.type, enabled=False):
            return self._simulate(x.float(), quality.to(x.device, torch.float32))

    @abstractmethod
    def _simulate(self, x: Tensor, quality: Tensor) -> Tensor:
        """As `forward`, of what was checked."""


class _StraightThrough(torch.autograd.Function):
    """JPEG forward, the identity backward; x + (jpeg - x) would not be JPEG's result to the last bit."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, quality: Tensor) -> Tensor:
        return real_jpeg(x, quality)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class ExactJpeg(JpegSimulation):
    """Pillow's JPEG, with the gradient passed straight through."""

    def _simulate(self, x: Tensor, quality: Tensor) -> Tensor:
        through: Callable[[Tensor, Tensor], Tensor] = _StraightThrough.apply
        return through(x, quality)


def cubic_round(x: Tensor) -> Tensor:
    """round(x) + (x - round(x))^3: near to rounding, with a gradient that is 0 only at whole numbers.

    Shin and Song, "JPEG-resistant adversarial images", 2017.
    """
    whole = x.round()
    return whole + (x - whole) ** 3


class CubicJpeg(JpegSimulation):
    """JPEG's own steps; only that coefficients are rounded by `cubic_round`, and samples in between not at all."""

    def _simulate(self, x: Tensor, quality: Tensor) -> Tensor:
        return jpeg_steps(x, quality, rounding=cubic_round)


class KorniaJpeg(JpegSimulation):
    """The differentiable JPEG of kornia (Reich et al., "Differentiable JPEG: the devil is in the details", 2024).

    Its rounding of coefficients is the cubic one too. It differs from `CubicJpeg` in the tables, where a floor is
    smoothed to floor(x) + (x - floor(x) - 1/2)^3, so that the quality has a gradient as well; and in how chroma is
    subsampled.
    """

    def __init__(self) -> None:
        """Raises `MissingExtra` without kornia."""
        super().__init__()
        try:
            from kornia.enhance import jpeg_codec_differentiable
        except ImportError as error:
            raise MissingExtra("kornia", "train", "the JPEG simulation 'kornia'") from error
        self._codec: Callable[[Tensor, Tensor], Tensor] = jpeg_codec_differentiable

    def _simulate(self, x: Tensor, quality: Tensor) -> Tensor:
        # Its own clipping leaves values a little outside the range.
        return self._codec(x, quality).clamp(0, 1)


class UNetSimulation(JpegSimulation):
    """A trained `UNetJpeg`; its weights are fixed, and move with `to`."""

    def __init__(self, weights: Path) -> None:
        """Raises `WeightsError` for a file that does not hold one."""
        from miscomp.training.unet_jpeg import read_unet_jpeg

        super().__init__()
        self.network = read_unet_jpeg(weights).network

    def _simulate(self, x: Tensor, quality: Tensor) -> Tensor:
        simulated: Tensor = self.network(x, quality)
        return simulated


@dataclass(frozen=True, slots=True)
class SimulationRow:
    """A kind of simulated JPEG."""

    name: str
    target: str
    """`module:class`; imported when it is asked for."""
    takes_weights: bool = False


JPEG_SIMULATIONS = Registry(
    "JPEG simulation",
    (
        SimulationRow("exact", "miscomp.training.jpeg_simulation:ExactJpeg"),
        SimulationRow("cubic", "miscomp.training.jpeg_simulation:CubicJpeg"),
        SimulationRow("kornia", "miscomp.training.jpeg_simulation:KorniaJpeg"),
        SimulationRow("unet", "miscomp.training.jpeg_simulation:UNetSimulation", takes_weights=True),
    ),
)


def open_simulation(name: str, weights: Path | None = None) -> JpegSimulation:
    """A simulation by its name; `weights` is the file that `unet` needs, and no other takes.

    Raises `UnknownName`, `UsageError` where weights lack or are not wanted, `MissingExtra`, and `WeightsError`.
    """
    row = JPEG_SIMULATIONS[name]
    if row.takes_weights and weights is None:
        raise UsageError(f"the JPEG simulation {name!r} needs a weights file; train one with miscomp train jpegsim")
    if not row.takes_weights and weights is not None:
        raise UsageError(f"the JPEG simulation {name!r} takes no weights, got {weights}; give none, or use 'unet'")
    opened: JpegSimulation = load(row.target)(*([weights] if weights is not None else []))
    return opened
