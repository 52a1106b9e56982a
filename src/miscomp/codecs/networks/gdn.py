"""Generalised divisive normalisation, with the reparametrised weights that published checkpoints store."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_PEDESTAL = 2.0**-36
_BETA_MIN = 1e-6
_PART = 2048


class _LowerBound(torch.autograd.Function):
    """max(x, bound) whose gradient can still lift what lies below."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,), (gradient,) = ctx.saved_tensors, gradients
        return gradient * ((x >= ctx.bound) | (gradient < 0)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """max(x, bound); below the bound only gradients that raise x pass."""
    bounded: Tensor = _LowerBound.apply(x, bound)  # type: ignore[no-untyped-call]
    return bounded


class GDN(nn.Module):
    """y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2), or times that root for the inverse.

    Ballé, Laparra and Simoncelli, "Density modeling of images using a generalized normalization transformation",
    ICLR 2016, eq. 4. `beta` and `gamma` are stored as sqrt(value + 2^-36), so that they stay positive in training.
    """

    def __init__(self, channels: int, *, inverse: bool = False, gamma_init: float = 0.1) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter((torch.ones(channels) + _PEDESTAL).sqrt())
        self.gamma = nn.Parameter((gamma_init * torch.eye(channels) + _PEDESTAL).sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input (b, c, h, w)."""
        beta = lower_bound(self.beta, (_BETA_MIN + _PEDESTAL) ** 0.5) ** 2 - _PEDESTAL
        gamma = lower_bound(self.gamma, _PEDESTAL**0.5) ** 2 - _PEDESTAL
        if not torch.is_grad_enabled() and x.is_contiguous(memory_format=torch.channels_last):
            return self._in_parts(x, beta, gamma)
        norm = nn.functional.conv2d(x * x, gamma[:, :, None, None], beta)
        return x * (norm.sqrt() if self.inverse else norm.rsqrt())

    def _in_parts(self, x: Tensor, beta: Tensor, gamma: Tensor) -> Tensor:
        """The same, some positions at a time: what stays in the cache is not written to memory in between."""
        out = torch.empty_like(x)
        rows, results = (tensor.permute(0, 2, 3, 1).flatten(0, 2) for tensor in (x, out))
        weights = gamma.T.contiguous()
        for part, result in zip(rows.split(_PART), results.split(_PART), strict=True):
            torch.addmm(beta, part * part, weights, out=result)
            (result.sqrt_() if self.inverse else result.rsqrt_()).mul_(part)
        return out
