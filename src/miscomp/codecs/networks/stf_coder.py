"""Entropy model of `stf`: hyper-latents, then the latents' channels in slices, each given some of those before it.

Zou, Song and Zhang, CVPR 2022, section 3.3, after Minnen and Singh, "Channel-wise autoregressive entropy models for
learned image compression", ICIP 2020. A slice's mean and scale come from the hyper-latents and the first half of the
slices; what rounding took from it is then predicted from the same and the slice itself, and added: at most 0.5.

In whole numbers, GELU's error function and the tanh of that prediction are the only functions that are not exact.
Both are computed in float64 from a number of the grid and rounded to it. There are 2^22 + 1 such numbers, and for all
of them every library that is accurate to 1e-10 comes to the same (`miscomp.codecs.exact`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from miscomp.codecs.exact import UNIT, Exact, exact, from_units, to_units
from miscomp.codecs.fixed_point import LIMIT
from miscomp.codecs.frequencies import Counts
from miscomp.codecs.networks.base import LatentCoder, Network, Port, scale_index
from miscomp.codecs.networks.bottleneck import SCALE_MIN, EntropyBottleneck, bits_of, gaussian_likelihood, quantised

_MOST_RESIDUAL = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class EntropyWidths:
    """Channels of the entropy model."""

    latent: int
    hyper: tuple[int, ...]
    """Five: what each layer of h_a gives; h_mean_s and h_scale_s go through them backwards."""
    slices: int
    context: tuple[int, ...]
    """What each layer of a slice's networks gives, the last one left out."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for latents that slices cannot share."""
        if self.latent % self.slices:
            raise ValueError(f"{self.latent} channels of latents do not make {self.slices} equal slices")

    @property
    def slice(self) -> int:
        """Channels of one slice."""
        return self.latent // self.slices

    @property
    def most_support(self) -> int:
        """How many slices, the first ones, can stand by a later one."""
        return self.slices // 2


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1)


def _with_gelu(*layers: nn.Module) -> nn.Sequential:
    """The layers with GELU between them."""
    return nn.Sequential(*[part for layer in layers for part in (nn.GELU(), layer)][1:])


def _upsampled(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, 4 * outputs), nn.PixelShuffle(2))


def _hyper_synthesis(widths: EntropyWidths) -> nn.Sequential:
    a, b, c, d, e = widths.hyper
    return _with_gelu(_conv(e, d), _upsampled(d, c), _conv(c, b), _upsampled(b, a), _conv(a, widths.latent))


class ChannelSlices(Network):
    """The entropy model of a codec whose transforms a subclass adds."""

    def __init__(self, widths: EntropyWidths) -> None:
        super().__init__()
        self.widths = widths
        a, b, c, d, e = widths.hyper
        self.h_a = _with_gelu(_conv(widths.latent, a), _conv(a, b), _conv(b, c, 2), _conv(c, d), _conv(d, e, 2))
        self.h_mean_s, self.h_scale_s = _hyper_synthesis(widths), _hyper_synthesis(widths)
        self.cc_mean_transforms, self.cc_scale_transforms = self._slice_networks(), self._slice_networks()
        self.lrp_transforms = self._slice_networks(itself=1)
        self.entropy_bottleneck = EntropyBottleneck(e)

    def _slice_networks(self, itself: int = 0) -> nn.ModuleList:
        """One network per slice; `itself`: how many slices enter beyond those that stand by it."""
        widths, networks = self.widths, nn.ModuleList()
        for index in range(widths.slices):
            inputs = widths.latent + (min(index, widths.most_support) + itself) * widths.slice
            sizes = (inputs, *widths.context, widths.slice)
            networks.append(_with_gelu(*(_conv(*pair) for pair in pairwise(sizes))))
        return networks

    @property
    def latent_channels(self) -> int:
        """384 as published."""
        return self.widths.latent

    def summarise(self, y: Tensor) -> Tensor:
        """z (b, c, h / 4, w / 4) of y (b, c, h, w)."""
        z: Tensor = self.h_a(y)
        return z

    def estimate(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y_hat and the bits (b) of y and of z. While training, noise is only in the bits, as published."""
        z = self.summarise(y)
        _, z_bits = self.entropy_bottleneck.bits(z)
        z_hat = _rounded(z, self.entropy_bottleneck.medians[:, None, None])
        means, scales = self.h_mean_s(z_hat), self.h_scale_s(z_hat)
        coded: list[Tensor] = []
        y_bits = torch.zeros_like(z_bits)
        for index, part in enumerate(y.chunk(self.widths.slices, 1)):
            support = coded[: self.widths.most_support]
            mean_support = torch.cat([means, *support], 1)
            mean = self.cc_mean_transforms[index](mean_support)
            scale = self.cc_scale_transforms[index](torch.cat([scales, *support], 1))
            noisy = quantised(part, mean, training=self.training)
            y_bits = y_bits + bits_of(gaussian_likelihood(noisy - mean, scale, lower=SCALE_MIN))
            part_hat = _rounded(part, mean)
            lost = self.lrp_transforms[index](torch.cat([mean_support, part_hat], 1))
            coded.append(part_hat + _MOST_RESIDUAL * lost.tanh())
        return torch.cat(coded, 1), y_bits, z_bits

    def latent_coder(self) -> LatentCoder:
        return SliceCoder(self)


def _rounded(value: Tensor, mean: Tensor) -> Tensor:
    """`value` rounded around `mean`; gradients of `value` pass as if it were not."""
    centred = value - mean
    rounded = centred + (centred.round() - centred).detach() if centred.requires_grad else centred.round()
    return rounded + mean


class SliceCoder:
    """The entropy model in whole numbers, of the weights as they are now."""

    def __init__(self, network: ChannelSlices) -> None:
        """Raises `ValueError` for weights that have no exact form."""
        self._network = network
        self._densities = network.entropy_bottleneck.coder()
        self._h_mean_s, self._h_scale_s = exact(network.h_mean_s), exact(network.h_scale_s)
        self._means, self._scales, self._lost = (
            [exact(part) for part in networks]
            for networks in (network.cc_mean_transforms, network.cc_scale_transforms, network.lrp_transforms)
        )
        self.tables: Sequence[Counts] = self._densities.tables

    def run(self, port: Port, height: int, width: int, y: Tensor | None) -> Tensor:
        network = self._network
        z = None if y is None else network.summarise(y)
        z_hat = self._densities.code(port, z, height // network.hyper, width // network.hyper).clamp(-LIMIT, LIMIT)
        means, scales = self._h_mean_s(z_hat), self._h_scale_s(z_hat)
        count = network.widths.slices
        targets: Sequence[Tensor | None] = [None] * count if y is None else y.chunk(count, 1)
        coded: list[Tensor] = []
        for index, target in enumerate(targets):
            support = coded[: network.widths.most_support]
            mean_support = torch.cat([means, *support], 1)
            mean = self._means[index](mean_support)
            scale = self._scales[index](torch.cat([scales, *support], 1))
            # Exactness rests on what enters a layer being within the limits.
            part = port.code(mean, scale_index(scale, lower=SCALE_MIN), target).clamp(-LIMIT, LIMIT)
            part = part + _lost(self._lost[index], torch.cat([mean_support, part], 1))
            coded.append(part.clamp_(-LIMIT, LIMIT))
        return from_units(torch.cat(coded, 1))


def _lost(network: Exact, support: Tensor) -> Tensor:
    """What rounding took from a slice, as it is predicted, in units."""
    return to_units(network(support).mul(1 / UNIT).tanh_().mul_(_MOST_RESIDUAL))
