"""Dense layers in whole numbers: the same result on every machine, thread count, batch and library version.

Weights are whole numbers of at most 15 bits, activations fixed-point numbers; both are carried in float64, and every
sum of products stays below 2^53, where float64 holds whole numbers exactly, so that it may be summed in any order.
Layers are matrix products of rows, one row per position. After each, a division by a power of two brings the result
back to fixed point. It always runs on the CPU: other devices may multiply with fewer bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

FRACTION = 10
"""Activations are multiples of 2^-FRACTION."""

SLOPE = 0.125
"""Of the leaky ReLU below 0: a shift."""

WEIGHT_LIMIT = 2**15 - 1
LIMIT = 2.0**21
"""Activations are clamped to [-LIMIT, LIMIT]."""

_MOST_SHIFT = 20
_BIAS_LIMIT = 2.0**50
EXACT = 2.0**53


def shifted(value: Tensor, bits: int) -> Tensor:
    """Whole numbers divided by 2^bits and rounded, halves up; a negative `bits` multiplies."""
    scaled = value * math.ldexp(1.0, -bits)
    return scaled.add_(0.5).floor_() if bits > 0 else scaled


def leaky(value: Tensor) -> Tensor:
    """Leaky ReLU on whole numbers, in place."""
    return torch.maximum(value, value.mul(SLOPE).floor_(), out=value)


def powers_of_two(exponents: Tensor) -> Tensor:
    """2^exponents in float64, exactly: no library's power function is asked."""
    return torch.tensor([math.ldexp(1.0, int(e)) for e in exponents.tolist()], dtype=torch.float64)


def interpolated(anchors: Tensor, steps: int) -> Tensor:
    """Rows (steps, c) between evenly spaced anchors (n, c), the first and the last included, in whole numbers."""
    table = anchors.to(torch.int64).numpy()
    position = np.arange(steps, dtype=np.int64) * (len(table) - 1)
    lower = np.minimum(position // (steps - 1), len(table) - 2)
    share = (position - lower * (steps - 1))[:, None]
    mixed = table[lower] * (steps - 1 - share) + table[lower + 1] * share
    return torch.from_numpy(mixed // (steps - 1)).double()


def check_weights(weight: Tensor) -> None:
    """Raise `ValueError` for weights in floating point that rounding would clamp."""
    largest = float(weight.abs().max())
    if not largest <= WEIGHT_LIMIT:
        raise ValueError(f"a layer has a weight of {largest:g}; at most {WEIGHT_LIMIT} can be exact")


def rounded(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, int]:
    """Weights and bias of any shape as whole numbers, and the finest shift that the weights allow."""
    largest = max(float(weight.abs().max()), 1e-9)
    shift = min(max(math.floor(math.log2(WEIGHT_LIMIT / largest)), 0), _MOST_SHIFT)
    whole = (weight.double() * 2.0**shift).round().clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT)
    return whole, (bias.double() * 2.0 ** (shift + FRACTION)).round(), shift


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """rows @ weight.T + bias in fixed point: `weight` (out, in) in units of 2^-shift, `bias` in 2^-(shift + 10)."""

    weight: Tensor
    bias: Tensor
    shift: int

    def __post_init__(self) -> None:
        """Raises `ValueError` for numbers with which a sum could leave the exact range."""
        if not 0 <= self.shift <= _MOST_SHIFT or self.weight.ndim != 2:
            raise ValueError(f"a layer has the shift {self.shift} and weights of shape {tuple(self.weight.shape)}")
        if not self.weight.numel() or float(self.weight.abs().max()) > WEIGHT_LIMIT:
            raise ValueError("a layer's weights are out of their limits")
        if self.bias.shape != self.weight.shape[:1] or float(self.bias.abs().max()) > _BIAS_LIMIT:
            raise ValueError("a layer's bias does not fit it")
        if not float((self.weight.abs().sum(1) * LIMIT + self.bias.abs()).max()) < EXACT:
            raise ValueError(f"a layer of {self.weight.shape[1]} inputs has weights too large for exact sums")

    @classmethod
    def quantised(cls, weight: Tensor, bias: Tensor) -> Layer:
        """From floating point; the shift is the finest that the weights allow."""
        return cls(*rounded(weight, bias))

    def floating(self) -> tuple[Tensor, Tensor]:
        """Weight and bias in floating point."""
        return self.weight * 2.0**-self.shift, self.bias * 2.0 ** -(self.shift + FRACTION)

    def sums(self, rows: Tensor) -> Tensor:
        """Products and sums (n, out) in units of 2^-(shift + 10), for rows (n, in) in units of 2^-10."""
        return torch.addmm(self.bias, rows, self.weight.T)

    def requantised(self, sums: Tensor) -> Tensor:
        """Sums back in units of 2^-10, clamped."""
        return shifted(sums, self.shift).clamp_(-LIMIT, LIMIT)

    def __call__(self, rows: Tensor) -> Tensor:
        """Activations (n, out) in units of 2^-10."""
        return self.requantised(self.sums(rows))
