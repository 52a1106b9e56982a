"""Ballé's and Minnen's codecs without a context model: factorised prior, scale and mean-scale hyperprior."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from miscomp.codecs.exact import exact, from_units
from miscomp.codecs.fixed_point import LIMIT
from miscomp.codecs.frequencies import Counts
from miscomp.codecs.networks.base import Estimate, LatentCoder, Network, Port, scale_index
from miscomp.codecs.networks.bottleneck import SCALE_MIN, EntropyBottleneck, bits_of, gaussian_likelihood, quantised
from miscomp.codecs.networks.fast import Deconv5x5
from miscomp.codecs.networks.gdn import GDN
from miscomp.codecs.networks.state_dicts import clean_state, filled, width


def conv(inputs: int, outputs: int, *, kernel: int = 5, stride: int = 2) -> nn.Conv2d:
    """A convolution that keeps the size but for its stride."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


class _Transforms(Network):
    """Four 5 x 5 convolutions with GDN to a sixteenth of the size, and their mirror image."""

    analysis_reach = 2
    synthesis_reach = 2

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.m = m
        layers: list[nn.Module] = [conv(3, n), GDN(n), conv(n, n), GDN(n), conv(n, n), GDN(n), conv(n, m)]
        self.g_a: nn.Module = nn.Sequential(*layers)
        layers = [Deconv5x5(m, n)]
        for outputs in (n, n, 3):
            layers += [GDN(n, inverse=True), Deconv5x5(n, outputs)]
        self.g_s: nn.Module = nn.Sequential(*layers)

    @property
    def latent_channels(self) -> int:
        """M of the papers."""
        return self.m

    def analyse(self, x: Tensor) -> Tensor:
        """g_a."""
        y: Tensor = self.g_a(x)
        return y

    def synthesise(self, y_hat: Tensor, noise: Tensor | None = None) -> Tensor:
        """g_s."""
        x_hat: Tensor = self.g_s(y_hat)
        return x_hat


class FactorizedPrior(_Transforms):
    """`bmshj2018-factorized`: each channel of y has one density."""

    hyper = 1

    def __init__(self, n: int, m: int) -> None:
        super().__init__(n, m)
        self.entropy_bottleneck = EntropyBottleneck(m)

    def forward(self, x: Tensor) -> Estimate:
        y_hat, bits = self.entropy_bottleneck.bits(self.analyse(x))
        return Estimate(self.synthesise(y_hat), bits, torch.zeros_like(bits))

    def latent_coder(self) -> LatentCoder:
        return _FactorizedCoder(self.entropy_bottleneck)


class _FactorizedCoder:
    def __init__(self, bottleneck: EntropyBottleneck) -> None:
        self._densities = bottleneck.coder()
        self.tables: list[Counts] = self._densities.tables

    def run(self, port: Port, height: int, width: int, y: Tensor | None) -> Tensor:
        return from_units(self._densities.code(port, y, height, width))


