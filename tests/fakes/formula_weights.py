"""State dicts of published codecs by formula, from key names and shapes alone: random-looking, yet fit to code with.

Signals keep their spread through the layers, latents spread by channel from almost always 0 to several units, and the
entropy model's scales follow, so that every part of a codec has something to do. No release of torch changes them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from tiny_lucid import values
from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

LAST_ANALYSIS = r"g_a\.[67]\.weight"
LAST_SYNTHESIS = r"g_s\.(6|7\.0|9\.0)\.(weight|bias)"
TRANSPOSED = r"[gh]_s\.\d\.weight"

GAINS: Mapping[str, float] = {
    LAST_SYNTHESIS: 0.2,
    r"g_s\.0\.weight": 0.3,
    r"g_s\..*(subpel_conv|upsample)\..*": 0.5,
    r".*\.conv2\.weight": 0.3,
    r".*\.conv\.4\.weight": 0.1,
    r"h_a\.[48]\.weight": 4.0,
}
"""By which a layer strays from keeping its input's spread: inverse normalisation and residual blocks widen it."""

PEDESTAL = 2.0**-36


def formula_state(shapes: Shapes) -> dict[str, Tensor]:
    """A tensor for each name, in CompressAI's layout; tables that only its own coder needs are left empty."""
    channels = shapes["g_a.7.weight" if "g_a.7.weight" in shapes else "g_a.6.weight"][0]
    # 0.02 to 4, evenly on the logarithmic scale.
    spread = torch.exp(math.log(4 * 0.02) / 2 + math.log(4 / 0.02) / 2 * values("spread", channels))
    last = "entropy_parameters.4" if "entropy_parameters.4.weight" in shapes else "h_s.4"
    return {name: _tensor(name, shape, _Latents(spread, last)) for name, shape in shapes.items()}


def formula_picture(height: int, width: int) -> Tensor:
    """(1, 3, height, width) in [0, 1]: flat squares of 8 x 8 and noise."""
    squares = values("squares", 3, -(-height // 8), -(-width // 8)).repeat_interleave(8, 1).repeat_interleave(8, 2)
    return 0.5 + 0.35 * squares[None, :, :height, :width] + 0.15 * values("noise", 1, 3, height, width)


class _Latents(NamedTuple):
    spread: Tensor
    """Each channel's."""
    parameters: str
    """The layer that ends in their scales and then, but for `bmshj2018-hyperprior`, their means."""

    def rows(self, count: int) -> Tensor:
        return self.spread.repeat(count // len(self.spread))


def _tensor(name: str, shape: tuple[int, ...], latents: _Latents) -> Tensor:
    for pattern, make in _SPECIAL.items():
        if re.search(pattern, name):
            return make(name, shape)
    if len(shape) == 4:
        return _weight(name, shape, latents)
    if name.endswith(".bias"):
        return _bias(name, shape, latents)
    raise ValueError(f"no formula for {name}")


def _weight(name: str, shape: tuple[int, ...], latents: _Latents) -> Tensor:
    transposed = re.fullmatch(TRANSPOSED, name) and shape[2] == 5
    # A transposed convolution with stride 2 reaches an output by a quarter of its taps.
    inputs = shape[0] * shape[2] * shape[3] / 4 if transposed else shape[1] * shape[2] * shape[3]
    weight = values(name, *shape)
    gain: Tensor | float = next((gain for pattern, gain in GAINS.items() if re.fullmatch(pattern, name)), 1.0)
    if re.fullmatch(LAST_ANALYSIS, name):
        # Flat places give latents of 0, as trained ones do: the hyperprior without means could not code others.
        weight = weight - weight.mean((2, 3), keepdim=True)
        gain = 4 * latents.spread[:, None, None, None]
    elif name == f"{latents.parameters}.weight":
        gain = 0.5 * latents.rows(shape[0])[:, None, None, None]
    return weight * math.sqrt(3 / inputs) * gain


def _bias(name: str, shape: tuple[int, ...], latents: _Latents) -> Tensor:
    bias = 0.1 * values(name, *shape)
    if name == f"{latents.parameters}.bias":
        bias = bias * latents.rows(shape[0])
        bias[: len(latents.spread)] += latents.spread
    return bias + 0.5 if re.match(LAST_SYNTHESIS, name) else bias


def _beta(name: str, shape: tuple[int, ...]) -> Tensor:
    """As stored, a square root; the synthesis' first, where it does no harm, lies below its lower bound."""
    stored = (1 + 0.5 * values(name, *shape) + PEDESTAL).sqrt()
    stored[: name.startswith("g_s")] = 0
    return stored


def _gamma(name: str, shape: tuple[int, ...]) -> Tensor:
    """As stored, a square root; a third lies below its lower bound, as training leaves them."""
    across = (0.2 / shape[0] * values(name, *shape).clamp(min=0)).sqrt()
    below = values(f"{name} below", *shape) < -1 / 3
    return torch.where(below, -across, (across**2 + 0.1 * torch.eye(shape[0])).sqrt())


def _mask(name: str, shape: tuple[int, ...]) -> Tensor:
    """What comes before the middle in raster order."""
    mask = torch.ones(shape).flatten(2)
    mask[:, :, mask.shape[2] // 2 :] = 0
    return mask.view(shape)


def _matrix(name: str, shape: tuple[int, ...]) -> Tensor:
    """softplus(matrix) comes to 10^(-1/5) / rows, as before training, times about e^(+-0.3)."""
    return math.log(math.expm1(10 ** (-1 / 5) / shape[1])) + 0.3 * values(name, *shape)


def _quantiles(name: str, shape: tuple[int, ...]) -> Tensor:
    """Medians within (-0.5, 0.5), tails 12 to 20 away."""
    return torch.tensor([-16.0, 0.0, 16.0]) + torch.tensor([4.0, 0.5, 4.0]) * values(name, *shape)


def _bounds(name: str, shape: tuple[int, ...]) -> Tensor:
    value = {"beta_reparam": (1e-6 + PEDESTAL) ** 0.5, "gamma_reparam": PEDESTAL**0.5, "likelihood": 1e-9}
    return torch.full(shape, next((bound for part, bound in value.items() if part in name), 0.11))


_SPECIAL: Mapping[str, Callable[[str, tuple[int, ...]], Tensor]] = {
    r"\.beta$": _beta,
    r"\.gamma$": _gamma,
    r"\.pedestal$": lambda name, shape: torch.full(shape, PEDESTAL),
    r"bound$": _bounds,
    r"\.mask$": _mask,
    r"\.matrices\.": _matrix,
    r"\.biases\.": lambda name, shape: 0.5 * values(name, *shape),
    r"\.factors\.": lambda name, shape: 0.5 * values(name, *shape),
    r"\.quantiles$": _quantiles,
    r"\.target$": lambda name, shape: math.log(2 / 1e-9 - 1) * torch.tensor([-1.0, 0.0, 1.0]),
    r"\._(offset|quantized_cdf|cdf_length)$": lambda name, shape: torch.zeros(0, dtype=torch.int32),
    r"\.scale_table$": lambda name, shape: torch.zeros(0),
}
