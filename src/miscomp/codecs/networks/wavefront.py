"""Coding under a context model in few steps: all latents of a slanted line at once.

A latent at row i and column j needs those up to two rows above it and up to two columns to its right there, and two to
its left. All of them are done when the latents with a smaller j + 3 i are, so that those with the same one can be coded
together: w + 3 (h - 1) steps in place of h * w. The result is that of raster order; only the order of the symbols in
the stream is another.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor, nn

from miscomp.codecs.exact import from_units
from miscomp.codecs.fixed_point import LIMIT, Layer, check_weights
from miscomp.codecs.networks.base import Port, scale_index
from miscomp.codecs.networks.bottleneck import SCALE_MIN
from miscomp.codecs.networks.hyperprior import HyperCoder, MeanScaleHyperprior

_REACH = 2
_SLANT = _REACH + 1
_SIDE = 2 * _REACH + 1
_SEEN = _REACH * _SIDE + _REACH
"""Latents that a context has: two rows of five and two beside."""
_SLOPE = 0.01


class WavefrontCoder(HyperCoder):
    """z by its densities, then y line by line."""

    def __init__(self, network: MeanScaleHyperprior, context: nn.Conv2d, parameters: nn.Sequential) -> None:
        """`context` is the masked 5 x 5 convolution, `parameters` the three 1 x 1 that follow it and h_s."""
        super().__init__(network)
        first, second, third = (layer for layer in parameters if isinstance(layer, nn.Conv2d))
        # From (out, in, 5, 5) to rows: the taps that are seen, one after the other, each with all channels.
        taps = context.weight.detach().flatten(2)[:, :, :_SEEN].permute(0, 2, 1).flatten(1)
        self._context = _layer(taps, _bias(context))
        whole = _layer(first.weight.detach().flatten(1), _bias(first))
        split = first.weight.shape[1] - context.weight.shape[0]
        # One layer whose inputs come at two times: what h_s says of all latents, and what lies around each.
        self._common = Layer(whole.weight[:, :split].contiguous(), whole.bias, whole.shift)
        self._around = whole.weight[:, split:].T.contiguous()
        self._second = _layer(second.weight.detach().flatten(1), _bias(second))
        self._third = _layer(third.weight.detach().flatten(1), _bias(third))

    def run(self, port: Port, height: int, width: int, y: Tensor | None) -> Tensor:
        """As `LatentCoder.run`."""
        common = self._common.sums(self.hyper_parameters(port, height, width, y)[0].flatten(1).T)
        channels = self._third.weight.shape[0] // 2
        padded_width = width + 2 * _REACH
        done = torch.zeros((height + _REACH) * padded_width, channels, dtype=torch.float64)
        y_hat = torch.empty(height * width, channels, dtype=torch.float64)
        target = None if y is None else y[0].flatten(1).T.contiguous()
        offsets = torch.tensor([row * padded_width + column for row, column in _taps()])
        for rows, columns in _lines(height, width):
            place = rows * width + columns
            around = done[((rows * padded_width + columns)[:, None] + offsets).flatten()]
            scale, mean = self._parameters_at(common[place], around.view(len(place), -1))
            found = port.code(mean, scale_index(scale, lower=SCALE_MIN), None if target is None else target[place])
            y_hat[place] = found
            done[(rows + _REACH) * padded_width + columns + _REACH] = found.clamp(-LIMIT, LIMIT)
        return from_units(y_hat).T.reshape(1, channels, height, width)

    def _parameters_at(self, common: Tensor, around: Tensor) -> tuple[Tensor, Tensor]:
        """Scales and means (n, c) in units, of what h_s says there and of the decoded neighbours (n, 12 c)."""
        sums = torch.addmm(common, self._context(around), self._around)
        hidden = self._second(_leaky(self._common.requantised(sums)))
        scale, mean = self._third(_leaky(hidden)).chunk(2, 1)
        return scale, mean


def _layer(weight: Tensor, bias: Tensor) -> Layer:
    """Raises `ValueError` for weights that would be clamped."""
    check_weights(weight)
    return Layer.quantised(weight, bias)


def _bias(layer: nn.Conv2d) -> Tensor:
    return torch.zeros(layer.out_channels) if layer.bias is None else layer.bias.detach()


def _leaky(rows: Tensor) -> Tensor:
    """Leaky ReLU, in place; what is below 0 is rounded to the grid again."""
    return torch.maximum(rows, rows.mul(_SLOPE).round_(), out=rows)


def _taps() -> list[tuple[int, int]]:
    """Rows and columns that a context sees, from its window's upper left corner, in raster order."""
    return list(product(range(_SIDE), range(_SIDE)))[:_SEEN]


def _lines(height: int, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and columns of the latents of each step."""
    for step in range(width + _SLANT * (height - 1)):
        first = max(0, -(-(step - width + 1) // _SLANT))
        rows = torch.arange(first, min(height - 1, step // _SLANT) + 1)
        yield rows, step - _SLANT * rows
