"""Convolution networks in whole numbers: what both ends of a stream compute alike, on every machine.

Networks that were trained in floating point are rounded once, when they are loaded: weights to at most 15 bits, biases
and activations to fixed point (`miscomp.codecs.fixed_point`). All of it is carried in float64 on the CPU, and every sum
of products stays below 2^53, where float64 holds whole numbers exactly: it may be summed in any order, by any number
of threads, with or without fused multiply-add, and comes out the same. ReLU, leaky ReLU and moving pixels keep that.
GELU and tanh ask the machine's library, whose last bits may differ; what comes out is rounded to 2^-10. What goes in is
one of the 2^22 + 1 numbers of the grid, and of all their results none lies nearer to a border of that rounding than
7e-5 units (GELU) and 1.5e-7 units (tanh, halved as `stf` has it): every library whose error function and tanh are
accurate to 1e-10 gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from miscomp.codecs.fixed_point import EXACT, FRACTION, LIMIT, check_weights, rounded, shifted

UNIT = 2.0**FRACTION
"""Units in 1: what a network's 1 is in here."""

Exact = Callable[[Tensor], Tensor]
"""From a grid (1, c, h, w) to another, both float64 whole numbers in units of 2^-FRACTION."""

_MOST_COLUMNS = 2**24
"""Numbers that a convolution may write beside its input and output: 128 MB."""


def to_units(value: Tensor) -> Tensor:
    """A tensor in floating point as whole numbers in float64, rounded to the grid and clamped."""
    return value.double().mul(UNIT).round_().clamp_(-LIMIT, LIMIT)


def from_units(value: Tensor) -> Tensor:
    """Back to float32."""
    return value.mul(1 / UNIT).float()


@dataclass(frozen=True, slots=True, eq=False)
class ExactConv:
    """A convolution, or a transposed one, of whole numbers; weights are units of 2^-shift."""

    weight: Tensor
    bias: Tensor
    """In units of 2^-(shift + FRACTION)."""
    shift: int
    stride: int
    padding: int
    output_padding: int = 0
    transposed: bool = False

    @classmethod
    def of(cls, layer: nn.Conv2d | nn.ConvTranspose2d, *, weight: Tensor | None = None) -> ExactConv:
        """Round a layer's weights, or others in their place. Raises `ValueError` for one that cannot stay exact."""
        weight = (layer.weight if weight is None else weight).detach().double()
        transposed = isinstance(layer, nn.ConvTranspose2d)
        if layer.groups != 1 or layer.dilation != (1, 1) or layer.padding_mode != "zeros":
            raise ValueError(f"no exact form of {layer}")
        check_weights(weight)
        channels = weight.shape[1 if transposed else 0]
        given = torch.zeros(channels) if layer.bias is None else layer.bias.detach()
        whole, bias, shift = rounded(weight, given)
        inputs = whole.abs().sum((0, 2, 3) if transposed else (1, 2, 3))
        if not float((inputs * LIMIT + bias.abs()).max()) < EXACT:
            raise ValueError("a layer's weights are so large that its sums would not be exact")
        padding = layer.padding[0]
        if not isinstance(padding, int):
            raise ValueError(f"no exact form of {layer}")
        return cls(
            weight=whole,
            bias=bias,
            shift=shift,
            stride=layer.stride[0],
            padding=padding,
            output_padding=layer.output_padding[0] if isinstance(layer, nn.ConvTranspose2d) else 0,
            transposed=transposed,
        )

    def __call__(self, grid: Tensor) -> Tensor:
        sums = self._transposed(grid) if self.transposed else self._plain(grid)
        return shifted(sums, self.shift).clamp_(-LIMIT, LIMIT)

    def _plain(self, grid: Tensor) -> Tensor:
        """In strips of rows: in float64, torch writes each position's whole neighbourhood to memory."""
        kernel, stride = self.weight.shape[2], self.stride
        padded = nn.functional.pad(grid, (self.padding,) * 4) if self.padding else grid
        rows = (padded.shape[2] - kernel) // stride + 1
        most = max(_MOST_COLUMNS // (self.weight[0].numel() * -(-grid.shape[3] // stride)), 1)
        strips = [
            nn.functional.conv2d(
                padded[:, :, top * stride : (min(top + most, rows) - 1) * stride + kernel],
                self.weight,
                self.bias,
                stride,
            )
            for top in range(0, rows, most)
        ]
        return strips[0] if len(strips) == 1 else torch.cat(strips, 2)

    def _transposed(self, grid: Tensor) -> Tensor:
        """In groups of output channels, for the same reason."""
        most = max(_MOST_COLUMNS // (self.weight[0, 0].numel() * grid.shape[2] * grid.shape[3]), 1)
        groups = [
            nn.functional.conv_transpose2d(grid, weight, bias, self.stride, self.padding, self.output_padding)
            for weight, bias in zip(self.weight.split(most, 1), self.bias.split(most), strict=True)
        ]
        return groups[0] if len(groups) == 1 else torch.cat(groups, 1)


def relu(grid: Tensor) -> Tensor:
    """max(x, 0), in place."""
    return grid.clamp_(min=0)


def leaky_relu(slope: float) -> Exact:
    """Leaky ReLU, in place; what is below 0 is rounded to the grid again."""
    return lambda grid: torch.where(grid < 0, grid.mul(slope).round_(), grid)


def gelu(grid: Tensor) -> Tensor:
    """GELU by the error function, rounded to the grid."""
    return to_units(nn.functional.gelu(grid.mul(1 / UNIT)))


def exact(modules: nn.Module | Iterable[nn.Module]) -> Exact:
    """The same layers one after the other in whole numbers; nested `nn.Sequential` are opened.

    Raises `ValueError` for a layer that has no exact form here.
    """
    steps = [step for module in ([modules] if isinstance(modules, nn.Module) else modules) for step in _steps(module)]

    def run(grid: Tensor) -> Tensor:
        for step in steps:
            grid = step(grid)
        return grid

    return run


def _steps(module: nn.Module) -> list[Exact]:
    if isinstance(module, nn.Sequential):
        return [step for part in module for step in _steps(part)]
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        shuffled = getattr(module, "shuffled", False)
        return [ExactConv.of(module), *([lambda grid: nn.functional.pixel_shuffle(grid, 2)] if shuffled else [])]
    if isinstance(module, nn.ReLU):
        return [lambda grid: relu(grid.clone())]
    if isinstance(module, nn.LeakyReLU):
        return [leaky_relu(module.negative_slope)]
    if isinstance(module, nn.GELU) and module.approximate == "none":
        return [gelu]
    if isinstance(module, nn.PixelShuffle):
        factor = module.upscale_factor
        return [lambda grid: nn.functional.pixel_shuffle(grid, factor)]
    if isinstance(module, nn.Identity):
        return []
    raise ValueError(f"no exact form of {type(module).__name__}")
