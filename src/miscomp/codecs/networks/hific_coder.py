"""HiFiC's hyper-latents: their networks and density in floating point, and the entropy model in whole numbers."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from miscomp.codecs.exact import exact, from_units
from miscomp.codecs.frequencies import Counts, shipped_logistic
from miscomp.codecs.networks.base import GAUSSIANS, Port, scale_index
from miscomp.codecs.networks.bottleneck import RESIDUALS, SCALE_MIN, ChannelCoder, bin_mass, gaussian_likelihood
from miscomp.codecs.networks.gdn import lower_bound

_FILTERS = (1, 3, 3, 3, 1)
_INIT_SCALE = 10.0


class HyperAnalysis(nn.Module):
    """From y to z, a quarter a side: 3 x 3 padded with zeros, then twice 5 x 5 of stride 2 padded by reflection."""

    def __init__(self, latents: int, hyper: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(latents, hyper, 3, padding=1)
        self.conv2 = nn.Conv2d(hyper, hyper, 5, 2)
        self.conv3 = nn.Conv2d(hyper, hyper, 5, 2)

    def forward(self, y: Tensor) -> Tensor:
        """(b, c, h, w) to (b, n, h / 4, w / 4), for any h and w that are multiples of 4."""
        inner = self.conv1(y).relu()
        inner = self.conv2(reflected(inner, 2)).relu()
        z: Tensor = self.conv3(reflected(inner, 2))
        return z


class HyperSynthesis(nn.Module):
    """From z to one parameter of y's distributions: a mean, or a scale that is bounded below elsewhere."""

    def __init__(self, latents: int, hyper: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(hyper, hyper, 5, 2, 2, 1)
        self.conv2 = nn.ConvTranspose2d(hyper, hyper, 5, 2, 2, 1)
        self.conv3 = nn.ConvTranspose2d(hyper, latents, 3, 1, 1)

    @property
    def steps(self) -> list[nn.Module]:
        """The layers in their order."""
        return [self.conv1, nn.ReLU(), self.conv2, nn.ReLU(), self.conv3]

    def forward(self, z_hat: Tensor) -> Tensor:
        """(b, n, h, w) to (b, c, 4 h, 4 w)."""
        parameter = z_hat
        for step in self.steps:
            parameter = step(parameter)
        return parameter


class HyperDensity(nn.Module):
    """One learned distribution for each channel of z, which is rounded around 0.

    Ballé et al., "Variational image compression with a scale hyperprior", ICLR 2018, appendix 6.1, with four layers and
    a nonlinearity behind each, the last included.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        scale = _INIT_SCALE ** (1 / (len(_FILTERS) - 1))
        for index, (width, following) in enumerate(pairwise(_FILTERS)):
            start = math.log(math.expm1(1 / scale / following))
            self.register_parameter(f"H_{index}", nn.Parameter(torch.full((channels, following, width), start)))
            self.register_parameter(f"a_{index}", nn.Parameter(torch.zeros(channels, following, 1)))
            self.register_parameter(f"b_{index}", nn.Parameter(torch.rand(channels, following, 1) - 0.5))

    def logits(self, values: Tensor) -> Tensor:
        """Cumulative probabilities before the sigmoid, for values (n, 1, ...); in the values' precision."""
        logits = values
        for index in range(len(_FILTERS) - 1):
            weight, factor, bias = (self.get_parameter(f"{kind}_{index}").to(values.dtype) for kind in "Hab")
            logits = nn.functional.softplus(weight) @ logits + bias
            logits = logits + factor.tanh() * logits.tanh()
        return logits

    def masses(self, values: Tensor) -> Tensor:
        """Probabilities of bins of width 1 around values (n, 1, ...); same shape."""
        return bin_mass(self.logits(values - 0.5), self.logits(values + 0.5))

    @torch.no_grad()
    def coder(self) -> ChannelCoder:
        """What streams are coded with."""
        channels = self.get_parameter("H_0").shape[0]
        return ChannelCoder(
            self.masses(RESIDUALS.expand(channels, 1, -1))[:, 0], torch.zeros(channels, dtype=torch.float64)
        )

    def likelihood(self, z_hat: Tensor) -> Tensor:
        """The same for z_hat (b, n, h, w)."""
        channels_first = z_hat.transpose(0, 1)
        return self.masses(channels_first.flatten(1)[:, None]).view(channels_first.shape).transpose(0, 1)


class Hyperprior(nn.Module):
    """All that says how likely latents are; `logistic` in place of Gaussian distributions of y."""

    def __init__(self, latents: int, hyper: int) -> None:
        super().__init__()
        self.analysis_net = HyperAnalysis(latents, hyper)
        self.synthesis_mu = HyperSynthesis(latents, hyper)
        self.synthesis_std = HyperSynthesis(latents, hyper)
        self.hyperlatent_likelihood = HyperDensity(hyper)


def latent_likelihood(residual: Tensor, scale: Tensor, *, logistic: bool) -> Tensor:
    """Mass of a bin of width 1 around `residual` under a zero-mean distribution whose scale is at least SCALE_MIN."""
    if not logistic:
        return gaussian_likelihood(residual, scale, lower=SCALE_MIN)
    scale, size = lower_bound(scale, SCALE_MIN), residual.abs()
    return torch.sigmoid((0.5 - size) / scale) - torch.sigmoid((-0.5 - size) / scale)


class HificCoder:
    """z by its density around 0, then all of y at once, by Gaussians or by logistic tables, which are shipped too."""

    def __init__(self, hyperprior: Hyperprior, *, logistic: bool) -> None:
        """Raises `ValueError` for weights that have no exact form."""
        self._analysis = hyperprior.analysis_net
        self._mean = exact(hyperprior.synthesis_mu.steps)
        self._scale = exact(hyperprior.synthesis_std.steps)
        self._densities = hyperprior.hyperlatent_likelihood.coder()
        own = [shipped_logistic().whole(index) for index in range(GAUSSIANS)] if logistic else []
        self.tables: list[Counts] = self._densities.tables + own
        self._first = GAUSSIANS + len(self._densities.tables) if logistic else 0

    @torch.no_grad()
    def run(self, port: Port, height: int, width: int, y: Tensor | None) -> Tensor:
        """As `LatentCoder.run`."""
        z = None if y is None else self._analysis(y)
        z_hat = self._densities.code(port, z, height // 4, width // 4)
        scales = scale_index(self._scale(z_hat), lower=SCALE_MIN) + self._first
        return from_units(port.code(self._mean(z_hat), scales, y))


def reflected(grid: Tensor, by: int) -> Tensor:
    """`grid` (b, c, h, w) padded on all sides by reflection, again and again where it is not larger than `by`."""
    if min(grid.shape[2:]) > by:
        return nn.functional.pad(grid, (by, by, by, by), mode="reflect")
    rows, columns = (_mirrored(length, by) for length in grid.shape[2:])
    return grid[:, :, rows.to(grid.device)][:, :, :, columns.to(grid.device)]


def _mirrored(length: int, by: int) -> Tensor:
    period = max(2 * (length - 1), 1)
    place = torch.arange(-by, length + by).remainder(period)
    return torch.minimum(place, period - place)
