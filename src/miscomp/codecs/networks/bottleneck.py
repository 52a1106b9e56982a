"""The factorised density of hyper-latents: one learned distribution per channel.

Ballé et al., "Variational image compression with a scale hyperprior", ICLR 2018, appendix 6.1, with the tensors'
names of CompressAI.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from miscomp.codecs.exact import UNIT, to_units
from miscomp.codecs.frequencies import SYMBOL_LIMIT, Counts, whole_from_shares
from miscomp.codecs.networks.base import GAUSSIANS, Port
from miscomp.codecs.networks.gdn import lower_bound

LEAST_LIKELIHOOD = 1e-9
"""Below it the estimated rate does not look, as in the published codecs."""

SCALE_MIN = 0.11
"""Smallest standard deviation that the published codecs' entropy models give, but for `cdc`."""

RESIDUALS = torch.arange(-SYMBOL_LIMIT, SYMBOL_LIMIT + 1, dtype=torch.float64)
"""What a table of frequencies has an entry for."""

TAIL_MASS = 1e-9
"""Of both tails together, beyond the ends in `EntropyBottleneck.quantiles`, as in the published codecs."""

_FARTHEST, _HALVINGS = 2.0**30, 80
"""Where a density is looked for, and how often that range is halved: to 2^-49."""

_FILTERS = (1, 3, 3, 3, 3, 1)
_INIT_SCALE = 10.0


def bits_of(likelihood: Tensor) -> Tensor:
    """-log2 of likelihoods (b, ...), bounded below, summed per picture: (b)."""
    return -torch.log2(lower_bound(likelihood, LEAST_LIKELIHOOD)).flatten(1).sum(1)


def gaussian_likelihood(value: Tensor, scale: Tensor, *, lower: float = SCALE_MIN) -> Tensor:
    """Mass of a bin of width 1 around `value` under a zero-mean Gaussian whose scale is at least `lower`."""
    scale = lower_bound(scale, lower)
    value = value.abs()
    root = -(2**-0.5)
    upper = 0.5 * torch.erfc(root * ((0.5 - value) / scale))
    return upper - 0.5 * torch.erfc(root * ((-0.5 - value) / scale))


def quantised(value: Tensor, mean: Tensor | None, *, training: bool) -> Tensor:
    """`value` rounded around `mean`; while training with uniform noise in its place."""
    if training:
        return value + torch.empty_like(value).uniform_(-0.5, 0.5)
    return value.round() if mean is None else (value - mean).round() + mean


class EntropyBottleneck(nn.Module):
    """Densities of `channels` channels; `quantiles` (c, 1, 3) hold the tails' ends and, in the middle, the medians."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.matrices, self.biases, self.factors = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        scale = _INIT_SCALE ** (1 / (len(_FILTERS) - 1))
        for index, (width, following) in enumerate(pairwise(_FILTERS)):
            start = math.log(math.expm1(1 / scale / following))
            self.matrices.append(nn.Parameter(torch.full((channels, following, width), start)))
            self.biases.append(nn.Parameter(torch.rand(channels, following, 1) - 0.5))
            if index < len(_FILTERS) - 2:
                self.factors.append(nn.Parameter(torch.zeros(channels, following, 1)))
        ends = torch.tensor([-_INIT_SCALE, 0.0, _INIT_SCALE])
        self.quantiles = nn.Parameter(ends.expand(channels, 1, 3).contiguous())

    @property
    def medians(self) -> Tensor:
        """(c): the values around which is rounded."""
        return self.quantiles[:, 0, 1]

    def logits(self, values: Tensor) -> Tensor:
        """Cumulative probabilities before the sigmoid, for values (c, 1, n); in the values' precision."""
        logits = values
        for index, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            logits = nn.functional.softplus(matrix.to(values.dtype)) @ logits + bias.to(values.dtype)
            if index < len(self.factors):
                logits = logits + self.factors[index].to(values.dtype).tanh() * logits.tanh()
        return logits

    def bits(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z_hat (b, c, h, w) and its estimated bits (b), for z (b, c, h, w)."""
        z_hat = quantised(z, self.medians[:, None, None], training=self.training)
        flat = z_hat.transpose(0, 1).reshape(self.channels, 1, -1)
        # As the published code has it, not `bin_mass`: estimates are compared with theirs.
        mass = torch.sigmoid(self.logits(flat + 0.5)) - torch.sigmoid(self.logits(flat - 0.5))
        per_picture = mass.view(self.channels, z.shape[0], -1).transpose(0, 1)
        return z_hat, bits_of(per_picture)

    @torch.no_grad()
    def fit_quantiles(self) -> None:
        """Put `quantiles` where the densities have their medians and tails; the rate's gradient does not move them.

        The published codecs train them by a loss of their own (Ballé et al., appendix 6.1) to the same places. Raises
        `ValueError` for densities without, or with them beyond +-2^30.
        """
        tail = math.log(2 / TAIL_MASS - 1)
        wanted = torch.tensor([-tail, 0.0, tail], dtype=torch.float64, device=self.quantiles.device)
        high = torch.full_like(self.quantiles, _FARTHEST, dtype=torch.float64)
        low = -high
        if not bool(((self.logits(low) < wanted) & (self.logits(high) > wanted)).all()):
            raise ValueError("its densities of hyper-latents have no median and tails in reach")
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = self.logits(middle) < wanted
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        self.quantiles.copy_((low + high) / 2)

    @torch.no_grad()
    def coder(self) -> ChannelCoder:
        """What streams are coded with, of the weights as they are now. Raises `ValueError` for broken densities."""
        medians = to_units(self.medians.detach())
        values = medians[:, None, None] / UNIT + RESIDUALS
        return ChannelCoder(bin_mass(self.logits(values - 0.5), self.logits(values + 0.5))[:, 0], medians)


def bin_mass(low: Tensor, high: Tensor) -> Tensor:
    """Probability of bins between two cumulative ones, given before the sigmoid; same shape."""
    # The difference of two numbers close to 1 would lose its digits: both are mirrored to the small side.
    sign = torch.where(low + high > 0, -1.0, 1.0).to(low.dtype)
    return (torch.sigmoid(sign * high) - torch.sigmoid(sign * low)).abs()


class ChannelCoder:
    """Hyper-latents by one table for each channel, computed once in float64 and then whole numbers."""

    def __init__(self, mass: Tensor, medians: Tensor) -> None:
        """From the masses (c, 2 * SYMBOL_LIMIT + 1) of `RESIDUALS` around the medians (c), which are in units.

        Raises `ValueError` for masses that are no distributions.
        """
        self.medians = medians
        self.tables: list[Counts] = [whole_from_shares(row.numpy()) for row in mass]

    def code(self, port: Port, z: Tensor | None, height: int, width: int) -> Tensor:
        """Code z (1, c, h, w), none when decoding; returns z_hat (1, c, h, w) in units of 2^-FRACTION."""
        shape = (1, len(self.tables), height, width)
        mean = self.medians.view(1, -1, 1, 1).expand(shape)
        index = (GAUSSIANS + torch.arange(len(self.tables))).view(1, -1, 1, 1).expand(shape)
        return port.code(mean, index, z)
