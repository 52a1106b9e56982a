"""What the differentiable metrics have in common: one pair of pictures, full precision, and roots with a gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce, wraps
from typing import TypeVar

import torch
from torch import Tensor, nn

Metric = TypeVar("Metric", bound=nn.Module)

REC_601 = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the luminance."""


def full_precision(forward: Callable[[Metric, Tensor, Tensor], Tensor]) -> Callable[[Metric, Tensor, Tensor], Tensor]:
    """For a metric's `forward(x, x_hat)`: checks the shapes, and computes in float32 whatever autocast says.

    Differences of nearly equal values are what metrics are made of, and half precision has three digits. Raises
    `ValueError` for anything but two tensors of one shape (b, 3, h, w) with at least one pixel.
    """

    @wraps(forward)
    def checked(metric: Metric, x: Tensor, x_hat: Tensor) -> Tensor:
        if x.shape != x_hat.shape or x.ndim != 4 or x.shape[1] != 3 or 0 in x.shape:
            raise ValueError(
                f"two tensors of one shape (b, 3, h, w) are needed, got {tuple(x.shape)}, {tuple(x_hat.shape)}"
            )
        with torch.autocast(x.device.type, enabled=False):
            return forward(metric, x.float(), x_hat.float())

    return checked


def root(square: Tensor) -> Tensor:
    """Square root of values of 0 and more; at 0 its gradient is 0, where torch's is infinite.

    Nothing is added below the root, so that equal pictures have a distance of exactly 0.
    """
    some = square > 0
    return torch.where(some, torch.where(some, square, 1).sqrt(), 0)


def luminance(x: Tensor) -> Tensor:
    """Of Rec. 601 (b, 1, h, w), in the range of x."""
    weights = torch.tensor(REC_601, dtype=x.dtype, device=x.device)
    return (x * weights[:, None, None]).sum(1, keepdim=True)


def extended(plane: Tensor, before: tuple[int, int], after: tuple[int, int], *, mirrored: bool = False) -> Tensor:
    """Add rows (first number) and columns, at most two at each side: copies of the outermost one, or mirror images.

    Mirrored as in `b a | a b c`, the outermost row being repeated; a single row is its own mirror image. By slices
    and not by torch's padding, whose gradient adds up in random order on GPUs.
    """
    for axis, front, back in ((-2, before[0], after[0]), (-1, before[1], after[1])):
        last = plane.shape[axis] - 1
        place = [min(step, last) if mirrored else 0 for step in range(2)]
        parts = [plane.narrow(axis, at, 1) for at in reversed(place[:front])]
        parts += [plane, *(plane.narrow(axis, last - at, 1) for at in place[:back])]
        plane = torch.cat(parts, dim=axis)
    return plane


def filtered(plane: Tensor, taps: Sequence[float], axis: int, *, step: int = 1) -> Tensor:
    """Correlation with `taps` along an axis where they lie inside, at every `step`-th place; the first tap comes first.

    By slices: convolutions on GPUs round to ten bits unless they are told otherwise (TF32).
    """
    places = plane.shape[axis] - len(taps) + 1
    parts = [tap * plane.narrow(axis, at, places).unfold(axis, 1, step)[..., 0] for at, tap in enumerate(taps) if tap]
    return reduce(Tensor.add, parts)