class ScaleHyperprior(_Transforms):
    """`bmshj2018-hyperprior`: y has zero mean and standard deviations that are sent as hyper-latents z."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__(n, m)
        self.entropy_bottleneck = EntropyBottleneck(n)
        self.h_a = self._hyper_analysis(n, m)
        self.h_s = self._hyper_synthesis(n, m)

    def _hyper_analysis(self, n: int, m: int) -> nn.Sequential:
        return nn.Sequential(conv(m, n, kernel=3, stride=1), nn.ReLU(), conv(n, n), nn.ReLU(), conv(n, n))

    def _hyper_synthesis(self, n: int, m: int) -> nn.Sequential:
        last = conv(n, m, kernel=3, stride=1)
        return nn.Sequential(Deconv5x5(n, n), nn.ReLU(), Deconv5x5(n, n), nn.ReLU(), last, nn.ReLU())

    def summarise(self, y: Tensor) -> Tensor:
        """z of y; its signs tell nothing of a scale."""
        z: Tensor = self.h_a(y.abs())
        return z

    def forward(self, x: Tensor) -> Estimate:
        y = self.analyse(x)
        z_hat, z_bits = self.entropy_bottleneck.bits(self.summarise(y))
        y_hat = quantised(y, None, training=self.training)
        y_bits = bits_of(gaussian_likelihood(y_hat, self.h_s(z_hat)))
        return Estimate(self.synthesise(y_hat), y_bits, z_bits)

    def latent_coder(self) -> LatentCoder:
        return HyperCoder(self)


class MeanScaleHyperprior(ScaleHyperprior):
    """`mbt2018-mean`: z says the means too.

    Minnen, Ballé and Toderici, "Joint autoregressive and hierarchical priors for learned image compression",
    NeurIPS 2018, without its context model.
    """

    def _hyper_analysis(self, n: int, m: int) -> nn.Sequential:
        first = conv(m, n, kernel=3, stride=1)
        return nn.Sequential(first, nn.LeakyReLU(), conv(n, n), nn.LeakyReLU(), conv(n, n))

    def _hyper_synthesis(self, n: int, m: int) -> nn.Sequential:
        middle = m * 3 // 2
        last = conv(middle, m * 2, kernel=3, stride=1)
        return nn.Sequential(Deconv5x5(n, m), nn.LeakyReLU(), Deconv5x5(m, middle), nn.LeakyReLU(), last)

    def summarise(self, y: Tensor) -> Tensor:
        """z of y."""
        z: Tensor = self.h_a(y)
        return z

    def forward(self, x: Tensor) -> Estimate:
        y = self.analyse(x)
        z_hat, z_bits = self.entropy_bottleneck.bits(self.summarise(y))
        scale, mean = self.h_s(z_hat).chunk(2, 1)
        y_hat = quantised(y, mean, training=self.training)
        y_bits = bits_of(gaussian_likelihood(y_hat - mean, scale))
        return Estimate(self.synthesise(y_hat), y_bits, z_bits)


class HyperCoder:
    """z by its densities, then all of y at once."""

    def __init__(self, network: ScaleHyperprior) -> None:
        self._network = network
        self._densities = network.entropy_bottleneck.coder()
        self._h_s = exact(network.h_s)
        self.tables: list[Counts] = self._densities.tables

    def run(self, port: Port, height: int, width: int, y: Tensor | None) -> Tensor:
        scale, mean = self._parameters(port, height, width, y)
        y_hat = port.code(mean, scale_index(scale, lower=SCALE_MIN), y)
        return from_units(y_hat)

    def _parameters(self, port: Port, height: int, width: int, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scales and means of y in units."""
        parameters = self.hyper_parameters(port, height, width, y)
        if isinstance(self._network, MeanScaleHyperprior):
            scale, mean = parameters.chunk(2, 1)
            return scale, mean
        return parameters, torch.zeros_like(parameters)

    def hyper_parameters(self, port: Port, height: int, width: int, y: Tensor | None) -> Tensor:
        """What h_s makes of the coded z, in units."""
        z = None if y is None else self._network.summarise(y)
        hyper = self._network.hyper
        z_hat = self._densities.code(port, z, height // hyper, width // hyper)
        return self._h_s(z_hat.clamp(-LIMIT, LIMIT))


def _widths(state: Mapping[str, Tensor]) -> tuple[int, int]:
    return width(state, "g_a.0.weight"), width(state, "g_a.6.weight")


def factorized_from_state(state: Mapping[str, Tensor]) -> FactorizedPrior:
    """`bmshj2018-factorized` with published weights. Raises `ValueError` for those of another architecture."""
    state = clean_state(state)
    return filled(lambda: FactorizedPrior(*_widths(state)), state)


def scale_from_state(state: Mapping[str, Tensor]) -> ScaleHyperprior:
    """`bmshj2018-hyperprior` with published weights. Raises `ValueError` for those of another architecture."""
    state = clean_state(state)
    return filled(lambda: ScaleHyperprior(*_widths(state)), state)


def mean_from_state(state: Mapping[str, Tensor]) -> MeanScaleHyperprior:
    """`mbt2018-mean` with published weights. Raises `ValueError` for those of another architecture."""
    state = clean_state(state)
    return filled(lambda: MeanScaleHyperprior(*_widths(state)), state)
