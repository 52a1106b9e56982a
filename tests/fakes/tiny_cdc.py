"""A small `cdc`: a few channels, and numbers that come from a formula, the same with every release of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import torch
from tiny_lucid import values
from torch import Tensor

from miscomp.codecs.networks.cdc import Cdc, from_state
from miscomp.codecs.networks.cdc_context import Compressor
from miscomp.codecs.networks.cdc_unet import Denoiser


def shapes_of(width: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a `cdc` whose finest level has `width` channels; 64 in the published one."""
    encoder = [width * times for times in (1, 2, 3, 4)]
    content = [width, width, 2 * width, 3 * width]
    with torch.device("meta"):
        denoiser = Denoiser(width, [width * times for times in range(1, 7)], content)
        network = Cdc(denoiser, Compressor(encoder, content[::-1], [4 * width] * 3))
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def formula_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights whose pictures are clamped here and there and whose latents have several levels and scales."""
    return {name: _tensor(name, shape) for name, shape in shapes.items()}


@cache
def tiny_cdc() -> Cdc:
    """A `cdc` of width 4, ready to run in 3 steps; not to be changed."""
    network = from_state(formula_state(shapes_of(4)))
    network.steps = 3
    return network


def picture(height: int, width: int) -> Tensor:
    """Noise in [0, 1)."""
    return (values("picture", 1, 3, height, width) + 1) / 2


def _tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    number = values(name, *shape)
    if name.endswith(".g"):
        return 1 + 0.2 * number
    if name.endswith("bias") and "prior" not in name:
        return number
    if (len(shape) == 4 and shape[0] > 1) or len(shape) == 2:
        return number * math.sqrt(3 / math.prod(shape[1:]))
    return 0.3 * number
