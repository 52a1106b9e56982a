"""1 - MS-SSIM (Wang, Simoncelli and Bovik, Asilomar 2003) by pytorch-msssim: differentiable, one value per image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from miscomp.errors import MissingExtra
from miscomp.metrics.differentiable import full_precision
from miscomp.metrics.ssim import MS_MIN_SIDE


class MsSsimLoss(nn.Module):
    """In [0, 1]; a channel whose structure is reversed at any scale counts as 1, and has no gradient there.

    SLIC's authors add MS-SSIM itself to the loss of this row, and no hinge: with a threshold of 1 the same.
    """

    def __init__(self) -> None:
        """Raises `MissingExtra` without pytorch-msssim."""
        super().__init__()
        try:
            from pytorch_msssim import ms_ssim
        except ImportError as error:
            raise MissingExtra("pytorch-msssim", "train", "the metric 'ms-ssim'") from error
        self._ms_ssim: Callable[..., Tensor] = ms_ssim

    @full_precision
    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """(b) for images (b, 3, h, w) in [0, 1]. Raises `ValueError` for a side below `MS_MIN_SIDE`."""
        if min(x.shape[2:]) < MS_MIN_SIDE:
            raise ValueError(
                f"MS-SSIM needs {MS_MIN_SIDE} or more pixels a side, got {x.shape[3]} x {x.shape[2]}; take larger crops"
            )
        x, x_hat = _finite(x), _finite(x_hat)
        return 1 - self._ms_ssim(x, x_hat, data_range=1, size_average=False)


def _finite(x: Tensor) -> Tensor:
    """The same values; what comes back as gradient and is no number is 0.

    A scale whose mean contrast term is negative is cut off at 0 and then raised to a power below 1. The gradient is 0
    times infinity where it should be 0, in all of that channel and in nothing else.
    """
    if not x.requires_grad:
        return x
    x = x.view_as(x)  # a hook on the caller's own tensor would stay there
    x.register_hook(lambda gradient: torch.nan_to_num(gradient, nan=0, posinf=0, neginf=0))
    return x
