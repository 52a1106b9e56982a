"""Gaussian latents while training: what they cost, and the standard deviations that a stream can name.

Needs torch alone, so that training runs where the range coder is not installed.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

SCALE_MIN = 0.05
SCALE_MAX = 256.0
SCALE_TABLE: npt.NDArray[np.float64] = np.exp(np.linspace(math.log(SCALE_MIN), math.log(SCALE_MAX), 64))
"""Standard deviations a stream can name. The field's codecs start at 0.11; there, training noise makes each latent
that is always 0 cost 0.14 bits, which only an estimate ever pays."""

SCALE_BORDERS: npt.NDArray[np.float64] = np.sqrt(SCALE_TABLE[1:] * SCALE_TABLE[:-1])
"""Between neighbours of the table, halfway on the logarithmic scale: the nearest entry costs the fewest bits."""


def gaussian_bits(residual: Tensor, scale: Tensor) -> Tensor:
    """Bits for a bin of width 1 around `residual` under a zero-mean Gaussian; same shape as the inputs.

    With uniform noise on the latent it is the rate of Ballé et al., "Variational image compression with a scale
    hyperprior", ICLR 2018, eq. 6.
    """
    value = residual.abs()
    root = scale * math.sqrt(2)
    upper = torch.special.erfc((value - 0.5) / root)
    lower = torch.special.erfc((value + 0.5) / root)
    return -torch.log2((0.5 * (upper - lower)).clamp_min(1e-9))


def scale_index(scale: Tensor) -> Tensor:
    """Index of the table entry nearest to `scale` on the logarithmic scale; the ends hold everything beyond them."""
    borders = torch.as_tensor(SCALE_BORDERS, dtype=scale.dtype, device=scale.device)
    return torch.bucketize(scale.contiguous(), borders)
